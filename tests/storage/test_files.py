import os
import stat
import tracemalloc

import pytest

from dlx.errors import printable
from dlx.storage import files


def test_writing_replaces_a_link_and_leaves_its_target(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("mine")
    link.symlink_to(target)
    files.write(link, b"new")
    assert target.read_text() == "mine"
    assert link.read_text() == "new"
    assert not link.is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "target"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("old")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        files.write(tmp_path / "file", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_creating_replaces_nothing(tmp_path):
    files.create(tmp_path / "file", b"first")
    with pytest.raises(FileExistsError):
        files.create(tmp_path / "file", b"second")
    (tmp_path / "dangling").symlink_to(tmp_path / "absent")
    with pytest.raises(FileExistsError):
        files.create(tmp_path / "dangling", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert not (tmp_path / "absent").exists()
    assert {p.name for p in tmp_path.iterdir()} == {"file", "dangling"}


def test_appending_follows_no_link(tmp_path):
    (tmp_path / "target").write_text("mine")
    (tmp_path / "log").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="is a link"):
        files.append(tmp_path / "log")
    with files.append(tmp_path / "real") as file:
        file.write(b"a")
    with files.append(tmp_path / "real") as file:
        file.write(b"b")
    assert (tmp_path / "real").read_bytes() == b"ab"


def test_reading_is_bounded_and_waits_for_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert files.read(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        files.read(tmp_path / "file", 4)
    with open(tmp_path / "sparse", "wb") as sparse:
        sparse.truncate(10**12)
    with pytest.raises(OSError, match="larger than"):
        files.read(tmp_path / "sparse", 10**6)
    os.mkfifo(tmp_path / "pipe")
    for strange in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(OSError, match="no regular file"):
            files.read(strange, 10)
    with pytest.raises(OSError, match=r"regular file|directory"):
        files.read(tmp_path, 10)


def test_reading_takes_memory_for_what_is_there_and_not_for_what_might_be(tmp_path):
    (tmp_path / "small").write_bytes(b"12345")
    tracemalloc.start()
    try:
        assert files.read(tmp_path / "small", 1 << 28) == b"12345"
        assert files.read("/proc/self/status", 1 << 28).startswith(b"Name:")  # whose size is said to be 0
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    with pytest.raises(OSError, match="larger than 4 bytes"):
        files.read("/proc/self/status", 4)


def test_a_folder_is_made_or_found_but_no_link(tmp_path):
    files.make_folder(tmp_path / "folder")
    files.make_folder(tmp_path / "folder")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    with pytest.raises(OSError, match="link"):
        files.make_folder(tmp_path / "link")


def test_permissions_are_those_asked_for(tmp_path):
    files.write(tmp_path / "private", b"", mode=0o600)
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600


def test_what_acts_on_a_terminal_is_escaped():
    assert printable("a\x1b[2Jb\x07\u202e\udcff\x7f\x9b") == "a\\x1b[2Jb\\x07\\u202e\\udcff\\x7f\\x9b"
    assert printable("Grüße, 世界\n\tand\u00a0more") == "Grüße, 世界\n\tand\u00a0more"
