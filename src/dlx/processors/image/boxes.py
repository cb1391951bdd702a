"""The processor of images with boxes: answers in the coordinates of the original image, pictures and COCO JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from PIL import ImageDraw
from torch import Tensor

from dlx.core import Batch
from dlx.processors.image import answer_files
from dlx.processors.image.decoding import Decoding
from dlx.processors.image.reader import ImageReader
from dlx.registry import processors

RESULTS = "boxes.json"  # all boxes as COCO's results have them


@processors("image_boxes")
class BoxProcessor(ImageReader):
    """Image files of any size and mode, each with any number of boxes.

    Answers are in pixels of the upright original. A folder of files gets pictures with the boxes drawn on them, and all
    boxes as COCO JSON.
    """

    name = "image_boxes"
    writes = True
    batch_size = 16  # originals may be large

    def encode(self, examples: list[Any]) -> Batch:
        """Decode files as training did; `size` and `place` tell how large the originals are and where they lie in `input`."""
        batch = super().encode(examples)
        self.batch_place = places(self.decoding, self.size, self.sizes)
        return {**batch, "size": torch.tensor(self.sizes, dtype=torch.int64).view(-1, 2), "place": self.batch_place}

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Answer {"file": name, "boxes": [{"label", "score", "x1", "y1", "x2", "y2"}, ...]}, the best box first."""
        known = len(self.encoded) == len(prediction["box"])
        answers = []
        for row, (box, score, label) in enumerate(
            zip(prediction["box"], prediction["box_score"], prediction["box_label"], strict=True)
        ):
            there = (label >= 0).nonzero()[:, 0]
            there = there[score[there].argsort(descending=True, stable=True)].cpu()
            found = box.cpu()[there]
            if known:
                found = original(found, self.batch_place[row], self.sizes[row])
            kinds = [self.class_names[code] for code in label.cpu()[there].tolist()]
            rows = zip(kinds, score.cpu()[there].tolist(), found.double().tolist(), strict=True)
            boxes = [{"label": kind, "score": one, **_corners(corners)} for kind, one, corners in rows]
            answers.append(({"file": self.encoded[row].name} if known else {}) | {"boxes": boxes})
        return answers

    def write(self, answers: list[dict[str, Any]], prediction: Batch, folder: Path) -> None:
        """Draw the boxes on the original images, and add them to `boxes.json`; answers get the name of their `picture`."""
        results = []
        for example, answer in zip(self.encoded, answers, strict=True):
            picture = answer_files.picture(self.decoding, example)
            pen = ImageDraw.Draw(picture)
            for box in answer["boxes"]:
                code = self.class_names.index(box["label"])
                corners = [box[key] for key in ("x1", "y1", "x2", "y2")]
                width = max(1, round(min(picture.size) / 200))
                pen.rectangle(corners, outline=answer_files.color(code), width=width)
                pen.text((corners[0] + width + 1, corners[1] + width), f"{box['label']} {box['score']:.2f}")
                results.append(_result(example.name, code, box))
            answer["picture"] = answer_files.save(picture, folder, example.name, ".boxes.png")
        answer_files.add_to_list(folder / RESULTS, [json.dumps(result, ensure_ascii=True) for result in results])


def _corners(corners: list[float]) -> dict[str, float]:
    return dict(zip(("x1", "y1", "x2", "y2"), (round(value, 2) for value in corners), strict=True))


def _result(file: str, code: int, box: dict[str, Any]) -> dict[str, Any]:
    left, top = box["x1"], box["y1"]
    sides = [left, top, round(box["x2"] - left, 2), round(box["y2"] - top, 2)]
    stem = os.path.splitext(os.path.basename(file))[0]
    image_id = int(stem) if stem.isdecimal() and stem.isascii() else stem  # as COCO names its files
    return {
        "image_id": image_id,
        "file_name": file,
        "category_id": code + 1,
        "category": box["label"],
        "bbox": sides,
        "score": box["score"],
    }


def places(decoding: Decoding, size: Any, sizes: list[tuple[int, int]]) -> Tensor:
    """Tell where originals of some sizes lie in `input`: float32 `(n, 4)`, left, top, width, height."""
    middle = torch.tensor([(decoding.width - size[1]) // 2, (decoding.height - size[0]) // 2, 0, 0])
    found = torch.tensor([decoding.place(*one) for one in sizes], dtype=torch.float64).view(-1, 4)
    return (found - middle).float()


def original(box: Tensor, place: Tensor, size: Any) -> Tensor:
    """Bring boxes `(N, 4)` from pixels of `input` to those of the original image, cut off at its edges."""
    scale = torch.tensor([size[0], size[1]]) / place[2:]
    moved = (box.view(-1, 2, 2) - place[:2]) * scale
    return torch.minimum(moved.clamp(min=0), torch.tensor(size, dtype=moved.dtype)).view(-1, 4)
