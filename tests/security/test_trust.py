"""A checkpoint from elsewhere may answer and be evaluated, but what it asks of the machine waits for the user's word."""

import json
import random
import subprocess
import sys

import pytest

pytestmark = pytest.mark.usefixtures("blank_pictures")

CONFIG = """
task: classification
data: {name: csv, train: TRAIN, target: kind, val: 0.25, test: 0.25}
model: {name: mlp, hidden: [4]}
epochs: 2
"""


def dlx(*arguments, **environment):
    import os

    return subprocess.run(
        [sys.executable, "-m", "dlx", *map(str, arguments)], capture_output=True, text=True, env=os.environ | environment
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trust")
    draw = random.Random(0)
    rows = [f"{draw.random():.3f},{draw.random():.3f},{'ab'[i % 2]}" for i in range(40)]
    (folder / "table.csv").write_text("x,y,kind\n" + "\n".join(rows) + "\n")
    (folder / "own.yaml").write_text(CONFIG.replace("TRAIN", str(folder / "table.csv")))
    done = dlx("train", folder / "own.yaml", "--runs", folder / "runs", XDG_CACHE_HOME=str(folder / "mine"))
    assert done.returncode == 0, done.stderr
    return folder


def test_ones_own_is_evaluated_without_a_word(trained):
    done = dlx("eval", trained / "runs" / "own", "--json", XDG_CACHE_HOME=str(trained / "mine"))
    assert done.returncode == 0, done.stderr
    assert "test/accuracy" in json.loads(done.stdout)


def test_a_strangers_paths_are_not_opened(trained):
    done = dlx("eval", trained / "runs" / "own", XDG_CACHE_HOME=str(trained / "theirs"))
    assert done.returncode == 2
    assert f"read {trained / 'table.csv'} (data.train)" in done.stderr
    assert "--trust" in done.stderr
    assert done.stdout == ""


def test_the_key_is_only_for_its_owner(trained):
    assert (trained / "mine" / "dlx" / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("word", ["--trust", "data.train=TRAIN"])
def test_a_word_of_the_user_opens_them(trained, word):
    word = word.replace("TRAIN", str(trained / "table.csv"))
    done = dlx("eval", trained / "runs" / "own", word, "--json", XDG_CACHE_HOME=str(trained / "theirs"))
    assert done.returncode == 0, done.stderr


def test_a_forged_seal_is_none(trained, tmp_path):
    from dlx.assembly.restore import Loaded
    from dlx.storage import checkpoint

    (found,) = checkpoint.steps(trained / "runs" / "own" / "checkpoints")[:1]
    files = checkpoint.read(found)
    for forged in (b"null", b'""', b'"' + b"0" * 64 + b'"', b"[1]", b'{"a": 1}'):
        assert not Loaded(found, {**files, "seal": forged}).is_own()


def test_resuming_a_run_by_its_name_alone_obeys_no_stranger(trained, tmp_path):
    import shutil

    run = tmp_path / "copied"
    shutil.copytree(trained / "runs" / "own", run, symlinks=True)
    refused = dlx("train", run, "--resume", "epochs=3", XDG_CACHE_HOME=str(trained / "theirs"))
    assert refused.returncode == 2
    assert "(data.train)" in refused.stderr
    done = dlx("train", run, "--resume", "--trust", "epochs=3", XDG_CACHE_HOME=str(trained / "theirs"))
    assert done.returncode == 0, done.stderr


def test_predicting_reads_no_data_and_asks_nothing(trained):
    done = dlx("predict", trained / "runs" / "own", "0.5,0.5", XDG_CACHE_HOME=str(trained / "theirs"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("section", "asked"),
    [
        ("data: {name: cifar10, path: /nowhere, download: true, image_size: 8}", ["read /nowhere", "download (data.download)"]),
        (
            "data: {name: image_folder, path: /nowhere, image_size: 8, cache: /tmp/there}",
            ["write into /tmp/there (data.cache)"],
        ),
        ("metrics: [{name: fid, classifier: /secret}]", ["read /secret (metrics[0].classifier)"]),
    ],
)
def test_every_kind_of_request_is_known(section, asked):
    from dlx.assembly import planner
    from dlx.config import spec

    text = "task: classification\nmodel: {name: mlp, hidden: [4]}\nepochs: 1\n"
    text += section + ("" if section.startswith("data") else "\ndata: iris")
    drafted, _ = planner.draft(spec.parse(text, "kept"), needs_files=False)
    from dlx.errors import dotted

    told = [f"{act} {'' if value is True else f'{value} '}({dotted(path)})" for path, act, value in drafted.requests()]
    for line in asked:
        assert any(one.startswith(line) for one in told), told
