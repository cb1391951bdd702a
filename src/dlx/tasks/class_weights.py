"""What a class weighs in the loss."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor

from dlx.errors import ComponentError

ClassWeights = Literal["balanced"] | list[NonNegativeFloat] | None


def class_weights(wanted: ClassWeights, counts: Tensor) -> Tensor | None:
    """Compute the weights of classes (num_classes,), of which the data has `counts` samples; raises ComponentError."""
    if wanted is None:
        return None
    if isinstance(wanted, str):  # "balanced", as scikit-learn defines it
        return counts.sum() / (len(counts) * counts.clamp_min(1))
    if len(wanted) != len(counts):
        raise ComponentError(f"gives {len(wanted)} weights, but the data has {len(counts)} classes", ("class_weights",))
    if not any(wanted):
        raise ComponentError("are all zero, so nothing would be learned", ("class_weights",))
    return torch.tensor(wanted)
