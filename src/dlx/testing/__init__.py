"""What every component promises, as functions for the tests of those who write one.

Each raises AssertionError that says what is broken and how to mend it. dlx's own tests run them over every registry.
"""

from dlx.testing.learning import check_model, check_task
from dlx.testing.pixels import check_augmentation
from dlx.testing.reading import check_processor, check_source
from dlx.testing.scoring import check_metric
from dlx.testing.stacking import check_layer
from dlx.testing.training import check_logger, check_optimizer, check_schedule

__all__ = [
    "check_augmentation", "check_layer", "check_logger", "check_metric", "check_model", "check_optimizer", "check_processor",
    "check_schedule", "check_source", "check_task",
]  # fmt: skip
