"""What an input may do: give a value or one message, within a bound of time and memory, and touch no file of others."""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlx.config.yaml_reader import YamlError
from dlx.errors import DlxError
from dlx.processors.image.decoding import BadImageError

TOLD = (DlxError, YamlError, BadImageError)
LONGEST = 20_000  # characters that one message may have
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGING = {
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.symlink",
    "os.link",
    "os.truncate",
    "os.chmod",
}
RUNNING = {"subprocess.Popen", "os.exec", "os.system", "os.posix_spawn", "socket.connect", "socket.getaddrinfo", "os.fork"}


class TooLongError(BaseException):
    """The bound of time is reached; no handler of Exception can keep it."""


class Watch:
    """Notes every file opened or changed outside the folders that are given, every process and every connection."""

    def __init__(self, folders: list[Path], secret: Path) -> None:
        self.folders, self.secret = [str(folder.resolve()) for folder in folders], str(secret.resolve())
        self.on, self.stray = False, list[str]()
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple) -> None:
        """Look at an event of the interpreter."""
        if not self.on:
            return
        if event in RUNNING:
            self.stray.append(f"{event} {arguments[0]!r}"[:200])
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            self.look(event, arguments[0], bool(arguments[2] & WRITING))
        elif event in CHANGING:
            paths = arguments[1:2] if event == "os.symlink" else arguments[: 2 if event in ("os.rename", "os.link") else 1]
            last = () if event == "os.truncate" else arguments[len(paths) :]  # which ends with a length instead
            folders = [one for one in last if isinstance(one, int)][-len(paths) :]
            for path, folder in zip(paths, [*folders, -1, -1], strict=False):
                self.look(event, _placed(path, folder), True)

    def look(self, event: str, path: Any, writes: bool) -> None:
        """Note a path that is none of ours to write, or the secret, which is none to read."""
        if isinstance(path, int):
            return
        self.on = False  # what follows opens files itself
        full = os.path.realpath(os.path.dirname(os.path.abspath(os.fsdecode(path))))
        full = os.path.join(full, os.path.basename(os.fsdecode(path)))
        outside = not any(full == folder or full.startswith(folder + os.sep) for folder in self.folders)
        if (writes and outside and full != os.devnull) or os.path.realpath(full) == self.secret:
            self.stray.append(f"{event} {full}"[:200])
        self.on = True

    @contextmanager
    def watching(self) -> Any:
        """Watch within a block."""
        self.stray, self.on = [], True
        try:
            yield
        finally:
            self.on = False


def _placed(path: Any, folder: int) -> Any:
    """Return the full path of one that is relative to an open folder; -1 stands for none."""
    return (
        path if folder < 0 or isinstance(path, int) else os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(path))
    )


def bound_memory(extra: int) -> None:
    """Let this process have so many bytes more than now, and no large files."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + extra,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def attempt(call: Callable[[], Any], watch: Watch, seconds: float) -> str | None:
    """Try one input; say what is wrong with what it does, None for nothing."""

    def stop(*signalled: Any) -> None:
        raise TooLongError(f"took more than {seconds:g} s")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with watch.watching(), warnings.catch_warnings(action="ignore"):
            wrong = call()
    except TOLD as error:
        wrong = _message(str(error))
    except BaseException as error:
        wrong = _unexpected(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return wrong or (f"touched: {watch.stray[0]}" if watch.stray else None)


def _message(text: str) -> str | None:
    if not text.strip() or "Traceback (most" in text:
        return f"a message that says nothing: {text[:80]!r}"
    return f"a message of {len(text):,} characters: {text[:60]!r}" if len(text) > LONGEST else None


def _unexpected(error: BaseException) -> str:
    """Name an exception and the deepest line of dlx that it went through."""
    own = f"{os.sep}src{os.sep}dlx{os.sep}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if own in frame.filename]
    place = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno} {frames[-1].name}" if frames else "outside dlx"
    return f"{type(error).__name__} in {place}: {str(error).partition(chr(10))[0][:120]}"
