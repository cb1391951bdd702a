import pytest
import torch
import torchvision.transforms.v2.functional as reference
from torch.utils._python_dispatch import TorchDispatchMode

from dlx.augmentation import pixels
from dlx.augmentation.cropping import RandomCrop, RandomResizedCrop
from dlx.augmentation.pipeline import AugmentationList, Pipeline
from dlx.augmentation.policies import _matrices
from dlx.errors import ComponentError
from dlx.registry import augmentations
from dlx.registry.signatures import check_value

ALL = [
    "random_crop", {"random_crop": {"mode": "zeros"}}, "random_resized_crop", "horizontal_flip", "vertical_flip",
    {"rotate": 30}, "color_jitter", "grayscale", "gaussian_blur", "random_erasing", {"random_erasing": {"fill": "noise"}},
    {"cutout": 8},    "rand_augment", "trivial_augment", "mixup", "cutmix",
]  # fmt: skip


def facts(channels=3, size=16):
    return {"input_shape": [channels, size, size], "channel_mean": [0.5] * channels, "num_classes": 4}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count=64, channels=3, size=16, seed=1):
    rough = torch.randint(0, 256, (count, channels, size // 4, size // 4), generator=generator(seed), dtype=torch.uint8)
    return torch.nn.functional.interpolate(rough, (size, size), mode="bilinear", antialias=True)


def run(item, batch, seed=0, **known):
    pipeline = Pipeline([item], facts(batch.shape[1], known.pop("size", batch.shape[2])))
    draw = generator(seed)
    changed = pipeline.change(batch, draw)
    target = torch.arange(len(batch)) % 4
    return pipeline.mix(changed.float(), target, draw)


def test_every_augmentation_is_tried_here():
    assert {i if isinstance(i, str) else next(iter(i)) for i in ALL} == set(augmentations.names()) - {"mosaic"}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("item", ALL, ids=str)
def test_it_repeats_bit_for_bit_draws_nothing_globally_and_leaves_its_input(item, channels):
    batch = images(channels=channels)
    before, state = batch.clone(), torch.get_rng_state()
    first, second, other = run(item, batch), run(item, batch), run(item, batch, seed=5)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    if item != "grayscale" or channels == 3:
        assert not torch.equal(first[0], other[0])
    assert torch.equal(batch, before)
    assert torch.equal(state, torch.get_rng_state())
    assert first[0].shape == batch.shape
    assert first[0].is_contiguous()


@pytest.mark.parametrize("item", ALL, ids=str)
def test_each_sample_is_changed_on_its_own(item):
    name = item if isinstance(item, str) else next(iter(item))
    same = images(1).expand(64, -1, -1, -1).contiguous()
    if name in ("mixup", "cutmix"):
        same = images(64)
    changed, _ = run(item, same)
    least = {"horizontal_flip": 2, "vertical_flip": 2, "grayscale": 2}.get(name, 8)
    assert len({tuple(image.flatten().tolist()) for image in changed}) >= least


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("item", ALL, ids=str)
def test_small_batches_work(item, count):
    for seed in range(20):
        assert run(item, images(count), seed)[0].shape == (count, 3, 16, 16)


@pytest.mark.parametrize(("item", "axis"), [("horizontal_flip", -1), ("vertical_flip", -2)])
def test_a_flip_mirrors_about_half(item, axis):
    batch = images(2000)
    changed, _ = run(item, batch)
    mirrored = (changed == batch.flip(axis)).flatten(1).all(1)
    kept = (changed == batch).flatten(1).all(1)
    assert (mirrored | kept).all()
    assert 900 < mirrored.sum() < 1100


@pytest.mark.parametrize("mode", ["reflect", "zeros"])
def test_a_crop_is_a_window_of_the_padded_image_and_all_places_come(mode):
    batch = images(1).expand(3000, -1, -1, -1).contiguous()
    changed = RandomCrop([3, 16, 16], padding=2, mode=mode)(batch, generator())
    padded = torch.nn.functional.pad(batch[:1].float(), [2] * 4, mode="reflect" if mode == "reflect" else "constant").byte()[0]
    windows = {padded[:, y : y + 16, x : x + 16].numpy().tobytes(): (y, x) for y in range(5) for x in range(5)}
    counts = torch.zeros(5, 5)
    for image in changed:
        counts[windows[image.numpy().tobytes()]] += 1
    assert counts.min() > 60


def test_crops_reduce_larger_images_to_the_size_of_the_input():
    large = images(8, size=24)
    for item in ("random_resized_crop", {"random_crop": 0}):
        assert run(item, large, size=16)[0].shape == (8, 3, 16, 16)


def test_resized_boxes_keep_their_bounds():
    boxes = torch.tensor(RandomResizedCrop([3, 16, 16]).boxes(2000, 60, 90, generator())).float()
    top, left, high, wide = boxes.unbind(1)
    assert ((top >= 0) & (left >= 0) & (top + high <= 60) & (left + wide <= 90)).all()
    share, ratio = high * wide / 5400, wide / high
    assert share.min() > 0.07
    assert ratio.min() > 0.7
    assert ratio.max() < 1.4
    assert 0.4 < share.mean() < 0.6
    narrow = torch.tensor(RandomResizedCrop([3, 16, 16], scale=(1.0, 1.0)).boxes(5, 10, 100, generator()))
    assert narrow[:, 2:].tolist() == [[10, 13]] * 5  # the widest that is allowed, in the middle
    assert narrow[:, 1].tolist() == [44] * 5


def near(one, other, most=1.0, share=1.0):
    return ((one.float() - other.float()).abs() <= most).float().mean() >= share


@pytest.mark.parametrize(
    ("own", "name", "low", "high"),
    [
        (pixels.brightness, "adjust_brightness", 0.1, 1.9),
        (pixels.contrast, "adjust_contrast", 0.1, 1.9),
        (pixels.saturation, "adjust_saturation", 0.1, 1.9),
        (pixels.sharpness, "adjust_sharpness", 0.1, 1.9),
        (pixels.hue, "adjust_hue", -0.5, 0.5),
    ],
)
def test_colours_change_as_in_torchvision(own, name, low, high):
    batch = images(20)
    amounts = torch.linspace(low, high, 20)
    wanted = torch.stack([getattr(reference, name)(i, a.item()) for i, a in zip(batch, amounts, strict=True)])
    assert near(own(batch, amounts), wanted, most=2.0)


def test_bits_and_ranges_change_as_in_torchvision():
    batch = images(8)
    bits, thresholds = torch.arange(1, 9), torch.linspace(0, 255, 8)
    assert torch.equal(
        pixels.posterize(batch, bits),
        torch.stack([reference.posterize(i, b) for i, b in zip(batch, bits.tolist(), strict=True)]),
    )
    solar = [reference.solarize(i, t) for i, t in zip(batch, thresholds.tolist(), strict=True)]
    assert torch.equal(pixels.solarize(batch, thresholds), torch.stack(solar))
    assert near(pixels.autocontrast(batch), reference.autocontrast(batch))
    assert torch.equal(pixels.autocontrast(torch.full((1, 3, 4, 4), 7, dtype=torch.uint8)), torch.full((1, 3, 4, 4), 7))
    assert near(pixels.blur(batch, torch.full((8,), 1.5), 5), reference.gaussian_blur(batch, [5, 5], [1.5, 1.5]))


@pytest.mark.parametrize(
    ("kind", "amount", "wanted"),
    [
        ("rotate", 1.0, {"angle": -30.0, "center": None}),
        ("shear_x", 1.0, {"shear": [16.69924423399, 0.0], "center": [0, 0]}),
        ("shear_y", -1.0, {"shear": [0.0, -16.69924423399], "center": [0, 0]}),
        ("translate_x", 1.0, {"translate": [-5, 0]}),
        ("translate_y", -1.0, {"translate": [0, 5]}),
    ],
)
def test_pixels_move_as_in_torchvision(kind, amount, wanted):
    from dlx.augmentation.policies import OPERATIONS

    batch = images(3, size=20)[..., :16]
    most = {"shear": 0.3, "translate_x": 5.0, "translate_y": 5.0, "rotate": 30.0}
    matrices = _matrices(torch.full((3,), OPERATIONS.index(kind)), torch.full((3,), amount), most, 20, 16)
    given = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], "center": None} | wanted
    bilinear = reference.InterpolationMode.BILINEAR
    options = [given, given | {"angle": -given["angle"], "shear": [-s for s in given["shear"]]}]
    found = [
        near(pixels.affine(batch, matrices), reference.affine(batch, **g, interpolation=bilinear), 2.0, 0.98) for g in options
    ]
    assert any(found)


def test_mixed_targets_sum_to_one_and_shares_follow_alpha():
    batch = images(4000, size=4)
    for item in ({"mixup": 1.0}, {"mixup": 0.2}, "cutmix"):
        mixed, target = run(item, batch)
        assert target.shape == (4000, 4)
        assert torch.allclose(target.sum(1), torch.ones(4000), atol=1e-6)
        assert target.min() >= 0
        assert 0.4 < target[torch.arange(4000), torch.arange(4000) % 4].mean() < 0.85  # half, and partners of the same class
        assert mixed.min() >= batch.min()
        assert mixed.max() <= batch.max()


def test_cutmix_gives_the_classes_their_share_of_pixels():
    batch = torch.arange(4, dtype=torch.uint8).repeat(50).view(-1, 1, 1, 1).expand(-1, 3, 16, 16).contiguous()
    mixed, target = run("cutmix", batch)
    for kind in range(4):
        assert torch.allclose((mixed == kind).float().mean((1, 2, 3)), target[:, kind], atol=1e-6)


def test_mixup_is_the_same_sum_for_images_and_targets():
    batch = torch.arange(4, dtype=torch.uint8).repeat(50).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
    mixed, target = run({"mixup": 1.0}, batch)
    assert torch.allclose(mixed[:, 0, 0, 0], target @ torch.arange(4.0), atol=1e-5)


def test_erasing_fills_with_the_mean_in_about_its_share_of_samples():
    batch = torch.full((2000, 3, 16, 16), 9, dtype=torch.uint8)
    changed, _ = run({"random_erasing": 0.25}, batch)
    erased = (changed == 128).all(1)
    assert ((changed == 9) | (changed == 128)).all()
    assert 420 < erased.flatten(1).any(1).sum() < 580
    area = erased.flatten(1).float().mean(1)
    assert area.max() < 0.36
    squares = (run({"cutout": 8}, batch)[0] == 128).all(1).flatten(1).sum(1)
    assert squares.max() == 64
    assert squares.min() >= 16


@pytest.mark.parametrize(
    ("items", "path", "message"),
    [
        (["mixup", "horizontal_flip"], ("augment", 1), "stands before mixup and cutmix"),
        ([{"random_crop": 20}], ("augment", 0, "random_crop"), "cannot be reflected from 16x16"),
        (["grayscale", {"cutout": {"size": 40}}], ("augment", 1, "cutout", "size"), "may hide all of 16x16"),
        ([{"random_erasing": {"scale": [0.5, 0.2]}}], ("augment", 0, "random_erasing", "scale"), "lower bound first"),
    ],
)
def test_what_does_not_fit_is_told_at_its_place(items, path, message):
    with pytest.raises(ComponentError, match=message) as caught:
        Pipeline(items, facts())
    assert caught.value.path == path


def test_the_notation_finds_every_fault_at_its_place():
    written = [
        "hflip",
        {"random_crop": {"paddin": 3}},
        {"rotate": 200},
        {"random_erasing": 1.5},
        {"gaussian_blur": {"size": 4}},
    ]
    _, faults = check_value(AugmentationList, written, ("data", "augment"))
    assert [fault.path[2:] for fault in faults] == [
        (0, "hflip"), (1, "random_crop", "paddin"), (2, "rotate"), (3, "random_erasing"), (4, "gaussian_blur", "size"),
    ]  # fmt: skip
    assert faults[0].message == "unknown augmentation; did you mean 'horizontal_flip'?"
    assert "did you mean 'padding'" in faults[1].message


class Counted(TorchDispatchMode):
    """Counts the operations on tensors."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("item", ["random_crop", "horizontal_flip", {"rotate": 30}, "color_jitter", {"cutout": 8}], ids=str)
def test_a_batch_is_changed_whole(item):
    pipeline, counts = Pipeline([item], facts()), []
    for size in (8, 128):
        with Counted() as counted:
            pipeline.change(images(size), generator())
        counts.append(counted.count)
    assert counts[1] <= counts[0] + 8  # not an operation more for every image
