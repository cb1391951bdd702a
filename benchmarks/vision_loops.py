"""Loops beside which dlx trains detectors and segmentation networks: torchvision's references, without their printing.

Files are decoded and augmented image by image in a DataLoader, as torchvision's scripts do; annotations are read once before.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn
from torchvision import tv_tensors
from torchvision.models import get_model
from torchvision.transforms import v2

import contest

FLOATS = [v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True), v2.ToPureTensor()]


class Boxes(torch.utils.data.Dataset[Any]):
    """Photographs of cells with boxes, in their own size; the network scales them."""

    def __init__(self, path: str) -> None:
        from dlx.data.image.voc_boxes import read

        found = read(path, 1, True, "report")
        rows = [row for row, split in enumerate(found.splits) if split == "train"]
        self.files = [Path(path, "JPEGImages", found.files.names[row].rsplit("/", 1)[-1]) for row in rows]
        self.things = [found.annotations[row].boxes for row in rows]
        self.names = sorted({box.kind for boxes in self.things for box in boxes})
        self.change = v2.Compose([v2.ToImage(), v2.RandomHorizontalFlip(), *FLOATS])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Any:
        image, things = Image.open(self.files[row]).convert("RGB"), self.things[row]
        size = (image.height, image.width)
        boxes = tv_tensors.BoundingBoxes([box.corners for box in things], format="XYXY", canvas_size=size)
        labels = torch.tensor([1 + self.names.index(box.kind) for box in things])
        return self.change(image, {"boxes": boxes, "labels": labels})


class Masks(torch.utils.data.Dataset[Any]):
    """Streets with a class a pixel, cut out and scaled at random."""

    def __init__(self, path: str, size: tuple[int, int]) -> None:
        lines = Path(path, "train.txt").read_text().splitlines()
        self.pairs = [tuple(Path(path, word) for word in line.split()) for line in lines]
        crop = v2.RandomResizedCrop(size, scale=(0.3, 1.0), antialias=True)
        normalize = v2.Normalize([0.4] * 3, [0.3] * 3)
        self.change = v2.Compose([v2.ToImage(), crop, v2.RandomHorizontalFlip(), *FLOATS, normalize])

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, row: int) -> Any:
        image, mask = (Image.open(file) for file in self.pairs[row])
        return self.change(image.convert("RGB"), tv_tensors.Mask(v2.functional.pil_to_tensor(mask).long()[0]))


def endless(data: torch.utils.data.Dataset[Any], batch: int, workers: int, collate: Any = None) -> Iterator[Any]:
    """Yield the batches of epoch after epoch."""
    loader = torch.utils.data.DataLoader(data, batch, shuffle=True, drop_last=True, num_workers=workers, collate_fn=collate)
    while True:
        yield from loader


def train(model: nn.Module, losses: Iterator[torch.Tensor], warmup: int, steps: int) -> dict[str, float]:
    """Step by plain SGD, and time all steps but the first ones."""
    optimizer, clock = torch.optim.SGD(model.parameters(), 0.005, 0.9, weight_decay=1e-4), contest.Clock()
    for number, loss in enumerate(itertools.islice(losses, warmup + steps)):
        if number == warmup:
            clock.start()
        if not math.isfinite(loss.item()):
            raise SystemExit("the loss is not finite")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return clock.stop(steps) | {"parameters": float(sum(p.numel() for p in model.parameters()))}


def boxes(path: str, name: str, batch: int, workers: int, warmup: int, steps: int) -> dict[str, float]:
    """Train one of torchvision's detectors as its reference does."""
    data = Boxes(path)
    model: Any = get_model(name, weights=None, weights_backbone=None, num_classes=1 + len(data.names)).train()
    batches = endless(data, batch, workers, lambda rows: tuple(zip(*rows, strict=True)))
    return train(model, (sum(model(list(x), list(y)).values()) for x, y in batches), warmup, steps)


def masks(path: str, model: Any, size: tuple[int, int], batch: int, workers: int, warmup: int, steps: int) -> dict[str, float]:
    """Train a segmentation network as torchvision's reference does."""
    cross_entropy = nn.CrossEntropyLoss(ignore_index=11)

    def losses() -> Iterator[torch.Tensor]:
        for images, target in endless(Masks(path, size), batch, workers):
            given = model(images)
            yield cross_entropy(given["out"] if isinstance(given, dict) else given, target)

    return train(model.train(), losses(), warmup, steps)
