"""The cache of images: a folder of dlx's own, closed to others, that writes and deletes nothing of the user's."""

import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest
from tests.helpers.image_files import build, caches, classes, write

from dlx.data.image import store
from dlx.errors import ComponentError, DlxError
from dlx.registry import sources


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "data", classes(10))
    return tmp_path / "data"


def own(folder):
    return folder.parent / "cache" / "dlx-images"


def test_a_folder_of_the_users_keeps_all_it_has(folder):
    project = folder.parent / "cache"
    (project / "images-old.partial").mkdir(parents=True)
    for name in ("README", "images-old.partial/thesis"):
        (project / name).write_text("mine")
    build(folder)
    assert sorted(path.name for path in project.iterdir()) == ["README", "dlx-images", "images-old.partial"]
    assert (project / "README").read_text() == (project / "images-old.partial/thesis").read_text() == "mine"


@pytest.mark.parametrize("tag", [None, "Signature: 8a477f597d28d172789f06886806bc55\n# another program's", "link", "folder"])
def test_a_folder_that_dlx_did_not_make_is_left_alone(folder, tag):
    own(folder).mkdir(parents=True)
    (own(folder) / "images-x.0123456789abcdef.partial").mkdir()
    if tag == "link":
        write(folder.parent / "other", classes(10))
        build(folder.parent / "other", folder.parent / "elsewhere")
        (own(folder) / "CACHEDIR.TAG").symlink_to(folder.parent / "elsewhere/dlx-images/CACHEDIR.TAG")
    elif tag == "folder":
        (own(folder) / "CACHEDIR.TAG").mkdir()
    elif tag:
        (own(folder) / "CACHEDIR.TAG").write_text(tag)
    before = sorted(os.listdir(own(folder)))
    with pytest.raises(
        ComponentError, match=r"dlx-images: was not made by dlx: .*nothing is written there: name another folder"
    ) as caught:
        build(folder)
    assert caught.value.path == ("cache",)
    assert sorted(os.listdir(own(folder))) == before


def test_a_link_in_its_place_or_the_folder_of_another_user_is_refused(folder, monkeypatch):
    (folder.parent / "precious").mkdir()
    (folder.parent / "cache").mkdir()
    own(folder).symlink_to(folder.parent / "precious")
    with pytest.raises(ComponentError, match="is a link or a file, where dlx keeps a folder of its own"):
        build(folder)
    assert not list((folder.parent / "precious").iterdir())
    own(folder).unlink()
    build(folder)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with pytest.raises(ComponentError, match="belongs to another user"):
        build(folder)


def test_links_within_it_lead_no_write_outside(folder):
    build(folder)
    (place,) = caches(folder)
    precious = folder.parent / "precious"
    precious.write_text("mine")
    lock = place.with_name(f"{place.name}.lock")
    place.rename(folder.parent / "old")  # a thread may still be bringing it to the disk
    place.symlink_to(precious)
    build(folder)  # the link is replaced
    assert list(caches(folder)) == [place]
    place.rename(folder.parent / "older")
    lock.unlink()
    lock.symlink_to(precious)
    with pytest.raises(DlxError, match="cannot be kept there"):
        build(folder)
    assert precious.read_text() == "mine"


def test_only_its_owner_may_look_into_it(folder):
    before = os.umask(0)
    try:
        build(folder)
    finally:
        os.umask(before)
    for _ in range(100):  # the mark that all is on the disk is written by a thread
        if list(own(folder).glob("*/synced")):
            break
        time.sleep(0.05)
    modes = {path.name: path.lstat().st_mode & 0o777 for path in [own(folder), *own(folder).rglob("*")]}
    assert {"pixels", "digests", "index.json", "CACHEDIR.TAG", "synced"} <= set(modes)
    assert {mode for name, mode in modes.items() if (own(folder) / name).is_dir() or name == "dlx-images"} == {0o700}
    assert not {name for name, mode in modes.items() if mode & 0o077}


def test_what_a_process_left_is_swept_when_it_is_gone_and_not_before(folder):
    build(folder)
    left = own(folder) / "images-left.0123456789abcdef.partial"
    left.mkdir()
    (left / "pixels").write_bytes(b"1")
    with open(own(folder) / "images-left.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build(folder)
        assert left.exists()
    build(folder)
    assert not left.exists()


KILLED = """
import os, signal, sys
from dlx.data.image import cache as image_cache
from dlx.registry import sources
def kill(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
image_cache.decode_to = kill
sources.build("image_folder", {"path": sys.argv[1], "image_size": 4, "cache": sys.argv[2]}, {"seed": 0})
"""


def test_a_kill_while_decoding_leaves_nothing_for_long(folder):
    given = [sys.executable, "-c", KILLED, str(folder), str(folder.parent / "cache")]
    assert subprocess.run(given, check=False).returncode == -signal.SIGKILL
    assert list(own(folder).glob("*.partial"))
    build(folder)
    assert not list(own(folder).glob("*.partial"))


FULL = """
import resource, sys
from dlx.data.image import workers as image_workers
from dlx.errors import DlxError
from dlx.registry import sources
image_workers.ALONE = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
from dlx.data.image import cache as image_cache
image_cache.os.truncate = lambda *arguments: None  # so that it is the pixels that do not fit
choices = {"path": sys.argv[1], "image_size": 400, "num_workers": 2, "cache": sys.argv[2]}
try:
    source = sources.build("image_folder", choices, {"seed": 0})
    list(source.train())
except DlxError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("alone", [0, 1000])
@pytest.mark.parametrize("cache", ["cache", "none"])
def test_a_full_disk_is_one_message_and_leaves_nothing(folder, alone, cache):
    place = "none" if cache == "none" else str(folder.parent / cache)
    given = [sys.executable, "-c", FULL, str(folder), place, str(alone)]
    done = subprocess.run(given, capture_output=True, text=True, check=True)
    where = f"{place}: the decoded images cannot be kept there" if cache != "none" else "decoded images cannot be written there"
    assert done.stdout.startswith("DlxError ")
    assert f"{where}: " in done.stdout
    assert "Traceback" not in done.stderr
    if cache != "none":
        assert not list(own(folder).glob("*.partial"))


def test_a_disk_that_may_only_be_read_is_told_and_what_it_holds_is_used(folder, monkeypatch):
    build(folder)

    def refused(*arguments, **options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(store.fcntl, "flock", refused)
    monkeypatch.setattr(store.Store, "new", refused)
    build(folder)
    with pytest.raises(DlxError, match="cannot be kept there: Read-only file system; make room, or name another folder"):
        build(folder, image_size=3)
    monkeypatch.setattr(store.os, "makedirs", refused)
    with pytest.raises(ComponentError, match="cannot be written: Read-only file system; name another folder, or none"):
        build(folder, folder.parent / "new")


def test_workers_are_counted_before_they_are_started(folder):
    from dlx.registry.signatures import check

    _, faults = check(sources.signatures["image_folder"], {"path": str(folder), "image_size": 4, "num_workers": 1_000_000})
    assert [(fault.path, fault.message) for fault in faults] == [
        (("num_workers",), "wants a number of at most 256, not 1000000")
    ]
