"""Files as dlx reads and writes them: no link is followed in writing, no read is without bound; standard library only."""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
from pathlib import Path
from typing import IO, Any


def write(path: str | os.PathLike[str], content: bytes, mode: int = 0o666) -> None:
    """Give a file new content at once: readers see the old or the new one.

    A link by that name is replaced, never followed. The permissions are `mode` under the process's umask. Raises OSError.
    """
    partial, file = _partial(Path(path), mode)
    try:
        with file:
            file.write(content)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def create(path: str | os.PathLike[str], content: bytes, mode: int = 0o666) -> None:
    """Write a file that must not be there yet, not even as a link; raises FileExistsError."""
    partial, file = _partial(Path(path), mode)
    try:
        with file:
            file.write(content)
        os.link(partial, path)  # unlike a rename, it replaces nothing
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, "wb") as direct:  # a file system without hard links
            direct.write(content)
    finally:
        partial.unlink(missing_ok=True)


def append(path: str | os.PathLike[str], buffering: int = -1, mode: int = 0o666) -> IO[bytes]:
    """Open a file to add to its end; it is made where it is not there. Raises OSError where it is a link or no file."""
    return _opened(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode, "ab", buffering)


def read(path: str | os.PathLike[str], most: int) -> bytes:
    """Read a whole file of at most `most` bytes; raises OSError where it is larger or no regular file.

    Neither a pipe nor a device is ever waited for.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:  # a sparse file claims more than it holds
            raise too_large(path, most)
        content = file.read(size + 1)  # Python asks for the memory of all that it might read: not for `most`
        while len(content) <= most and (more := file.read(1 << 16)):  # of the system's own files the size is not known
            content += more
    if len(content) > most:
        raise too_large(path, most)
    return content


def opened(path: str | os.PathLike[str]) -> IO[bytes]:
    """Open a regular file for reading; raises OSError where it is none, without waiting."""
    return _opened(path, os.O_RDONLY, 0o666, "rb", follow=True)


def too_large(path: str | os.PathLike[str], most: int) -> OSError:
    """Make the error that tells a file larger than is read."""
    return OSError(errno.EFBIG, f"is larger than {most:,} bytes, the most that is read", os.fspath(path))


def save_picture(picture: Any, path: str | os.PathLike[str], *, replace: bool = True) -> None:
    """Save what has a `savefig`, as `write` does, or as `create` does where nothing may be replaced."""
    content = io.BytesIO()
    picture.savefig(content)
    (write if replace else create)(path, content.getvalue())


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder inside one that is there already; raises OSError where a link or a file has its name."""
    try:
        os.mkdir(path)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise OSError(errno.ENOTDIR, "is a link or a file where a folder of dlx belongs", os.fspath(path)) from None


def _partial(path: Path, mode: int) -> tuple[Path, IO[bytes]]:
    partial = path.with_name(f".{secrets.token_hex(8)}.partial")  # short, so that a long name stays within the system's limit
    return partial, _opened(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, "wb")


def _opened(
    path: str | os.PathLike[str], flags: int, mode: int, how: str, buffering: int = -1, *, follow: bool = False
) -> IO[bytes]:
    nowait = getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_CLOEXEC", 0) | nowait | (0 if follow else getattr(os, "O_NOFOLLOW", 0)) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags, mode)
    except OSError as error:
        if error.errno == errno.ELOOP and os.path.islink(path):
            raise OSError(errno.ELOOP, "is a link, which dlx does not write through", os.fspath(path)) from None
        if error.errno in (errno.ENXIO,):
            raise OSError(errno.EINVAL, "is no regular file", os.fspath(path)) from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no regular file", os.fspath(path))
        if nowait:
            os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, how, buffering)
    except BaseException:
        os.close(descriptor)
        raise
