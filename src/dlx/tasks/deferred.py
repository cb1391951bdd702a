"""Predictions that are made only when something reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


class Deferred(Mapping[str, Any]):
    """Words whose values are made when they are first read."""

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        self.makers, self.values_made = makers, dict[str, Any]()

    def __getitem__(self, word: str) -> Any:
        if word not in self.values_made:
            self.values_made[word] = self.makers[word]()
        return self.values_made[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self.makers)

    def __len__(self) -> int:
        return len(self.makers)


def in_present_precision(make: Callable[[], Tensor], device_type: str) -> Callable[[], Tensor]:
    """Let a function run later as it would now: without gradients, in the precision of now."""
    enabled, dtype = torch.is_autocast_enabled(device_type), torch.get_autocast_dtype(device_type)

    def run() -> Tensor:
        with torch.no_grad(), torch.autocast(device_type, dtype=dtype, enabled=enabled):
            return make()

    return run
