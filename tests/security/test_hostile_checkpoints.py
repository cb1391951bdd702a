"""Checkpoints whose sums are right and whose content is not: one message, and nothing of it is used."""

import json
import os
import shutil
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch

from dlx.commands.evaluate import evaluate
from dlx.commands.predict import predict
from dlx.commands.train import train
from dlx.errors import DlxError
from dlx.storage import checkpoint, contents
from dlx.storage.checkpoint import CheckpointError
from dlx.storage.locating import locate
from dlx.storage.manifest import manifest

OLD = Path(__file__).parents[1] / "runs" / "iris_0_1"
LAST = "step-00000072"
ROW = ["5.1,3.5,1.4,0.2"]


@pytest.fixture
def run(tmp_path):
    run = shutil.copytree(OLD, tmp_path / "iris")
    shutil.rmtree(run / "checkpoints" / "step-00000048")
    forge(run, "state.json", lambda content: changed(content, best__step=72))
    return run


def forge(run, name, act):
    """Change or, where nothing is left, take away one file, and sign all anew."""
    folder = run / "checkpoints" / LAST
    files = checkpoint.read(folder)
    content = act(files[name])
    files = {key: value for key, value in files.items() if key != name} | ({} if content is None else {name: content})
    shutil.rmtree(folder)
    folder.mkdir()
    for key, value in {**files, "manifest.json": manifest(files)}.items():
        (folder / key).write_bytes(value)


def changed(content, **changes):
    """Put values into a JSON document; `a__b` names b within a, and ... takes it away."""
    document = json.loads(content)
    for path, value in changes.items():
        *above, last = path.split("__")
        place = document
        for key in above:
            place = place[key]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return json.dumps(document).encode()


def commands(run):
    return [
        lambda: evaluate(str(run), [], "test"),
        lambda: list(predict(str(run), ROW, [])),
        lambda: train(str(run), ["epochs=13"], name=None, resume=True, runs=run.parent, quiet=True),
    ]


def refused(run, words=""):
    """All commands end in one message, whatever the order."""
    for act in commands(run):
        with pytest.raises(DlxError) as caught:
            act()
        assert words in str(caught.value), str(caught.value)
        assert str(caught.value).count("\n") == str(caught.value).startswith("no checkpoint in ")


@pytest.mark.parametrize("name", contents.REQUIRED)
def test_a_file_that_is_missing_is_named(run, name):
    forge(run, name, lambda content: None)
    with pytest.raises(CheckpointError, match=f"{name}.* is missing"):
        contents.read(locate(str(run / "checkpoints" / LAST)))
    refused(run, "is missing")


DOCUMENTS = [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"[]", b"3", b'"x"', b"1" * 5000, b"null x"]


@pytest.mark.parametrize("name", ["state.json", "facts.json", "processor.json"])
@pytest.mark.parametrize("content", DOCUMENTS, ids=range(len(DOCUMENTS)))
def test_a_document_that_is_none_is_refused(run, name, content):
    forge(run, name, lambda _: content)
    refused(run, f"{name}: ")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\xff" * 100, "größe: 1".encode("latin-1")])
def test_a_config_that_is_no_text_is_refused(run, content):
    forge(run, "config.yaml", lambda _: content)
    refused(run, "config.yaml: is not UTF-8 at byte")


FACTS = [
    {"num_classes": "3"}, {"num_classes": 0}, {"num_classes": 2}, {"num_classes": 3.5}, {"num_classes": 2**40},
    {"num_classes": True},
    {"class_names": ["a", "b"]}, {"class_names": "abc"}, {"class_names": [1, 2, 3]}, {"class_names": ["a", "b", "c"]},
    {"input_shape": [5]}, {"input_shape": []}, {"input_shape": [-4]}, {"input_shape": "4"}, {"input_shape": [[4]]},
    {"num_features": -1}, {"class_counts": [1]}, {"seed": []}, {"channel_mean": [1e400]}, {"target_std": "x"},
]  # fmt: skip


@pytest.mark.parametrize("facts", FACTS, ids=str)
def test_facts_of_another_shape_are_refused(run, facts):
    forge(run, "facts.json", lambda content: changed(content, **facts))
    refused(
        run,
        "processor.json: "
        if facts in ({"class_names": ["a", "b", "c"]}, {"input_shape": [5]}, {"input_shape": []})
        else "facts.json: ",
    )


PROCESSORS = [
    {"name": 3}, {"name": ""}, {"state": []}, {"state": ...}, {"state__numeric": ...}, {"state__numeric": []},
    {"state__numeric__names": ["a"]}, {"state__numeric__names": [1, 2, 3, 4]}, {"state__numeric__means": [1.0]},
    {"state__numeric__means": "mean"}, {"state__numeric__indicators": [9]}, {"state__numeric__indicators": [-1]},
    {"state__numeric__scaler__kind": "exec"}, {"state__numeric__scaler__offset": [0.0]},
    {"state__numeric__scaler__offset": 0.0},
    {"state__numeric__scaler__divisor": [0.0] * 4}, {"state__numeric__scaler__divisor": [1.0] * 5},
    {"state__numeric__scaler__divisor": [float("nan")] * 4}, {"state__numeric__scaler": {"kind": "quantile"}},
    {"state__numeric__scaler": {"kind": "quantile", "quantiles": [[0.0] * 3], "references": [0.0]}},
    {"state__numeric__scaler": {"kind": "quantile", "quantiles": [[0.0] * 4], "references": [0.0, 1.0]}},
    {"state__categorical__values": {"x": ["a"]}}, {"state__categorical__values": [["x"]]},
    {"state__categorical__encoding": "hot"},
    {"state__target__names": []}, {"state__target__names": ["a", "b"]}, {"state__target__names": {"a": 1}},
    {"state__target__kind": "text"}, {"state__target__column": None}, {"state__columns": []}, {"state__columns": "abcd"},
    {"state__delimiter": ""}, {"state__delimiter": ",,"}, {"state__missing_values": 3}, {"state__file_columns": None},
    {"state__input_shape": [2, 3]}, {"state__input_shape": [-2, -2]}, {"state__input_shape": 4},
]  # fmt: skip


@pytest.mark.parametrize("changes", PROCESSORS, ids=str)
def test_a_processor_of_another_shape_is_refused(run, changes):
    forge(run, "processor.json", lambda content: changed(content, **changes))
    refused(run, "processor.json: ")


def test_an_unknown_processor_is_refused(run):
    forge(run, "processor.json", lambda content: changed(content, name="os.system"))
    with pytest.raises(DlxError, match=r"unknown processor|os\.system"):
        list(predict(str(run), ROW, []))


STATES = [
    {"step": -1}, {"step": "72"}, {"step": 1.5}, {"step": ...}, {"best": 3}, {"best": {}}, {"best__step": None},
    {"best__value": "x"},
    {"totals": []}, {"totals": {"loss": 3}}, {"source": 3}, {"schedules": []}, {"schedules": {"": 3}}, {"random": []},
    {"random": {"cpu": 3}}, {"optimizer": []}, {"optimizer": {"a": []}}, {"waited": None}, {"average_updates": -1},
    {"seconds": "long"}, {"best__value": float("nan")},
]  # fmt: skip


@pytest.mark.parametrize("changes", STATES, ids=str)
def test_a_state_of_another_shape_is_refused(run, changes):
    forge(run, "state.json", lambda content: changed(content, **changes))
    refused(run, "state.json: ")


UNFIT = [
    {"source": {}}, {"source__seed": 9}, {"source__epoch": "x"}, {"source__samples": -1}, {"source__samples": 10**9},
    {"schedules": {}},
    {"random": {}}, {"random": {"cpu": "!"}}, {"random": {"cpu": "AAAA"}}, {"optimizer": {"a": 1}}, {"optimizer": {"a|b|c": 1}},
]  # fmt: skip


@pytest.mark.parametrize("changes", UNFIT, ids=str)
def test_a_state_of_another_experiment_does_not_go_on(run, changes):
    forge(run, "state.json", lambda content: changed(content, **changes))
    with pytest.raises(DlxError):
        commands(run)[2]()


def header(text, body=b""):
    return struct.pack("<Q", len(text)) + text + body


TENSORS = [
    b"", b"x", struct.pack("<Q", 2**63), struct.pack("<Q", 2**40) + b"{}", header(b"{}"), header(b"[]"), header(b"{" * 100_000),
    header(b'{"a":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}', b"ab"),
    header(b'{"a":{"dtype":"F32","shape":[0,4611686018427387904],"data_offsets":[0,0]}}'),
    header(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,99]}}', b"abcd"),
]  # fmt: skip


@pytest.mark.parametrize("content", TENSORS, ids=range(len(TENSORS)))
def test_tensors_that_are_none_are_refused(run, content):
    forge(run, "model.safetensors", lambda _: content)
    refused(run)


def retype(kind):
    return lambda content: safetensors.torch.save({n: t.to(kind) for n, t in safetensors.torch.load(content).items()})


@pytest.mark.parametrize(
    "kind", [torch.float16, torch.float64, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn], ids=str
)
@pytest.mark.parametrize("name", ["model.safetensors", "training.safetensors"])
def test_weights_of_another_kind_are_refused(run, name, kind):
    forge(run, name, retype(kind))
    for act in commands(run)[:2] if name.startswith("model") else commands(run)[2:]:
        with pytest.raises(DlxError, match=f"{str(kind).removeprefix('torch.')} for float32"):
            act()


def test_an_optimizer_of_another_shape_is_refused(run):
    def cut(content):
        return safetensors.torch.save(
            {n: t[:1].repeat(2) if t.ndim == 1 else t for n, t in safetensors.torch.load(content).items()}
        )

    forge(run, "optimizer.safetensors", cut)
    with pytest.raises(DlxError, match=r"optimizer state .* has the shape"):
        commands(run)[2]()


def test_files_are_looked_at_before_they_are_read(run):
    folder = run / "checkpoints" / LAST
    for name in ("model.safetensors", "state.json", "manifest.json"):
        whole = (folder / name).read_bytes()
        os.truncate(folder / name, 2**42)  # sparse: it claims what it does not hold
        refused(run)
        (folder / name).write_bytes(whole)
    files = checkpoint.read(folder)
    (folder / "state.json").unlink()
    os.mkfifo(folder / "state.json")
    refused(run, "state.json is not a regular file")
    assert files


def test_a_sparse_file_with_its_own_sum_is_not_read(run):
    folder = run / "checkpoints" / LAST
    files = checkpoint.read(folder)
    signed = json.loads(manifest(files))
    for name in ("facts.json", "model.safetensors"):
        document = {key: value for key, value in signed.items() if key != "sha256"}
        document["files"] = document["files"] | {name: {"sha256": "0" * 64, "size": 2**42}}
        from dlx.storage.manifest import canonical, hashlib

        whole = {**document, "sha256": hashlib.sha256(canonical(document)).hexdigest()}
        (folder / "manifest.json").write_bytes(canonical(whole))
        os.truncate(folder / name, 2**42)
        refused(run, f"{name} cannot be read: is larger than")
        (folder / name).write_bytes(files[name])
