import concurrent.futures
import gc
import io
import json
import logging
import os
import shutil
import signal
import sys
import tarfile
import time

import numpy as np
import pytest
import torch
from PIL import Image

from dlx.data import image_cache, image_pixels, image_workers
from dlx.data.image_archives import find
from dlx.data.image_listing import by_folders, walk
from dlx.errors import DlxError, Misfit
from dlx.processors.image_decoding import ENDINGS, Decoding
from dlx.registry import sources


def write(root, names, size=(6, 5), start=0):
    for number, name in enumerate(names, start):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / name)


def classes(count=10, kinds=("cat", "dog")):
    return [f"{kind}/{n:02}.png" for kind in kinds for n in range(count)]


@pytest.fixture
def folder(tmp_path):
    write(
        tmp_path / "data", [f"{split}/{name}" for split, n in (("train", 10), ("valid", 4), ("test", 3)) for name in classes(n)]
    )
    return tmp_path / "data"


def build(folder, cache=None, **choices):
    given = {"path": str(folder), "image_size": 4, "cache": str(cache or folder.parent / "cache"), "batch_size": 4}
    return sources.build("image_folder", given | choices, {"seed": 0})


def listed(source):
    return {split: torch.cat([b["target"] for b in source.evaluate(None, split)]).tolist() for split in source.splits()}


def test_splits_are_folders(folder):
    source = build(folder)
    assert listed(source) == {"train": [0] * 10 + [1] * 10, "val": [0] * 4 + [1] * 4, "test": [0] * 3 + [1] * 3}
    facts = source.facts
    assert facts["input_shape"] == [3, 4, 4]
    assert facts["in_channels"] == 3
    assert facts["class_names"] == ["cat", "dog"]
    assert facts["class_counts"] == [10, 10]
    whole = torch.cat([b["input"] for b in source.evaluate(None, "train")])
    assert whole.dtype == torch.float32
    assert torch.allclose(whole.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(whole.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)


def test_splits_are_drawn_from_classes(tmp_path):
    write(tmp_path / "data", classes(20))
    source = build(tmp_path / "data", val=0.25)
    assert {split: [found.count(0), found.count(1)] for split, found in listed(source).items()} == {
        "train": [11, 11], "val": [5, 5], "test": [4, 4],
    }  # fmt: skip
    assert build(tmp_path / "data", val=0.0, test=0.0).splits() == ["train"]


def test_a_class_may_be_called_train(tmp_path):
    write(tmp_path / "data", classes(10, ("plane", "train")))
    assert build(tmp_path / "data").facts["class_names"] == ["plane", "train"]


def test_predict_encodes_as_training_did(folder):
    source = build(folder, cache_size=6, resize="crop")
    files = [str(folder / "test" / name) for name in classes(3)]
    batch = source.processor.encode(list(source.processor.read(files)))
    assert torch.equal(batch["input"], torch.cat([b["input"] for b in source.evaluate(None, "test")]))


def break_some(folder):
    (folder / "train/cat/00.png").write_bytes(b"nothing")
    (folder / "train/cat/01.png").write_bytes((folder / "train/cat/01.png").read_bytes()[:60])
    Image.new("RGB", (5, 5)).save(folder / "train/dog/00.png", "JPEG")
    Image.new("1", (30000, 30000)).save(folder / "test/dog/00.png")


@pytest.mark.parametrize("cache", [None, "none"])
def test_bad_files_come_in_one_report_and_are_skipped_only_when_asked(folder, caplog, cache):
    break_some(folder)
    for _ in range(2):  # the second time from the cache
        with pytest.raises(Misfit) as caught:
            build(folder, cache)
        message = str(caught.value)
        assert message.startswith("4 of 34 images cannot be used (")
        assert "1 mislabelled" in message
        assert "1 oversized" in message
        assert "on_bad: skip" in message
        for name in (
            "train/cat/00.png: unreadable",
            "train/cat/01.png: ",
            "train/dog/00.png: mislabelled",
            "test/dog/00.png: over",
        ):
            assert name in message
    with caplog.at_level(logging.WARNING, "dlx"):
        source = build(folder, cache, on_bad="skip")
    assert "skipped: 4 of 34 images" in caplog.text
    assert source.facts["skipped_count"] == 4
    assert source.facts["class_counts"] == [8, 9]
    assert [len(found) for found in listed(source).values()] == [17, 8, 5]


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_without_a_cache_batches_are_the_same_by_any_number_of_workers(folder, num_workers):
    kept, decoded = build(folder), build(folder, cache="none", num_workers=num_workers)
    for _ in range(2):
        for one, other in zip(kept.train(), decoded.train(), strict=True):
            assert torch.equal(one["input"], other["input"])
    training = decoded.train()  # an evaluation may come between two batches
    next(training)
    evaluated = torch.cat([b["input"] for b in decoded.evaluate(None, "test")])
    assert torch.equal(evaluated, torch.cat([b["input"] for b in kept.evaluate(None, "test")]))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_file_that_is_lost_while_training_is_named(folder, num_workers):
    source = build(folder, cache="none", num_workers=num_workers)
    (folder / "train/cat/03.png").unlink()
    with pytest.raises(DlxError, match=r"train/cat/03.png: cannot be read: No such file"):
        list(source.train())


def test_workers_without_a_cache_end_with_their_data_set(folder):
    source = build(folder, cache="none", num_workers=2)
    decode = source.data["train"]["input"].decode
    processes, scratch = [worker.process for worker in decode.workers.processes], decode.scratch
    assert [process.poll() for process in processes] == [None, None]
    assert os.path.getsize(scratch) > 0
    del source, decode
    gc.collect()
    assert [process.poll() for process in processes] == [-signal.SIGKILL] * 2
    assert not os.path.exists(scratch)


def test_links_out_of_the_folder_are_not_followed(folder, caplog):
    write(folder.parent / "elsewhere", ["secret.png"], start=99)
    (folder / "train/cat/x.png").symlink_to(folder.parent / "elsewhere/secret.png")
    (folder / "train/dog/inside.png").symlink_to(folder / "train/dog/01.png")
    (folder / "train/bird").symlink_to(folder.parent / "elsewhere")
    with caplog.at_level(logging.WARNING, "dlx"):
        source = build(folder)
    assert source.facts["class_counts"] == [10, 11]
    assert "2 links were not followed: train/bird, train/cat/x.png" in caplog.text


def test_a_folder_that_cannot_be_read_is_told(folder, monkeypatch):
    scan = os.scandir

    def refused(place):
        if str(place).endswith("train/dog/"):
            raise PermissionError(13, "Permission denied", place)
        return scan(place)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(Misfit, match="train/dog/: cannot be read: Permission denied"):
        build(folder)


def test_duplicates_across_splits_are_told(folder, caplog):
    shutil.copy(folder / "train/cat/03.png", folder / "test/dog/01.png")
    shutil.copy(folder / "train/cat/03.png", folder / "valid/cat/00.png")
    with caplog.at_level(logging.WARNING, "dlx"):
        build(folder)
    assert "1 test image is in train too, byte for byte: train/cat/03.png = test/dog/01.png" in caplog.text
    assert "1 val image is in train too" in caplog.text
    assert "1 test image is in val too" in caplog.text


@pytest.mark.parametrize(
    ("names", "choices", "message"),
    [
        ([], {}, "no images in"),
        (["a.png"], {}, "1 image does not lie in class/file: a.png"),
        ([f"train/{n}" for n in classes(2)] + ["test/cow/1.png"], {}, "1 class is not in the training split: test/cow"),
        ([f"train/{n}" for n in classes(2)] + ["extra/cow/1.png"], {}, "beside train, 1 folder is no split: extra"),
        (classes(5, ("cat",)), {}, "the training images have 1 classes"),
        ([f"train/{n}" for n in classes(2)] + ["test/cat/1.png"], {"test": 0.5}, "has a split test of its own"),
        (classes(5), {"cache_size": 3}, "is less than image_size 4x4"),
        (classes(5), {"augment": [{"random_crop": 30}]}, "cannot be reflected"),
    ],
)
def test_what_does_not_fit_is_a_misfit(tmp_path, names, choices, message):
    (tmp_path / "data").mkdir()
    write(tmp_path / "data", names)
    with pytest.raises(Misfit, match=message):
        build(tmp_path / "data", **choices)


def archive(file, root, prefix=""):
    with tarfile.open(file, "w:gz" if str(file).endswith("gz") else "w") as made:
        made.add(root, prefix or ".")


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz"])
def test_archives_stand_for_folders(folder, ending):
    plain = build(folder)
    packed = folder.parent / "packed"
    packed.mkdir()
    for split in ("train", "valid", "test"):
        archive(packed / f"{split}{ending}", folder / split, f"deep/{split}")
    archive(folder.parent / f"whole{ending}", folder, "whole")
    for path in (packed, folder.parent / f"whole{ending}"):
        for _ in range(2):
            source = build(path, folder.parent / "cache")
            for split in ("train", "val", "test"):
                one, other = next(plain.evaluate(None, split)), next(source.evaluate(None, split))
                assert torch.equal(one["target"], other["target"])
                assert torch.equal(one["input"], other["input"])
    assert not list((folder.parent / "cache").glob("*.partial"))


def test_an_archive_that_is_cut_or_compressed_without_a_cache_is_told(folder):
    whole = folder.parent / "whole.tar.gz"
    archive(whole, folder)
    with pytest.raises(Misfit, match="only by way of a cache"):
        build(whole, "none")
    whole.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(Misfit, match="cannot be read as an archive"):
        build(whole)


def test_members_that_are_links_are_not_followed(tmp_path):
    file = tmp_path / "a.tar"
    with tarfile.open(file, "w") as made:
        for kind in ("cat", "dog"):
            for n in range(3):
                buffer = io.BytesIO()
                Image.new("RGB", (4, 4), (n, n, n)).save(buffer, "PNG")
                member = tarfile.TarInfo(f"../{kind}/{n}.png")
                member.size = buffer.tell()
                buffer.seek(0)
                made.addfile(member, buffer)
        link = tarfile.TarInfo("cat/passwd.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    found = find(str(file), ENDINGS, None)
    assert found.links == ["a.tar: cat/passwd.png"]
    assert len(found.names) == 6


def caches(folder):
    return {place: place.stat().st_ino for place in (folder.parent / "cache").glob("images-*") if place.is_dir()}


def test_a_cache_is_used_again_and_never_stale(folder):
    first = build(folder)
    kept = caches(folder)
    build(folder)
    assert caches(folder) == kept
    file = folder / "train/cat/00.png"
    Image.new("RGB", (6, 5), "white").save(file)
    second = build(folder)
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
    file.rename(folder / "train/dog/99.png")
    assert build(folder).facts["class_counts"] == [9, 11]


def test_two_builds_give_the_same_bytes(folder):
    build(folder)
    build(folder, folder.parent / "other")
    one, other = (next((folder.parent / name).glob("images-*/pixels")).read_bytes() for name in ("cache", "other"))
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
    place.rename(f"{place}.partial")
    build(folder)
    assert list(caches(folder)) == [place]


def test_a_cache_that_cannot_be_written_or_is_too_small_is_told(folder, monkeypatch):
    (folder.parent / "file").write_text("")
    with pytest.raises(Misfit, match="cannot be written"):
        build(folder, folder.parent / "file" / "cache")
    monkeypatch.setattr(image_cache.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(Misfit, match=r"and 0\.0 are free"):
        build(folder)


def decode_here(arguments):
    root, cache = arguments
    files = by_folders(walk(root, ENDINGS), "auto").files
    return image_cache.decoded(files, Decoding(4, 4), cache, 2).digests.tolist()


def test_two_processes_at_once_decode_once(folder):
    arguments = (str(folder), str(folder.parent / "cache"))
    with concurrent.futures.ThreadPoolExecutor(4) as threads:  # each opens the lock's file anew, as a process does
        found = list(threads.map(decode_here, [arguments] * 4))
    assert all(one == found[0] for one in found)
    assert len(caches(folder)) == 1


def test_workers_decode_the_same_and_heed_no_signal(folder, monkeypatch):
    alone = decode_here((str(folder), str(folder.parent / "alone")))
    monkeypatch.setattr(image_workers, "ALONE", 0)
    monkeypatch.setattr(image_cache, "CHUNK", 5)
    serve = image_workers.Worker.serve

    def disturbed(self, first, *rest):
        answer = serve(self, first, *rest)
        os.kill(self.process.pid, signal.SIGINT)
        os.kill(self.process.pid, signal.SIGTERM)
        return answer

    monkeypatch.setattr(image_workers.Worker, "serve", disturbed)
    assert decode_here((str(folder), str(folder.parent / "many"))) == alone
    one, other = (next((folder.parent / name).glob("images-*/pixels")).read_bytes() for name in ("alone", "many"))
    assert one == other


def test_a_worker_that_dies_or_hangs_is_an_error(folder, monkeypatch):
    monkeypatch.setattr(image_workers, "ALONE", 0)
    serve = image_workers.Worker.serve

    def killed(self, *order):
        self.process.kill()
        self.process.wait()
        return serve(self, *order)

    monkeypatch.setattr(image_workers.Worker, "serve", killed)
    with pytest.raises(DlxError, match=r"a worker failed while decoding test/cat/00.png to"):
        build(folder)
    monkeypatch.setattr(image_workers.Worker, "serve", serve)
    monkeypatch.setattr(image_workers, "TIMEOUT", 0.0)
    with pytest.raises(DlxError, match="took more than 0 seconds"):
        build(folder, num_workers=1)
    assert caches(folder) == {}


def test_large_splits_stay_in_their_file(folder, monkeypatch):
    small = build(folder, augment=["horizontal_flip"])
    monkeypatch.setattr(image_pixels, "SMALL", 0)
    monkeypatch.setattr("dlx.data.memory.SMALL", 0)
    large = build(folder, augment=["horizontal_flip"])
    assert isinstance(large.data["train"]["input"], image_pixels.StoredImages)
    for one, other in zip(small.train(), large.train(), strict=True):
        assert torch.equal(one["input"], other["input"])
    place = next((folder.parent / "cache").glob("images-*/pixels"))
    os.truncate(place, 100)
    with pytest.raises(DlxError, match="is cut short at image"):
        list(large.evaluate(None, "train"))


def test_memory_does_not_grow_with_epochs_over_a_million_images(tmp_path):
    file = tmp_path / "pixels"
    count, shape = 1_000_000, (3, 16, 16)
    with open(file, "wb") as made:
        made.truncate(count * 768)  # a hole: no disk is used
    images = image_pixels.StoredImages(str(file), (count, *shape), np.arange(count))

    def resident():
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    index = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    images.index_select(0, index[:10_000])
    before = resident()
    for start in range(0, 300_000, 1000):
        images.index_select(0, index[start : start + 1000])
    assert resident() - before < 20 * 2**20


def test_listing_is_linear(tmp_path):
    calls = []
    for count in (500, 1000, 1500):
        for n in range(count - 500, count):
            for kind in ("a", "b"):
                (tmp_path / kind).mkdir(exist_ok=True)
                (tmp_path / kind / f"{n:04}.jpg").touch()
        calls.append(0)
        sys.setprofile(lambda *event: calls.append(calls.pop() + 1))
        try:
            listing = by_folders(walk(str(tmp_path), ENDINGS), "auto")
            listing.files.digest()
        finally:
            sys.setprofile(None)
        assert len(listing.labels) == 2 * count
    assert calls[2] - calls[1] < 1.1 * (calls[1] - calls[0])  # calls of functions: as many for the last files as for the others


def csv(tmp_path, text):
    write(tmp_path, classes(10))
    (tmp_path / "list.csv").write_text(text)
    choices = {"path": str(tmp_path / "list.csv"), "image_size": 4, "cache": str(tmp_path / "cache")}
    return sources.build("image_csv", choices, {"seed": 0})


def test_a_csv_lists_images(tmp_path):
    rows = [f"{name},{name[:3]},{'test' if n % 5 == 0 else 'train'}" for n, name in enumerate(classes(10))]
    source = csv(tmp_path, "\n".join(["file,label,split", *rows]))
    assert {split: len(found) for split, found in listed(source).items()} == {"train": 12, "val": 4, "test": 4}
    assert source.facts["class_names"] == ["cat", "dog"]
    drawn = csv(tmp_path, "\n".join(["label,file", *(f"{name[:3]},{name}" for name in classes(10))]))
    assert {split: len(found) for split, found in listed(drawn).items()} == {"train": 12, "val": 4, "test": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unknown column"),
        ("file,label\n", "lists no image"),
        ("fil,label\ncat/00.png,cat", "'file': unknown column; did you mean 'fil'"),
        ("file,label\ncat/00.png,cat\ncat/00.png,dog", "1 file stands there more than once: cat/00.png"),
        ("file,label,split\ncat/00.png,cat,trian", ":2: 'trian' is no split"),
        ("file,label\ncat/00.png", ":2: has 1 cells, but the header has 2"),
        ("file,label\ncat/00.png,", ":2: no label"),
        (
            "file,label\ncat/nope.png,cat\ndog/00.png,dog",
            "1 of 2 images cannot be used .*\n.*cat/nope.png: cannot be read: No such",
        ),
    ],
)
def test_a_wrong_list_is_told(tmp_path, text, message):
    with pytest.raises(Misfit, match=message):
        csv(tmp_path, text)


def test_the_cache_folder_is_expanded(monkeypatch, tmp_path):
    marker = image_cache.CacheFolder()
    monkeypatch.setenv("HERE", str(tmp_path))
    assert marker.check("$HERE/x", ()) == (str(tmp_path / "x"), [])
    assert marker.check("none", ()) == ("none", [])
    assert marker.check("$NOT_SET_AT_ALL/x", ())[1]
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert image_cache.folder(None) == "/somewhere/dlx"
    assert image_cache.folder("none") is None


def test_index_is_json(folder):
    build(folder)
    (place,) = caches(folder)
    assert json.loads((place / "index.json").read_text())["shape"] == [34, 3, 4, 4]
