"""The order of samples: a function of the seed and the epoch, never of a global generator."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def generator(*keys: int) -> torch.Generator:
    """Make a generator from whole numbers, such as (seed, epoch); neighbouring keys give unrelated streams."""
    digest = hashlib.blake2b("/".join(map(str, keys)).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


def permutation(seed: int, epoch: int, size: int) -> Tensor:
    """Order the samples of an epoch: int64 `(size,)`, each number from 0 once."""
    return torch.randperm(size, generator=generator(seed, epoch))
