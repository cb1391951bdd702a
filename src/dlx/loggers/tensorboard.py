"""Numbers and pictures for TensorBoard (extra: tensorboard)."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

from dlx.core import Logger, Picture
from dlx.errors import ComponentError
from dlx.registry import loggers
from dlx.storage.run import Run


@loggers("tensorboard")
class TensorBoard(Logger):
    """Writes event files into the run's folder `tensorboard`."""

    def __init__(self, run: Run) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ComponentError("needs the extra 'tensorboard': pip install 'dlx[tensorboard]'") from None
        self.writer = SummaryWriter(str(run.folder("tensorboard")))

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        for name, value in scalars.items():
            self.writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, picture: Picture) -> None:
        self.writer.add_image(name, _pixels(picture), step, dataformats="HWC")

    def frame(self, step: int, name: str, picture: Picture) -> None:
        self.picture(step, name, picture)

    def close(self) -> None:
        self.writer.close()


def _pixels(picture: Picture) -> np.ndarray:
    """Draw a picture: uint8 (height, width, 3)."""
    stream = io.BytesIO()
    picture.savefig(stream)
    return np.asarray(Image.open(stream).convert("RGB"))
