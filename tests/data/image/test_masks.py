import numpy as np
import pytest
import torch
from PIL import Image
from tests.helpers import annotated_files as made
from tests.helpers.image_files import build

from dlx.errors import ComponentError

NAMES = ["none", "cat", "dog"]


def source(path, folder, **choices):
    given = {"image_size": [18, 24], "batch_size": 4, "class_names": NAMES}
    return build(path, folder / "cache", "image_masks", **(given | choices))


def targets(found, split):
    return torch.cat([batch["target"] for batch in found.evaluate(None, split)])


def wanted(numbers):
    return torch.tensor(np.stack([np.where(one == 255, -1, one.astype(int)) for one in map(made.mask, numbers)]))


def as_lists(root):
    """Name the pairs of a data set in lists as road scenes have them."""
    number = 0
    for split, count in (("train", 9), ("val", 3), ("test", 4)):
        names = [f"{split}/{number + one:03}.png" for one in range(count)]
        (root / f"{split}.txt").write_text("".join(f"images/{name} masks/{name}\n" for name in names))
        number += count
    return root


def as_table(root):
    lines = ["image,mask,split"]
    for number in range(16):
        split = "train" if number < 9 else "val" if number < 12 else "test"
        lines.append(f"images/{split}/{number:03}.png,masks/{split}/{number:03}.png,{split}")
    (root / "pairs.csv").write_text("\n".join(lines))
    return root / "pairs.csv"


@pytest.mark.parametrize("form", [lambda root: root, as_lists, as_table])
def test_masks_are_read_as_they_were_written(form, tmp_path):
    found = source(form(made.masks(tmp_path / "data")), tmp_path)
    for split, numbers in (("train", range(9)), ("val", range(9, 12)), ("test", range(12, 16))):
        assert torch.equal(targets(found, split), wanted(numbers))
    counts = torch.bincount(wanted(range(9)).flatten() + 1)[1:]
    assert found.facts["class_counts"] == counts.tolist()
    assert found.facts["num_classes"] == 3


def test_splits_are_drawn_where_there_are_none(tmp_path):
    root = made.masks(tmp_path / "data", (16, 0, 0))
    for kind in ("images", "masks"):
        for file in (root / kind / "train").iterdir():
            file.rename(root / kind / file.name)
        for split in ("train", "val", "test"):
            if (root / kind / split).exists():
                (root / kind / split).rmdir()
    found = source(root, tmp_path, val=0.25, test=0.25)
    assert {split: len(targets(found, split)) for split in found.splits()} == {"train": 8, "val": 4, "test": 4}


def test_training_moves_masks_with_images_and_what_is_uncovered_counts_for_nothing(tmp_path):
    root = made.masks(tmp_path / "data")
    found = source(root, tmp_path, augment=["horizontal_flip", {"random_crop": {"padding": 3, "mode": "zeros"}}])
    uncovered = 0
    for batch in found.train(None):
        pixels = batch["input"] * torch.tensor(found.facts["channel_std"]).view(-1, 1, 1)
        pixels = pixels + torch.tensor(found.facts["channel_mean"]).view(-1, 1, 1)
        bright = pixels.amax(1) > 0.5
        counts = batch["target"] >= 0
        assert torch.equal((batch["target"] > 0)[counts], bright[counts])
        uncovered += int((batch["target"][:, 0] < 0).sum())
    assert uncovered > 0


def test_colors_and_values_mean_classes(tmp_path):
    root = made.masks(tmp_path / "data")
    before = targets(source(root, tmp_path), "train")
    colors = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255)], np.uint8)
    for file in (root / "masks").rglob("*.png"):
        codes = np.asarray(Image.open(file))
        painted = colors[np.where(codes == 255, 0, codes)]
        painted[codes == 255] = (9, 9, 9)
        Image.fromarray(painted).save(file)
    with pytest.raises(ComponentError, match="a mask of mode RGB has more than one value a pixel; name its colors"):
        source(root, tmp_path)
    found = source(root, tmp_path, colors=colors.tolist(), ignored_colors=[[9, 9, 9]])
    assert torch.equal(targets(found, "train"), before)
    for file in (root / "masks").rglob("*.png"):
        painted = np.asarray(Image.open(file)).astype(int)
        Image.fromarray((painted[..., 0] // 5 + painted[..., 2] // 3).astype(np.uint8)).save(file)
    found = source(root, tmp_path, values=[0, 51, 85], ignored=[4])
    assert torch.equal(targets(found, "train"), before)


def test_faults_are_told_together_and_may_be_skipped(tmp_path):
    root = made.masks(tmp_path / "data")
    Image.fromarray(np.full((18, 24), 7, np.uint8)).save(root / "masks/train/000.png")
    Image.fromarray(np.zeros((24, 18), np.uint8)).save(root / "masks/train/001.png")
    (root / "masks/train/002.png").unlink()
    (root / "images/val/009.png").unlink()
    (root / "images/train/003.png").write_bytes(b"")
    with pytest.raises(ComponentError, match="5 faults in 14 images and their masks") as caught:
        source(root, tmp_path)
    told = str(caught.value)
    assert "masks/train/000.png: mask unknown class: the value 7 at x 0, y 0 is that of no class" in told
    assert "masks/train/001.png: mask of another size: it has 18x24, but images/train/001.png has 24x18" in told
    assert f"{root}/images/train/002.png: image without a mask" in told
    assert f"{root}/masks/val/009.png: mask without an image" in told
    assert "images/train/003.png: image unreadable: it is empty" in told
    found = source(root, tmp_path, on_bad="skip")
    assert torch.equal(targets(found, "train"), wanted(range(4, 9)))


def test_lists_that_name_nothing_are_told_with_their_line(tmp_path):
    root = as_lists(made.masks(tmp_path / "data"))
    (root / "masks/val/010.png").unlink()
    with pytest.raises(ComponentError, match=r"val\.txt:2: pair without a file: .*masks/val/010\.png is not there"):
        source(root, tmp_path)
    (root / "test.txt").write_text("images/test/012.png\n")
    with pytest.raises(ComponentError, match=r"test\.txt:1: has 1 words, not an image and its mask"):
        source(root, tmp_path)


def test_choices_that_clash_are_told(tmp_path):
    root = made.masks(tmp_path / "data")
    for choices, told in (
        ({"values": [0, 1]}, "names 2 values for 3 classes"),
        ({"values": [0, 1, 1]}, "1 stands for two classes"),
        ({"ignored": [2]}, "2 stands for a class too"),
        ({"colors": [[0, 0, 0]] * 3}, r"\[0, 0, 0\] stands for two classes"),
        ({"class_names": ["a", "a"]}, "names a class twice"),
    ):
        with pytest.raises(ComponentError, match=told):
            source(root, tmp_path, **choices)


def test_masks_decoded_every_time_are_the_same(tmp_path):
    root = made.masks(tmp_path / "data")
    cached = source(root, tmp_path, augment=["horizontal_flip"])
    anew = build(
        root, "none", "image_masks", image_size=[18, 24], class_names=NAMES, augment=["horizontal_flip"], num_workers=2
    )
    for one, other in zip(cached.train(None), anew.train(None), strict=True):
        assert all(torch.equal(one[word], other[word]) for word in one)
