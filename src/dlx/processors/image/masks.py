"""The processor of images with a class a pixel: masks of the original size, and overlays to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from dlx.core import Batch
from dlx.processors.image import answer_files
from dlx.processors.image.boxes import places, to_original
from dlx.processors.image.mask_decoding import VOID
from dlx.processors.image.reader import ImageReader
from dlx.registry import processors


@processors("image_masks")
class MaskProcessor(ImageReader):
    """Image files of any size and mode, each pixel of one class.

    A folder of files gets a mask of each upright original's size as a PNG with a palette, whose numbers are the classes', 255
    where the model saw nothing of the original; and the original overlaid with the classes' colours.
    """

    name = "image_masks"
    writes = True
    batch_size = 16  # an answer has a number a pixel and class

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Answer {"file": name, "share": {class: share of the pixels}}, counted in the original image where that is known."""
        answers = []
        for row, codes in enumerate(prediction["label"].cpu()):
            known = len(self.encoded) == len(prediction["label"])
            seen = self._original(codes, row) if known else codes.numpy().astype(np.uint8)
            counts = np.bincount(seen[seen != VOID], minlength=len(self.class_names))[: len(self.class_names)]
            share = dict(zip(self.class_names, (counts / max(1, counts.sum())).tolist(), strict=True))
            answers.append(({"file": self.encoded[row].name} if known else {}) | {"share": share})
        return answers

    def write(self, answers: list[dict[str, Any]], prediction: Batch, folder: Path) -> None:
        """Write masks and overlays; answers get their names as `mask` and `picture`."""
        for row, (example, answer) in enumerate(zip(self.encoded, answers, strict=True)):
            codes = self._original(prediction["label"][row].cpu(), row)
            mask = Image.fromarray(codes)
            mask.putpalette(palette(len(self.class_names)))
            answer["mask"] = answer_files.save(mask, folder, example.name, ".mask.png")
            picture = answer_files.picture(self.decoding, example)
            shaded = Image.blend(picture, mask.convert("RGB"), answer_files.SHADE)
            answer["picture"] = answer_files.save(shaded, folder, example.name, ".overlay.png")

    def _original(self, codes: torch.Tensor, row: int) -> np.ndarray:
        """Bring class numbers `(H, W)` to the original's size by the nearest pixel: uint8 `(h, w)`."""
        place = places(self.decoding, self.size, [self.sizes[row]])[0].tolist()
        return to_original(codes.numpy().astype(np.uint8), place, self.sizes[row], VOID)


def palette(classes: int) -> list[int]:
    """Give the colours of a palette's 256 numbers, class by class; what counts for nothing is white."""
    colors = [(0, 0, 0) if code == 0 else answer_files.color(code - 1) for code in range(classes)]
    return [level for color in (*colors, *[(255, 255, 255)] * (256 - classes)) for level in color]
