"""The processor of images with boxes: answers in the coordinates of the original image, pictures and COCO JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from dlx.core import Batch
from dlx.processors.image import answer_files, run_lengths
from dlx.processors.image.decoding import Decoding
from dlx.processors.image.reader import ImageReader
from dlx.registry import processors

CORNERS = ("x1", "y1", "x2", "y2")
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
    header = ("file", "label", "score", *CORNERS)

    def encode(self, examples: list[Any]) -> Batch:
        """Decode files as training did; `size` and `place` tell how large the originals are and where they lie in `input`."""
        batch = super().encode(examples)
        self.batch_place = places(self.decoding, self.size, self.sizes)
        return {**batch, "size": torch.tensor(self.sizes, dtype=torch.int64).view(-1, 2), "place": self.batch_place}

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Answer {"file": name, "boxes": [{"label", "score", "x1", "y1", "x2", "y2"}, ...]}, the best box first."""
        known = len(self.encoded) == len(prediction["box"])
        answers = []
        for row in range(len(prediction["box"])):
            there = _best_first(prediction, row)
            box, score, label = (prediction[word][row].cpu()[there] for word in ("box", "box_score", "box_label"))
            if known:
                box = original(box, self.batch_place[row], self.sizes[row])
            rows = zip(label.tolist(), score.tolist(), box.double().tolist(), strict=True)
            boxes = [{"label": self.class_names[code], "score": one, **_corners(corners)} for code, one, corners in rows]
            answers.append(({"file": self.encoded[row].name} if known else {}) | {"boxes": boxes})
        return answers

    def rows(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """Give a row for each box; an image without any has none."""
        image = {word: value for word, value in answer.items() if word != "boxes"}
        return [image | box for box in answer["boxes"]]

    def write(self, answers: list[dict[str, Any]], prediction: Batch, folder: Path) -> None:
        """Draw boxes on the original images, and add all to `boxes.json`; answers get the name of their `picture`.

        Where the prediction has masks, these are laid over the picture, and stand in the file as run lengths. Where it says
        which boxes are `drawn`, the picture has those only.
        """
        results = []
        for row, (example, answer) in enumerate(zip(self.encoded, answers, strict=True)):
            picture = answer_files.picture(self.decoding, example)
            masks = list(self._masks(prediction, row)) if "mask" in prediction else []
            drawn = _drawn(prediction, row)
            for place, box in enumerate(answer["boxes"]):
                code = self.class_names.index(box["label"])
                result = _result(example.name, code, box)
                if masks:
                    if drawn[place]:
                        picture = answer_files.shaded(picture, masks[place], answer_files.color(code))
                    size = [picture.height, picture.width]
                    result["segmentation"] = {"size": size, "counts": run_lengths.encode(masks[place])}
                results.append(result)
            _draw(picture, [box for box, wanted in zip(answer["boxes"], drawn, strict=True) if wanted], self.class_names)
            answer["picture"] = answer_files.save(picture, folder, example.name, ".boxes.png")
        answer_files.add_to_list(folder / RESULTS, [json.dumps(result, ensure_ascii=True) for result in results])

    def _masks(self, prediction: Batch, row: int) -> Iterator[np.ndarray]:
        """Give the masks of an image's boxes at its own size, the best box first: bool `(h, w)`."""
        for mask in prediction["mask"][row].cpu()[_best_first(prediction, row)].numpy():
            yield to_original(mask, self.batch_place[row].tolist(), self.sizes[row], False)


def _best_first(prediction: Batch, row: int) -> Tensor:
    """Give the numbers of an image's boxes that are there, in the order of their scores."""
    there = (prediction["box_label"][row].cpu() >= 0).nonzero()[:, 0]
    return there[prediction["box_score"][row].cpu()[there].argsort(descending=True, stable=True)]


def _drawn(prediction: Batch, row: int) -> list[bool]:
    """Tell which of an image's boxes are drawn, the best first."""
    order = _best_first(prediction, row)
    drawn: list[bool] = prediction["drawn"][row].cpu()[order].tolist() if "drawn" in prediction else [True] * len(order)
    return drawn


def _draw(picture: Image.Image, boxes: Sequence[dict[str, Any]], class_names: Sequence[str]) -> None:
    pen, width = ImageDraw.Draw(picture), max(1, round(min(picture.size) / 200))
    for box in boxes:
        left, top, right, bottom = (box[key] for key in CORNERS)
        color = answer_files.color(class_names.index(box["label"]))
        pen.rectangle((left, top, right, bottom), outline=color, width=width)
        pen.text((left + width + 1, top + width), f"{box['label']} {box['score']:.2f}")


def _corners(corners: list[float]) -> dict[str, float]:
    return dict(zip(CORNERS, (round(value, 2) for value in corners), strict=True))


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


def to_original(codes: np.ndarray, place: Sequence[float], size: tuple[int, int], fill: int | bool) -> np.ndarray:
    """Bring pixels `(H, W)` of `input` to the size of the original `(h, w)` by the nearest one; `fill` where none was seen."""
    (width, height), (left, top, wide, high) = size, place
    columns = np.floor(left + (np.arange(width) + 0.5) * wide / width).astype(np.int64)
    rows = np.floor(top + (np.arange(height) + 0.5) * high / height).astype(np.int64)
    found = codes[rows.clip(0, codes.shape[0] - 1)[:, None], columns.clip(0, codes.shape[1] - 1)]
    inside = ((rows >= 0) & (rows < codes.shape[0]))[:, None] & (columns >= 0) & (columns < codes.shape[1])
    return np.where(inside, found, np.asarray(fill, codes.dtype))
