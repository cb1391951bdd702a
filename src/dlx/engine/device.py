"""Where and how arithmetic is done: device, precision, threads, memory format, determinism."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from dlx.errors import ComponentError
from dlx.storage.machine import cpu_flags

CORES = torch.get_num_threads()  # torch's own choice, read before anything changes it
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # names of glibc's malloc.h
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}  # flags of processors that multiply it
log = logging.getLogger("dlx")
SMALL = 200_000  # parameters below which two threads cost more in waiting than they save in work


class Device:
    """The machine's side of an experiment, chosen from the config and the machine's description alone."""

    def __init__(
        self,
        *,
        name: str = "auto",
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        threads: Annotated[int, Field(ge=1, le=1024)] | None = None,
        memory_format: Literal["auto", "contiguous", "channels_last"] = "auto",
        deterministic: bool = True,
        compile: Literal["auto"] | bool = "auto",
    ) -> None:
        self.device = choose(name)
        self.precision = _precision(self.device) if precision == "auto" else precision
        self.threads, self.memory_format, self.deterministic = threads, memory_format, deterministic
        self.compile = compile
        if precision == "bfloat16" and self.device.type == "cpu" and (flags := cpu_flags()) and not flags & BFLOAT16:
            log.warning("this processor only emulates bfloat16, many times slower than float32; leave device.precision out")
        if self.device.type == "cuda" and precision == "auto":
            torch.set_float32_matmul_precision("high")

    def prepare(self, module: nn.Module) -> None:
        """Move a module to the device in its memory format, and set the threads its size wants."""
        count = sum(p.numel() for p in module.parameters())
        convolutions = any(isinstance(m, nn.Conv2d) for m in module.modules())
        torch.set_num_threads(self.threads or (1 if count < SMALL and not convolutions else CORES))
        if self.device.type == "cpu":
            keep_pages()
        if self.deterministic and self.device.type == "cuda":
            torch.use_deterministic_algorithms(True, warn_only=True)
        module.to(self.device)
        wanted = self.memory_format
        if wanted == "channels_last" or (wanted == "auto" and convolutions and self.device.type in ("cpu", "cuda")):
            module.to(memory_format=torch.channels_last)

    def autocast(self) -> AbstractContextManager[Any]:
        """Enter the precision of forward passes."""
        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def random_state(self) -> dict[str, torch.Tensor]:
        """Take the states of the generators that training draws from."""
        state = {"cpu": torch.get_rng_state()}
        if self.device.type != "cpu":
            state[self.device.type] = torch.get_device_module(self.device).get_rng_state()
        return state

    def set_random_state(self, state: dict[str, torch.Tensor]) -> None:
        """Return the generators to a state taken on the same kind of device."""
        torch.set_rng_state(state["cpu"])
        if self.device.type in state and self.device.type != "cpu":
            torch.get_device_module(self.device).set_rng_state(state[self.device.type])

    def describe(self) -> str:
        """Say device, precision and threads in a few words."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else str(self.device)
        threads = torch.get_num_threads()
        return f"{name}, {self.precision}" + (f", {threads} thread{'s' * (threads > 1)}" if self.device.type == "cpu" else "")


def keep_pages() -> None:
    """Let the C library keep memory that tensors gave back, instead of asking the system for it anew at every step.

    Every page asked for anew is cleared and mapped again: with batches of images that may cost as much as the arithmetic.
    Only glibc has the setting; elsewhere nothing changes.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(None)
            library.mallopt(M_MMAP_MAX, 0)
            library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def available() -> list[str]:
    """List the kinds of device that work here, the fastest first."""
    checks: dict[str, Callable[[], bool]] = {
        "cuda": torch.cuda.is_available,
        "xpu": torch.xpu.is_available,
        "mps": torch.backends.mps.is_available,
    }
    return [name for name, check in checks.items() if check()] + ["cpu"]


def choose(name: str) -> torch.device:
    """Turn a name into a device; raises ComponentError where it is none or is not here."""
    kinds = available()
    if name == "auto":
        return torch.device(kinds[0])
    name = {"gpu": "cuda", "nvidia": "cuda", "metal": "mps", "intel": "xpu"}.get(name, name)
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ComponentError(f"'{name}' is no device; there is auto, {', '.join(kinds)}", ("name",)) from None
    if device.type not in kinds:
        raise ComponentError(f"'{name}' is not available here; there is {', '.join(kinds)}", ("name",))
    if device.index is not None and device.type != "cpu" and device.index >= torch.get_device_module(device).device_count():
        raise ComponentError(f"'{name}' is not here; there are {torch.get_device_module(device).device_count()}", ("name",))
    return device


def _precision(device: torch.device) -> str:
    # Ampere and later multiply bfloat16 at full speed. On a CPU a config must ask for it, to be the same on all.
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return "bfloat16"
    return "float32"
