"""Images that lie on another device are changed there, by the same random numbers.

The device `meta` stands for an accelerator: it computes shapes alone, and refuses what mixes devices or looks at values.
"""

import numpy as np
import pytest
import torch
from tests.augmentation.test_augmentation import ALL, facts, generator, images

from dlx.augmentation.carrying import Boxes, Masks
from dlx.augmentation.cropping import RandomCrop
from dlx.augmentation.pipeline import Pipeline
from dlx.data.image import pixel_source
from dlx.data.image.source import ImageSource
from dlx.data.options import Batching
from dlx.processors.image.decoding import Decoding

META = torch.device("meta")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("item", ALL, ids=str)
def test_it_stays_on_the_images_device_and_draws_the_same(item, channels):
    pipeline, batch, target = Pipeline([item], facts(channels)), images(channels=channels, size=24), torch.arange(64) % 4
    found, drawn = {}, {}
    for device in ("cpu", "meta"):
        draw = generator(3)
        changed = pipeline.change(batch.to(device), draw)
        assert changed.dtype == torch.uint8
        found[device] = pipeline.mix(changed.float(), target, draw)
        drawn[device] = draw.get_state()
    assert found["meta"][0].device == META
    assert found["meta"][0].shape == found["cpu"][0].shape
    assert torch.equal(found["meta"][1], found["cpu"][1])
    assert torch.equal(drawn["meta"], drawn["cpu"])


def test_the_stand_in_refuses_what_an_accelerator_would():
    there, here = images().to(META), images()
    with pytest.raises(RuntimeError, match="device"):
        torch.where(there > 3, there, here)
    with pytest.raises((RuntimeError, NotImplementedError)):
        there.nonzero().tolist()


@pytest.mark.parametrize("mode", ["reflect", "zeros"])
@pytest.mark.parametrize(("stored", "padding"), [(16, 4), (20, 0), (21, 15), (16, 15)])
def test_windows_cut_by_indexing_are_those_of_the_processor(mode, stored, padding):
    crop, batch = (
        RandomCrop([3, 16, 16], padding=padding, mode=mode),
        images(size=stored - stored % 4 + 4)[..., :stored, :stored],
    )
    batch = batch.contiguous()
    most = stored + 2 * padding - 16
    draw = generator(4)
    top, left = (torch.randint(0, most + 1, (64,), generator=draw) for _ in range(2))
    assert torch.equal(crop.gather(batch, top, left), crop(batch, generator(4)))


def source(augment):
    batch, target = images(22, size=12), torch.arange(22) % 3
    return ImageSource(
        0, {"train": batch, "val": batch[:5]}, {"train": target, "val": target[:5]}, ["a", "b", "c"],
        Decoding(12, 12), (8, 8), augment=augment, batching=Batching(4),
    )  # fmt: skip


def test_a_source_sends_bytes_and_keeps_the_rest_here(monkeypatch):
    monkeypatch.setattr(pixel_source, "ACCELERATORS", ("meta",))
    augment = [{"random_crop": 2}, "horizontal_flip", "color_jitter", "rand_augment", "random_erasing", "cutmix"]
    there, here = source(augment), source(augment)
    there.to(META)
    for split in (None, "val"):
        for one, other in zip(*(s.evaluate(None, split) if split else s.train() for s in (there, here)), strict=True):
            assert one["input"].device == META
            assert one["input"].shape == other["input"].shape
            assert one["input"].dtype == torch.float32
            assert one["input"].is_contiguous()
            assert torch.equal(one["target"], other["target"])
            assert torch.equal(one["index"], other["index"])


def test_standardising_elsewhere_gives_the_same_numbers(monkeypatch):
    made, batch = source(None).processor, images(5, size=12)
    here = made.standardize(batch)
    monkeypatch.setattr(np, "empty", lambda *given, **more: pytest.fail("numpy's memory is the processor's"))
    there = batch.to(META)
    assert made.standardize(there).stride() == here.stride()
    read = batch[:, :, 2:10, 2:10]
    assert torch.equal(read.float().sub_(made.offset).mul_(made.scale), here)


def test_devices_whose_kernels_are_not_known_to_suffice_leave_it_to_the_processor():
    made = source(["rand_augment"])
    made.to(META)
    assert next(made.train())["input"].device.type == "cpu"


@pytest.mark.parametrize("item", [item for item in ALL if item not in ("mixup", "cutmix")] + ["mosaic"], ids=str)
def test_what_lies_on_images_moves_on_their_device_or_here(item):
    pipeline, batch = Pipeline([item], facts(3), carries=True), images(size=24)
    box, label = torch.tensor([[[2.0, 3.0, 12.0, 14.0]]]).repeat(64, 1, 1), torch.ones(64, 1, dtype=torch.int64)
    found = {}
    for device in ("cpu", "meta"):
        masks = Masks(torch.zeros(64, 1, 24, 24, dtype=torch.uint8, device=device), 255)
        carried = {"box": Boxes(box, label, torch.zeros(64, 1, dtype=torch.bool)), "mask": masks}
        found[device] = pipeline.move(batch.to(device), carried, generator(3))
    assert found["meta"][0].device == found["meta"][1]["mask"].values.device == META
    assert found["meta"][1]["mask"].values.shape == found["cpu"][1]["mask"].values.shape
    assert torch.equal(found["meta"][1]["box"].box, found["cpu"][1]["box"].box)
