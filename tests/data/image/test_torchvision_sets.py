import gzip
import hashlib
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from dlx.errors import ComponentError
from dlx.registry import sources

COUNT = 30
NAMES = ["mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn", "stl10", "flowers102", "oxford_iiit_pet", "food101",
         "dtd", "fgvc_aircraft"]  # fmt: skip


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder, zipped):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for prefix, count in (("train", COUNT), ("t10k", 10)):
        arrays = {
            "images-idx3": rng.integers(0, 256, (count, 28, 28), np.uint8),
            "labels-idx1": np.arange(count, dtype=np.uint8) % 10,
        }
        for kind, array in arrays.items():
            content = gzip.compress(idx(array)) if zipped else idx(array)
            (folder / f"{prefix}-{kind}-ubyte{'.gz' * zipped}").write_bytes(content)


def build(name, path, **choices):
    return sources.build(name, {"path": str(path), **choices}, {"seed": 0})


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("below", ["", "FashionMNIST/raw"])
def test_idx_files_are_read_where_they_lie(tmp_path, zipped, below):
    write_idx(tmp_path / "data" / below, zipped)
    source = build("fashion_mnist", tmp_path / "data", val=1 / 3)
    assert source.facts["input_shape"] == [1, 28, 28]
    assert source.facts["class_names"][9] == "Ankle boot"
    assert [len(source.data[split]["target"]) for split in source.splits()] == [20, 10, 10]
    assert source.facts["class_counts"] == [2] * 10
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (COUNT, 28, 28), np.uint8))
    for split in ("train", "val"):
        assert all(any(torch.equal(image[0], known) for known in pixels) for image in source.data[split]["input"])


def test_sizes_and_channels_may_be_others(tmp_path):
    write_idx(tmp_path / "raw", True)
    source = build("mnist", tmp_path, image_size=[32, 20], channels=3, val=0.34, augment=["random_crop"])
    assert next(source.train())["input"].shape[1:] == (3, 32, 20)
    image = Image.new("L", (28, 28), 7)
    image.save(tmp_path / "a.png")
    assert source.processor.encode(list(source.processor.read([str(tmp_path / "a.png")])))["input"].shape == (1, 3, 32, 20)


@pytest.mark.parametrize("damage", [lambda c: c[:-1], lambda c: b"\0\0\x09" + c[3:], lambda c: b"", lambda c: c[:6]])
def test_idx_files_that_are_not_whole_are_told(tmp_path, damage):
    write_idx(tmp_path / "data", False)
    file = tmp_path / "data" / "train-labels-idx1-ubyte"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ComponentError, match="is no whole idx file of bytes"):
        build("mnist", tmp_path / "data")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_there_is_told_with_place_and_remedy(tmp_path, name):
    choices = {} if name in NAMES[:7] else {"image_size": 8}
    with pytest.raises(ComponentError, match=f"(?s)in {tmp_path}/none: expected .*; download: true fetches it") as caught:
        build(name, tmp_path / "none", **choices)
    assert caught.value.path == ("path",)
    assert not (tmp_path / "none").exists()


def test_a_download_that_fails_is_told(tmp_path, monkeypatch):
    def failing(self):
        raise RuntimeError("no network")

    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", failing)
    with pytest.raises(ComponentError, match=r"CIFAR10 cannot be downloaded to .*: no network") as caught:
        build("cifar10", tmp_path, download=True)
    assert caught.value.path == ("download",)


def test_what_is_not_there_is_downloaded_by_torchvision_once(tmp_path, monkeypatch, served):
    folder, address = served
    write_idx(folder / "files", True)
    files = sorted((folder / "files").iterdir())
    cls = torchvision.datasets.FashionMNIST
    monkeypatch.setattr(cls, "mirrors", [f"{address}files/"])
    monkeypatch.setattr(cls, "resources", [(file.name, hashlib.md5(file.read_bytes()).hexdigest()) for file in files])
    made = [build("fashion_mnist", tmp_path / "data", download=True, val=1 / 3)]
    monkeypatch.setattr(cls, "mirrors", [])
    made.append(build("fashion_mnist", tmp_path / "data", download=True, val=1 / 3))
    placed = build("fashion_mnist", folder / "files", val=1 / 3)
    for source in made:
        assert all(torch.equal(source.data[split]["input"], placed.data[split]["input"]) for split in placed.splits())


def test_a_download_that_is_damaged_is_told(tmp_path, monkeypatch, served):
    folder, address = served
    write_idx(folder / "files", True)
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [f"{address}files/"])
    with pytest.raises(ComponentError, match=r"(?s)MNIST cannot be downloaded to .*File not found or corrupted"):
        build("mnist", tmp_path / "data", download=True)


def test_cifar10_is_read_by_torchvision(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    cls, rng = torchvision.datasets.CIFAR10, np.random.default_rng(0)
    names = [f"class{n}" for n in range(10)]
    for name in ("data_batch_1", "test_batch", "batches.meta"):
        content = {
            "data": rng.integers(0, 256, (20, 3072), np.uint8),
            "labels": [n % 10 for n in range(20)],
            "label_names": names,
        }
        (folder / name).write_bytes(pickle.dumps(content))
    monkeypatch.setattr(cls, "train_list", [["data_batch_1", None]])
    monkeypatch.setattr(cls, "test_list", [["test_batch", None]])
    monkeypatch.setattr(cls, "meta", {"filename": "batches.meta", "key": "label_names", "md5": None})
    source = build("cifar10", tmp_path, val=0.5)
    assert source.facts["input_shape"] == [3, 32, 32]
    assert source.facts["class_names"] == names
    assert [len(source.data[split]["target"]) for split in source.splits()] == [10, 10, 20]
    wanted = torch.from_numpy(cls(str(tmp_path), train=False).data).permute(0, 3, 1, 2)
    assert torch.equal(source.data["test"]["input"], wanted)


def test_sets_of_files_go_through_the_cache(tmp_path, monkeypatch):
    class Pets:
        classes = ["cat", "dog"]

        def __init__(self, root, download, split):
            self._images = [Path(root) / f"{split}{n}.png" for n in range(20)]
            self._labels = [n % 2 for n in range(20)]
            for n, file in enumerate(self._images):
                Image.new("RGB", (9, 7), (n, len(split), 0)).save(file)

    monkeypatch.setattr(torchvision.datasets, "OxfordIIITPet", Pets)
    source = build("oxford_iiit_pet", tmp_path, image_size=4, cache=str(tmp_path / "cache"), val=0.2)
    assert [len(source.data[split]["target"]) for split in source.splits()] == [16, 4, 20]
    assert source.facts["class_names"] == ["cat", "dog"]
    assert (source.data["test"]["input"][:, 1] == len("test")).all()
    assert list((tmp_path / "cache/dlx-images").glob("images-*/pixels"))
