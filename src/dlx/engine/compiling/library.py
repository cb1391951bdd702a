"""A function of tensors to machine code: traced, compiled by torch's inductor, and kept in the cache of dlx.

A package's name in the cache follows from the operations, the versions and the machine, so that it is never stale. It holds a library
that is loaded and run, so the folder belongs to its owner alone.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import stat
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlx.engine.compiling.recording import aside, operations
from dlx.engine.compiling.whole_step import NotCompilableError
from dlx.storage import scratch
from dlx.storage.machine import cpu_flags
from dlx.storage.seal import cache_home

FORMAT = 2  # of what the names of packages follow from
COMPILERS = ("g++", "clang++", "c++")
Run = Callable[[list[Tensor]], list[Tensor]]
# Random numbers as torch draws them: a compiled step then sees the same ones as any other. A thread is given 4,096 numbers at
# least: what is smaller is over before a second thread has begun.
OPTIONS: dict[str, Any] = {"fallback_random": True, "cpp.min_chunk_size": 4096}


def compiler() -> str | None:
    """Return the C++ compiler that inductor would call; None where there is none."""
    return next((found for name in (os.environ.get("CXX"), *COMPILERS) if name and (found := shutil.which(name))), None)


def compiled(function: Callable[..., Tensor], example: Sequence[Tensor], tell: Callable[[str], None]) -> Run:
    """Return machine code that does what a function of tensors does, from the cache or new; raises NotCompilableError."""
    with _told():
        package = folder() / f"{digest(function, example)}.pt2"
    if not package.exists():
        if compiler() is None:
            raise NotCompilableError(f"there is no C++ compiler ({', '.join(COMPILERS)})")
        with _told(), _quiet():
            graph = traced(function, example)
            tell(f"compiling the step, which takes a minute or so; it is kept in {package.parent}")
            _make(graph, example, package)
    try:
        with _told():
            return load(package, example[0].device)
    except NotCompilableError:
        package.unlink(missing_ok=True)  # damaged: the next run compiles it anew
        raise


@contextmanager
def _told() -> Iterator[None]:
    """Turn whatever torch raises into one line."""
    try:
        yield
    except NotCompilableError:
        raise
    except Exception as error:
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        raise NotCompilableError(f"{type(error).__name__}: {first.strip()[:200]}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence torch's own remarks on the way: what matters is raised."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def traced(function: Callable[..., Tensor], example: Sequence[Tensor]) -> Any:
    """Record what a function of tensors does, without doing it; what depends on their values cannot be recorded."""
    from torch.fx.experimental.proxy_tensor import make_fx  # a second, which only a compiled run needs

    with aside(example[0].device), _quiet():
        return make_fx(function, tracing_mode="fake")(*example)


def digest(function: Callable[..., Tensor], example: Sequence[Tensor]) -> str:
    """Name what a function becomes: the same for the same operations, shapes, versions, instructions and threads."""
    shapes = [(tuple(t.shape), t.stride(), str(t.dtype), str(t.device)) for t in example]
    machine = (torch.__version__, torch.get_num_threads(), sorted(cpu_flags()))
    about = (FORMAT, operations(function, example), shapes, machine, OPTIONS)
    return hashlib.sha256(repr(about).encode()).hexdigest()[:32]


def folder() -> Path:
    """Return the folder of compiled steps, made at its first use; raises NotCompilableError where it is not one's own."""
    place = cache_home() / "compiled"
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        status = os.lstat(place)
    except OSError as error:
        raise NotCompilableError(f"{place}: {error.strerror}") from None
    shared = os.name == "posix" and (status.st_uid != os.geteuid() or status.st_mode & 0o022)
    if not stat.S_ISDIR(status.st_mode) or shared:
        raise NotCompilableError(f"{place} is no folder that its owner alone may write to")
    return place


def _make(graph: Any, example: Sequence[Tensor], package: Path) -> None:
    """Compile a graph into a package, which appears at once or not at all."""
    import torch._inductor as inductor
    from torch._inductor.utils import fresh_cache

    partial = package.with_name(f"{package.stem}.{secrets.token_hex(4)}.partial.pt2")
    try:
        with scratch.folder() as place, fresh_cache(dir=str(place)):
            exported = torch.export.export(graph, tuple(example), strict=False)
            options = dict(OPTIONS)  # torch adds to them
            inductor.aoti_compile_and_package(exported, package_path=str(partial), inductor_configs=options)
        os.replace(partial, package)
    finally:
        with suppress(OSError):
            partial.unlink()


def load(package: Path, device: torch.device) -> Run:
    """Load a package: a function of a list of tensors."""
    loader = torch._C._aoti.AOTIModelPackageLoader(str(package), "model", True, 1, -1 if device.index is None else device.index)
    run: Run = loader.run
    return run
