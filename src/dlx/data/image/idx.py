"""The idx files of MNIST and its successors (LeCun, Cortes, Burges 1998), plain or gzipped."""

from __future__ import annotations

import math
import os
import zlib

import numpy as np

from dlx.data.image.unpacking import reading_all
from dlx.errors import ComponentError
from dlx.storage import files

LARGEST_FILE = 2**31  # bytes of a file; the largest published one (EMNIST by class) has a quarter
FILE_PREFIXES = {"train": "train", "test": "t10k"}


def find(folder: str, prefix: str, kind: str) -> str | None:
    """Find a file such as train-images-idx3-ubyte.gz in a folder."""
    name = f"{prefix}-{'images-idx3' if kind == 'images' else 'labels-idx1'}-ubyte"
    paths = [os.path.join(folder, name + ending) for ending in ("", ".gz")]
    return next((path for path in paths if os.path.isfile(path)), None)


def read(file: str) -> np.ndarray:
    """Read an array of uint8; raises ComponentError where the file is not whole."""
    try:
        content = reading_all(file, LARGEST_FILE) if file.endswith(".gz") else files.read(file, LARGEST_FILE)
    except (EOFError, zlib.error, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ComponentError(f"{file}: cannot be read: {reason}", ("path",)) from None
    axes = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    shape = np.frombuffer(content, ">u4", axes, 4).astype(int) if len(content) >= 4 + 4 * axes else np.zeros(0, int)
    if not axes or len(content) - 4 - 4 * axes != math.prod(shape.tolist()):
        raise ComponentError(f"{file}: is no whole idx file of bytes", ("path",))
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
