import concurrent.futures
import json
import os
import shutil
import time

import numpy as np
import pytest
import torch
from PIL import Image
from tests.helpers.image_files import build, caches, classes, listed, splits, write

from dlx.data.image import cache as image_cache
from dlx.data.image import pixels
from dlx.data.image.listing import by_folders
from dlx.data.image.names import walk
from dlx.data.image.store import CacheFolder, Store
from dlx.data.image.store import folder as cache_folder
from dlx.data.image.unpacking import Plain
from dlx.errors import ComponentError, DlxError
from dlx.processors.image.decoding import ENDINGS, Decoding


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "data", classes(17))
    return tmp_path / "data"


def test_a_cache_is_used_again_and_never_stale(folder):
    first = build(folder, val=0.0, test=0.0)
    kept = caches(folder)
    build(folder)
    assert caches(folder) == kept
    file = folder / "cat/00.png"
    Image.new("RGB", (6, 5), "white").save(file)
    second = build(folder, val=0.0, test=0.0)
    assert len(caches(folder)) == 2
    assert not torch.equal(next(first.evaluate(None, "train"))["input"], next(second.evaluate(None, "train"))["input"])
    status = file.stat()
    size = status.st_size
    other = Image.new("RGB", (6, 5), "black")
    other.save(file)
    with open(file, "ab") as padded:
        padded.write(b"\0" * (size - file.stat().st_size))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # same size, same time: the inode's time tells
    build(folder)
    assert len(caches(folder)) == 3
    for choices in ({"image_size": 5}, {"channels": 1}, {"resize": "crop"}, {"cache_size": 6}, {"max_pixels": 1000}):
        before = len(caches(folder))
        build(folder, **choices)
        assert len(caches(folder)) == before + 1
    file.rename(folder / "dog/99.png")
    assert [len(found) for found in listed(build(folder, val=0.0, test=0.0)).values()] == [34]
    assert build(folder, val=0.0, test=0.0).facts["class_counts"] == [16, 18]


def test_every_part_has_a_cache_of_its_own(tmp_path):
    folder = splits(tmp_path / "data")
    build(folder)
    before = caches(folder)
    assert len(before) == 3
    Image.new("RGB", (6, 5), "white").save(folder / "train/cat/00.png")
    build(folder)
    after = caches(folder)
    assert len(after) == 4
    assert before.items() <= after.items()


def test_two_builds_give_the_same_bytes(folder):
    build(folder)
    build(folder, folder.parent / "other")
    one, other = (
        next((folder.parent / name / "dlx-images").glob("images-*/pixels")).read_bytes() for name in ("cache", "other")
    )
    assert one == other


@pytest.mark.parametrize("name", ["pixels", "digests", "index.json"])
def test_a_cache_that_is_not_whole_is_made_again(folder, name):
    before = next(build(folder).evaluate(None, "train"))["input"]
    (place,) = caches(folder)
    (place / name).write_bytes((place / name).read_bytes()[:-9])
    assert torch.equal(before, next(build(folder).evaluate(None, "train"))["input"])


def test_a_cache_is_trusted_after_a_crash_only_if_it_was_on_the_disk(folder, monkeypatch):
    build(folder)
    (place,) = caches(folder)
    for _ in range(200):
        if (place / "synced").exists():
            break
        time.sleep(0.05)
    before = place.stat().st_ino
    monkeypatch.setattr(image_cache, "_boot", lambda: "another")
    build(folder)
    assert place.stat().st_ino == before
    (place / "pixels").write_bytes(bytes((place / "pixels").stat().st_size))  # what a power cut may leave
    (place / "synced").unlink()
    assert next(build(folder).evaluate(None, "train"))["input"].std() > 0.5
    assert any((place / "pixels").read_bytes())


def test_what_a_killed_build_left_is_swept(folder):
    build(folder)
    (place,) = caches(folder)
    place.rename(f"{place}.0123456789abcdef.partial")
    build(folder)
    assert list(caches(folder)) == [place]


def test_a_cache_that_cannot_be_written_or_is_too_small_is_told(folder, monkeypatch):
    (folder.parent / "file").write_text("")
    with pytest.raises(ComponentError, match="cannot be written"):
        build(folder, folder.parent / "file" / "cache")
    monkeypatch.setattr(image_cache.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(ComponentError, match=r"and 0\.0 are free"):
        build(folder)


def decode_here(arguments):
    root, cache = arguments
    files = by_folders(walk(root, ENDINGS), "auto").files
    return image_cache.decoded(files, Decoding(4, 4), Store(cache), 2, Plain([], cache)).digests.tolist()


def test_two_processes_at_once_decode_once(folder):
    arguments = (str(folder), str(folder.parent / "cache"))
    with concurrent.futures.ThreadPoolExecutor(4) as threads:  # each opens the lock's file anew, as a process does
        found = list(threads.map(decode_here, [arguments] * 4))
    assert all(one == found[0] for one in found)
    assert len(caches(folder)) == 1


def test_large_splits_stay_in_their_file(folder, monkeypatch):
    small = build(folder, augment=["horizontal_flip"])
    monkeypatch.setattr(pixels, "SMALL", 0)
    monkeypatch.setattr("dlx.data.in_memory.SMALL", 0)
    large = build(folder, augment=["horizontal_flip"])
    assert isinstance(large.data["train"]["input"], pixels.StoredImages)
    for one, other in zip(small.train(), large.train(), strict=True):
        assert torch.equal(one["input"], other["input"])
    (place,) = caches(folder)
    os.truncate(place / "pixels", 100)
    with pytest.raises(DlxError, match="is cut short at image"):
        list(large.evaluate(None, "train"))


def test_memory_does_not_grow_with_epochs_over_a_million_images(tmp_path):
    file = tmp_path / "pixels"
    count, shape = 1_000_000, (3, 16, 16)
    with open(file, "wb") as made:
        made.truncate(count * 768)  # a hole: no disk is used
    images = pixels.StoredImages(str(file), (count, *shape), np.arange(count))

    def resident():
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    index = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    images.index_select(0, index[:10_000])
    before = resident()
    for start in range(0, 300_000, 1000):
        images.index_select(0, index[start : start + 1000])
    assert resident() - before < 20 * 2**20


def test_the_cache_folder_is_expanded(monkeypatch, tmp_path):
    marker = CacheFolder()
    monkeypatch.setenv("HERE", str(tmp_path))
    assert marker.check("$HERE/x", ()) == (str(tmp_path / "x"), [])
    assert marker.check("none", ()) == ("none", [])
    assert marker.check("$NOT_SET_AT_ALL/x", ())[1]
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder(None) == "/somewhere/dlx"
    assert cache_folder("none") is None


def test_index_is_json(folder):
    build(folder)
    (place,) = caches(folder)
    assert json.loads((place / "index.json").read_text())["shape"] == [34, 3, 4, 4]
