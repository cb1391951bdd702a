"""The manifest: every byte is the one written, or the file that is not is named."""

import hashlib
import random

import pytest
from tests.storage.test_checkpoint import FILES

from dlx.storage import checkpoint, manifest
from dlx.storage.checkpoint import CheckpointError


def test_every_flipped_bit_is_found(tmp_path):
    folder = checkpoint.write(tmp_path / "step-00000120", FILES)
    paths = [path for path in sorted(folder.iterdir()) if path.stat().st_size]
    dice = random.Random(0)
    for trial in range(300):
        path = paths[trial % len(paths)]
        good = path.read_bytes()
        bad = bytearray(good)
        bad[dice.randrange(len(bad))] ^= 1 << dice.randrange(8)
        path.write_bytes(bad)
        assert path.name in (checkpoint.validity(folder) or ""), (path.name, trial)
        path.write_bytes(good)
    assert checkpoint.read(folder) == FILES


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_damage_to_a_file_is_named(tmp_path, name):
    folder = checkpoint.write(tmp_path / "step-00000120", FILES)
    path = folder / name
    content = path.read_bytes()
    for bad in [content[:-1], content + b" ", content + b"\0"]:
        path.write_bytes(bad)
        if bad != content:
            with pytest.raises(CheckpointError, match=name):
                checkpoint.read(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        checkpoint.read(folder)
    path.mkdir()
    with pytest.raises(CheckpointError, match=f"{name} is not a regular file"):
        checkpoint.read(folder)


def test_extra_files_are_found_but_not_those_of_file_browsers(tmp_path):
    folder = checkpoint.write(tmp_path / "step-00000120", FILES)
    (folder / ".DS_Store").write_bytes(b"")
    assert checkpoint.read(folder) == FILES
    (folder / "more.json").write_bytes(b"")
    assert "more.json is not in the manifest" in checkpoint.validity(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b"null", b'"files"', b"[" * 100_000, b"\xff", b'{"files": 3, "sha256": "", "version": 1}'],
)
def test_a_strange_manifest_is_damage(tmp_path, content):
    folder = checkpoint.write(tmp_path / "step-00000120", FILES)
    (folder / "manifest.json").write_bytes(content)
    assert "manifest.json is damaged" in checkpoint.validity(folder)


def signed(document):
    return manifest.canonical({**document, "sha256": hashlib.sha256(manifest.canonical(document)).hexdigest()})


@pytest.mark.parametrize(
    "files",
    [
        3,
        {"a": 3},
        {"a": {}},
        {"a": None},
        {"../a": {"size": 1}},
        ["a"],
        *({"a": {"sha256": "", "size": size}} for size in (-1, 1.0, True, "1", None, [], 2**63, 10**400)),
    ],
)
def test_a_manifest_of_wrong_shape_is_damage(tmp_path, files):
    folder = checkpoint.write(tmp_path / "step-00000120", FILES)
    (folder / "manifest.json").write_bytes(signed({"files": files, "version": 1}))
    assert "manifest.json is damaged" in checkpoint.validity(folder)


def test_another_version_is_told(tmp_path):
    folder = checkpoint.write(tmp_path / "step-00000120", FILES)
    (folder / "manifest.json").write_bytes(signed({"files": {}, "version": 2}))
    with pytest.raises(CheckpointError, match="format version 2; this dlx reads version 1"):
        checkpoint.read(folder)


def test_no_directory_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="no such directory"):
        checkpoint.verify(tmp_path / "step-00000120")


def test_one_file_is_read_alone(tmp_path):
    folder = checkpoint.write(tmp_path / "step-00000120", FILES)
    (folder / "model.safetensors").write_bytes(b"x")
    assert manifest.read_one(folder, "state.json") == FILES["state.json"]
    with pytest.raises(CheckpointError, match=r"more\.json is missing"):
        manifest.read_one(folder, "more.json")
    with pytest.raises(CheckpointError, match=r"model\.safetensors has 1 bytes instead of 2048"):
        manifest.read_one(folder, "model.safetensors")
