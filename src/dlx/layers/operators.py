"""Python functions of tensors as operators of torch: a compiler calls each as a whole instead of looking inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

LIBRARY = torch.library.Library("dlx", "FRAGMENT")


def operator(schema: str, function: Callable[..., Any], shaped: Callable[..., Any]) -> None:
    """Make `torch.ops.dlx.NAME` of a function for CPUs, by torch's schema; `shaped` gives empty tensors like its answers.

    The function knows nothing of gradients, changes none of its arguments, and gives new tensors.
    """
    name = schema.split("(")[0]
    LIBRARY.define(schema)
    LIBRARY.impl(name, function, "CPU")
    torch.library.register_fake(f"dlx::{name}", shaped, lib=LIBRARY)
