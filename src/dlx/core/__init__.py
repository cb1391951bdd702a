"""The nouns every part speaks: Batch, Loss, Task, Source, Processor, Metric, Schedule, Logger, Picture, Table."""

from dlx.core.batch import WITHOUT_FLOAT64, Batch, Loss, Picture, Shown, Table, shortened, to_device
from dlx.core.logger import Logger
from dlx.core.metric import Metric
from dlx.core.model import (
    Attending,
    Conditional,
    Decoder,
    Detector,
    FrozenBackbone,
    HasOutputPath,
    MaskDetector,
    Observing,
    Penalized,
    Thawing,
)
from dlx.core.played import Film, Played
from dlx.core.processor import File, Processor
from dlx.core.schedule import Schedule
from dlx.core.source import Act, Source
from dlx.core.task import Task

__all__ = [
    "WITHOUT_FLOAT64",
    "Act",
    "Attending",
    "Batch",
    "Conditional",
    "Decoder",
    "Detector",
    "File",
    "Film",
    "FrozenBackbone",
    "HasOutputPath",
    "Logger",
    "Loss",
    "MaskDetector",
    "Metric",
    "Observing",
    "Penalized",
    "Picture",
    "Played",
    "Processor",
    "Schedule",
    "Shown",
    "Source",
    "Table",
    "Task",
    "Thawing",
    "shortened",
    "to_device",
]
