"""Numbers and pictures for TensorBoard (extra: tensorboard)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlx.core import Logger
from dlx.errors import Misfit
from dlx.registry import loggers
from dlx.run import Run


@loggers("tensorboard")
class TensorBoard(Logger):
    """Writes event files into the run's folder `tensorboard`."""

    def __init__(self, run: Run) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise Misfit("needs the extra 'tensorboard': pip install 'dlx[tensorboard]'") from None
        self.writer = SummaryWriter(str(run.folder("tensorboard")))

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        for name, value in scalars.items():
            self.writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, picture: Any) -> None:
        self.writer.add_figure(name, picture, step)

    def frame(self, step: int, name: str, picture: Any) -> None:
        self.writer.add_image(name, picture.array(), step, dataformats="HWC")

    def close(self) -> None:
        self.writer.close()
