"""What a run was made with: the machine, the packages and the command."""

from __future__ import annotations

import os
import platform
import re
import socket
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dlx import __version__

PACKAGES = ("torch", "torchvision", "numpy", "safetensors", "scikit-learn", "pydantic", "pyyaml")
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG")  # no secrets
FLAGS = ("avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "asimd", "bf16", "sve")


def now() -> str:
    """Tell the time, to the second, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def environment() -> dict[str, Any]:
    """Describe the machine, the packages and the command; no environment variables but those that change numbers."""
    return {
        "time": now(),
        "command": sys.argv,
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "dlx": __version__,
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "cpu": _cpu(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "git_commit": _commit(),
    }


def _version(package: str) -> str | None:
    import importlib.metadata  # 50 ms, and only a training needs it

    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def _cpu() -> dict[str, Any]:
    model = _cpuinfo("model name") or platform.processor() or platform.machine()
    return {"model": model, "count": os.cpu_count(), "flags": [flag for flag in FLAGS if flag in cpu_flags()]}


def cpu_flags() -> set[str]:
    """Tell what instructions the processor has, by Linux's names; empty where nothing tells."""
    return set(_cpuinfo("flags|Features").split())


def _cpuinfo(key: str) -> str:
    with suppress(OSError):  # Linux only
        if match := re.search(rf"^(?:{key})\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE):
            return match[1]
    return ""


def _commit() -> str | None:
    with suppress(OSError, subprocess.SubprocessError):
        command = ["git", "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, timeout=2, check=True).stdout.strip()
    return None
