"""Whose checkpoint it is: a seal on a config that only this user's key can make.

Evaluating a checkpoint reads the data that its config names. A config of one's own may name any file; one from elsewhere
could name any file too, so its paths and downloads wait for a word of the user. The key lies in the cache folder and says
nothing else; where it is gone, one's own checkpoints count as strangers'.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from dlx.storage import files

KEY_BYTES = 32


def cache_home() -> Path:
    """Return the folder of all that dlx keeps outside runs: `dlx` in $XDG_CACHE_HOME or ~/.cache; it need not exist."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home, "dlx")


def seal(content: bytes) -> bytes | None:
    """Compute the seal of a config, with a key that is made at its first use; None where no key can be kept."""
    key = _key(make=True)
    return None if key is None else hmac.new(key, content, hashlib.sha256).hexdigest().encode()


def is_own(content: bytes, sealed: bytes) -> bool:
    """Return whether a seal is what this user's key makes of a config."""
    key = _key(make=False)
    return key is not None and hmac.compare_digest(hmac.new(key, content, hashlib.sha256).hexdigest().encode(), sealed)


def _key(make: bool) -> bytes | None:
    file = cache_home() / "key"
    with suppress(OSError):
        if make and not os.path.lexists(file):
            os.makedirs(file.parent, mode=0o700, exist_ok=True)
            with suppress(FileExistsError):  # of two processes at once one makes it
                files.create(file, secrets.token_bytes(KEY_BYTES), mode=0o600)
        key = files.read(file, KEY_BYTES)
        return key if len(key) == KEY_BYTES else None
    return None
