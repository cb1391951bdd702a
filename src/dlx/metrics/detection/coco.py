"""Average precision of boxes as COCO defines it, by faster-coco-eval (extra: detection)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from dlx.core import Batch, Metric, Picture
from dlx.errors import ComponentError
from dlx.registry import metrics

NUMBERS = {"ap": 0, "ap50": 1, "ap75": 2, "ap_small": 3, "ap_medium": 4, "ap_large": 5, "average_recall": 8}  # places in COCO's
ALL_AREAS, MOST_BOXES = 0, -1  # places in COCO's tables
HALF = 0  # the place of IoU 0.5


class Boxes(Metric):
    """The boxes of a whole split, true ones and found ones, in pixels of the original images where a batch tells their size."""

    reads = frozenset({"box", "box_score", "box_label"})

    def __init__(self, num_classes: int, class_names: list[str] | None = None) -> None:
        self.library = library()
        self.class_names = class_names or [str(n) for n in range(num_classes)]
        self.true: list[tuple[np.ndarray, ...]] = []  # of each image boxes (n, 4), labels (n,), whether they are crowds (n,)
        self.found: list[tuple[np.ndarray, ...]] = []  # of each image boxes, labels, scores

    def update(self, prediction: Batch, batch: Batch) -> None:
        true, found = (original(words["box"], batch) for words in (batch, prediction))
        label = batch["box_label"].cpu().numpy()
        crowd = batch["crowd"].cpu().numpy() if "crowd" in batch else np.zeros(label.shape, bool)
        self.true += _rows(true, label, crowd)
        self.found += _rows(found, prediction["box_label"].cpu().numpy(), prediction["box_score"].double().cpu().numpy())

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Boxes)
        self.true += other.true
        self.found += other.found

    def evaluated(self) -> Any:
        """Run COCO's evaluation; None where there is no true box."""
        if not any(len(label) for _, label, _ in self.true):
            return None
        annotations = [
            {"id": 0, "image_id": image, "category_id": int(c), "bbox": _sides(b), "area": _area(b), "iscrowd": int(crowd)}
            for image, rows in enumerate(self.true)
            for b, c, crowd in zip(*rows, strict=True)
        ]
        for number, annotation in enumerate(annotations, 1):  # COCO takes an id of 0 for none
            annotation["id"] = number
        images = [{"id": image} for image in range(len(self.true))]
        categories = [{"id": number, "name": name} for number, name in enumerate(self.class_names)]
        truth = self.library.COCO({"images": images, "annotations": annotations, "categories": categories})
        results = [
            {"image_id": image, "category_id": int(c), "bbox": _sides(b), "score": float(score)}
            for image, rows in enumerate(self.found)
            for b, c, score in zip(*rows, strict=True)
        ]
        if not results:  # the library does not take an empty list: one box of no class's image changes nothing
            results = [{"image_id": 0, "category_id": 0, "bbox": [0.0, 0.0, 0.0, 0.0], "score": 0.0}]
        evaluation = self.library.COCOeval_faster(truth, truth.loadRes(results), "bbox", print_function=lambda *_: None)
        evaluation.evaluate()
        evaluation.accumulate()
        return evaluation


@metrics("coco_ap")
class CocoAP(Boxes):
    """Average precision as COCO defines it: over IoU .5 to .95, at .5 and .75, of small, medium and large objects.

    Also the recall of the 100 surest boxes, over the same IoU. A size that no true box has gives no number; without any
    true box all are 0. Equal to pycocotools.
    """

    def compute(self) -> dict[str, float]:
        evaluation = self.evaluated()
        if evaluation is None:
            return {"ap": 0.0, "ap50": 0.0, "ap75": 0.0}
        evaluation.summarize()
        return {name: float(evaluation.stats[n]) for name, n in NUMBERS.items() if evaluation.stats[n] >= 0}


@metrics("coco_ap_report")
class CocoAPReport(Boxes):
    """Average precision of every class, over IoU .5 to .95, at .5 and at .75, and its number of boxes; its curves at IoU .5."""

    def compute(self) -> dict[str, float]:
        evaluation = self.evaluated()
        support = self.support()
        if evaluation is None:
            return {}
        precision = evaluation.eval["precision"][:, :, :, ALL_AREAS, MOST_BOXES]  # (IoU, recall, class)
        places = {"ap": slice(None), "ap50": slice(HALF, HALF + 1), "ap75": slice(5, 6)}
        columns = {name: precision[place].mean((0, 1)) for name, place in places.items()}
        columns["support"] = support
        there = np.flatnonzero(support)
        return {f"{column}/{self.class_names[c]}": float(values[c]) for column, values in columns.items() for c in there}

    def support(self) -> np.ndarray:
        """Count the true boxes of each class, crowds aside."""
        labels = [label[~crowd] for _, label, crowd in self.true]
        return np.bincount(np.concatenate([*labels, np.zeros(0, np.int64)]).astype(int), minlength=len(self.class_names))

    def pictures(self) -> Mapping[str, Picture]:
        evaluation = self.evaluated()
        if evaluation is None:
            return {}
        from dlx.pictures.figures import precision_recall

        there = np.flatnonzero(self.support())
        curves = evaluation.eval["precision"][HALF, :, :, ALL_AREAS, MOST_BOXES]
        named = {self.class_names[c]: curves[:, c] for c in there}
        return {"precision_recall": precision_recall(np.asarray(evaluation.params.recThrs), named)}


def original(box: Tensor, batch: Batch) -> np.ndarray:
    """Bring boxes (B, N, 4) to pixels of the original images, where the batch tells their size and their place."""
    values = box.double().cpu().numpy()
    if "size" not in batch or "place" not in batch:
        return values
    size, place = (batch[word].double().cpu().numpy()[:, None] for word in ("size", "place"))
    scale = size / place[:, :, 2:]
    moved = (values.reshape(*values.shape[:2], 2, 2) - place[:, :, None, :2]) * scale[:, :, None]
    return moved.reshape(values.shape)


def _rows(box: np.ndarray, label: np.ndarray, last: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    return [(b[c >= 0], c[c >= 0], more[c >= 0]) for b, c, more in zip(box, label, last, strict=True)]


def _sides(box: np.ndarray) -> list[float]:
    return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]


def _area(box: np.ndarray) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def library() -> Any:
    """Return faster-coco-eval; raises ComponentError where it is not installed."""
    try:
        import faster_coco_eval
    except ImportError:
        raise ComponentError("needs the extra 'detection': pip install 'dlx[detection]'") from None
    return faster_coco_eval
