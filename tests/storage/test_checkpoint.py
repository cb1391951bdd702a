"""Checkpoints: what was written is read, and nothing else ever is."""

import errno
import os
import shutil
import subprocess
import sys

import pytest

from dlx.errors import DlxError
from dlx.storage import checkpoint
from dlx.storage.checkpoint import CheckpointError

FILES = {"model.safetensors": bytes(range(256)) * 8, "state.json": b'{"step": 120}\n', "config.yaml": b"", "facts.json": b"{}"}
NEW = {**FILES, "state.json": b'{"step": 240}\n'}


def names(folder):
    return sorted(os.listdir(folder))


def save(folder, *steps):
    return [checkpoint.write(folder / checkpoint.step_name(step), {**FILES, "state.json": b"%d" % step}) for step in steps]


def damage(path):
    (path / "model.safetensors").write_bytes(b"x")


def test_what_is_written_is_read(tmp_path):
    folder = checkpoint.write(tmp_path / "step-00000120", FILES)
    assert checkpoint.read(folder) == FILES
    assert checkpoint.validity(folder) is None
    assert names(tmp_path) == ["step-00000120"]
    assert names(folder) == sorted([*FILES, "manifest.json"])


def test_a_checkpoint_is_replaced(tmp_path):
    folder = checkpoint.write(tmp_path / "step-00000120", FILES)
    checkpoint.write(folder, NEW)
    assert checkpoint.read(folder) == NEW
    assert names(tmp_path) == ["step-00000120"]


@pytest.mark.parametrize("name", ["manifest.json", ".hidden", "a/b", "..", ""])
def test_bad_file_names_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="no name"):
        checkpoint.write(tmp_path / "step-00000120", {name: b""})


def test_steps_are_listed_newest_first(tmp_path):
    save(tmp_path, 9, 100_000_000, 20)
    checkpoint.point(tmp_path, "last", tmp_path / "step-00000020")
    (tmp_path / "step-00000300").write_text("a file")
    assert [path.name for path in checkpoint.steps(tmp_path)] == ["step-100000000", "step-00000020", "step-00000009"]
    assert checkpoint.steps(tmp_path / "none") == []


def test_the_newest_valid_one_is_found_and_damage_is_told(tmp_path):
    assert checkpoint.newest_valid(tmp_path) == (None, [])
    old, middle, new = save(tmp_path, 1, 2, 3)
    assert checkpoint.newest_valid(tmp_path) == (new, [])
    damage(new)
    (middle / "manifest.json").unlink()
    found, complaints = checkpoint.newest_valid(tmp_path)
    assert found == old
    assert [str(new) in complaints[0], str(middle) in complaints[1]] == [True, True]
    damage(old)
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* can be read") as error:
        checkpoint.newest_valid(tmp_path)
    assert "model.safetensors has 1 bytes instead of 2048" in str(error.value)


def test_pointers_move(tmp_path):
    old, new = save(tmp_path, 1, 2)
    assert checkpoint.pointed(tmp_path, "best") is None
    for target in (old, new):
        checkpoint.point(tmp_path, "best", target)
        assert checkpoint.pointed(tmp_path, "best") == target
        assert os.readlink(tmp_path / "best") == target.name
        assert checkpoint.read(tmp_path / "best") == checkpoint.read(target)
    checkpoint.remove(new)
    assert checkpoint.pointed(tmp_path, "best") is None


def test_removal_leaves_nothing(tmp_path):
    old, new = save(tmp_path, 1, 2)
    checkpoint.remove(old)
    assert names(tmp_path) == [new.name]


class Killed(BaseException):
    pass


CALLS = ["mkdir", "rename", "fsync", "open", "close", "rmdir", "unlink"]


@pytest.mark.parametrize("cleanup", [False, True], ids=["killed", "interrupted"])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("same", [False, True], ids=["next", "same"])
def test_a_broken_off_save_leaves_the_old_or_the_new(tmp_path, monkeypatch, call, same, cleanup):
    """Stop a save at every call; killed, nothing of dlx runs after it, and the next start tidies up."""
    for moment in range(100):
        folder = tmp_path / str(moment)
        folder.mkdir()
        (old,) = save(folder, 1)
        new = old if same else folder / checkpoint.step_name(2)
        if not stopped(monkeypatch, call, moment, cleanup, lambda new=new: checkpoint.write(new, NEW)):
            assert moment > 0 or call in ("rmdir", "unlink")
            break
        found, complaints = checkpoint.newest_valid(folder)
        content = checkpoint.read(found)
        assert not complaints
        assert content in (NEW, {**FILES, "state.json": b"1"})
        checkpoint.sweep(folder)
        found, complaints = checkpoint.newest_valid(folder)
        assert not complaints
        assert content == NEW or not same or checkpoint.read(found) in (content, NEW)
        assert not [name for name in names(folder) if name.startswith(".")]
        checkpoint.write(new, FILES)
        assert checkpoint.read(checkpoint.newest_valid(folder)[0]) == FILES


def stopped(monkeypatch, call, moment, cleanup, action):
    """Run an action, stopped at the given call (once, or it and all later ones); say whether it was."""
    calls, stop = 0, False

    def counted(original):
        def wrapper(*arguments, **more):
            nonlocal calls, stop
            stop = stop and not cleanup
            if original.__name__ == call:
                stop = stop or calls == moment
                calls += 1
            if stop:
                raise Killed
            return original(*arguments, **more)

        return wrapper

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, counted(getattr(os, name)))
        try:
            action()
        except Killed:
            return True
    return False


def test_a_removed_one_returns_only_if_nothing_else_is_valid(tmp_path):
    old, new = save(tmp_path, 1, 2)
    old.rename(tmp_path / f".{old.name}.removed")
    damage(new)
    checkpoint.sweep(tmp_path)
    assert checkpoint.newest_valid(tmp_path)[0] == old

    old.rename(tmp_path / f".{old.name}.removed")
    checkpoint.write(new, FILES)
    checkpoint.sweep(tmp_path)
    assert names(tmp_path) == [new.name]


def test_a_whole_first_save_is_not_thrown_away(tmp_path):
    (new,) = save(tmp_path, 1)
    new.rename(tmp_path / f".{new.name}.partial")
    assert checkpoint.newest_valid(tmp_path) == (None, [])
    checkpoint.sweep(tmp_path)
    assert checkpoint.newest_valid(tmp_path) == (new, [])


def test_sweep_clears_what_is_broken(tmp_path):
    (new,) = save(tmp_path, 1)
    for kind in ("partial", "replaced", "removed"):
        (tmp_path / f".step-00000002.{kind}").mkdir()
    (tmp_path / ".best.pointer").symlink_to("nowhere")
    checkpoint.sweep(tmp_path)
    assert names(tmp_path) == [new.name]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["mkdir", "rename", "fsync"])
def test_a_failed_save_is_one_message(tmp_path, monkeypatch, call, code):
    (old,) = save(tmp_path, 1)
    new = tmp_path / checkpoint.step_name(2)

    def fail(*arguments, **more):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(DlxError) as error:
            checkpoint.write(new, NEW)
    assert str(error.value) == f"cannot save checkpoint {new}: {os.strerror(code)}"
    assert names(tmp_path) == [old.name]


def test_a_file_system_that_syncs_no_directories_is_enough(tmp_path, monkeypatch):
    sync = os.fsync

    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert checkpoint.read(checkpoint.write(tmp_path / "step-00000001", FILES)) == FILES


def test_a_write_that_stops_half_way_is_one_message(tmp_path):
    pytest.importorskip("resource")
    (old,) = save(tmp_path, 1)
    code = """if True:
        import resource, signal, sys
        from pathlib import Path
        from dlx.storage import checkpoint
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        checkpoint.write(Path(sys.argv[1]), {"a": bytes(100), "model.safetensors": bytes(100_000)})
    """
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "step-00000002"], capture_output=True, text=True)
    assert "cannot save checkpoint" in done.stderr
    assert "File too large" in done.stderr
    assert names(tmp_path) == [old.name]


def test_the_writer_imports_no_torch():
    unwanted = ("torch", "numpy", "yaml", "pickle")
    code = f"import sys, dlx.storage.checkpoint, dlx.storage.run; print([m for m in {unwanted} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_a_checkpoint_can_be_copied_away(tmp_path):
    (folder,) = save(tmp_path, 1)
    assert checkpoint.read(shutil.copytree(folder, tmp_path / "elsewhere")) == checkpoint.read(folder)
