"""Changes that make hostile inputs of good ones; all follow from the random numbers given."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

NUMBERS = [
    b"0",
    b"-1",
    b"1e308",
    b"1e999",
    b"nan",
    b"-inf",
    b"99999999999999999999",
    b"0x10",
    b"1_000",
    b"2147483648",
    b"1e-320",
]
WIDE = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF]
SECRET = "../../neighbour/secret"  # a file that nothing may open
VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 3, 2**31, 2**63, 10**30, 1e308, -0.0, float("nan"), float("inf"), "", "a", "\0", "\ud800",
    "\x1b[31m", SECRET, "x" * 5000, [], {}, [None], [[]], [0] * 1000, {"": 0}, {"name": "mlp"}, {"name": []}, "csv", "table",
]  # fmt: skip
MOST = 1 << 20  # bytes to which an input may grow


def mutate(draw: random.Random, content: bytes, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """Change bytes in one to eight places."""
    for _ in range(min(8, 1 + int(draw.expovariate(0.7)))):
        content = draw.choice(CHANGES)(draw, content, words, others)[:MOST]
    return content


def _place(draw: random.Random, content: bytes) -> tuple[int, int]:
    """Draw a piece, mostly a small one."""
    start = draw.randint(0, len(content))
    return start, min(len(content), start + int(draw.expovariate(1 / draw.choice([2, 16, 200]))))


def _bit(draw: random.Random, content: bytes, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    changed = bytearray(content or b"\0")
    changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _byte(draw: random.Random, content: bytes, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    changed = bytearray(content or b"\0")
    changed[draw.randrange(len(changed))] = draw.choice([0, 9, 10, 13, 27, 34, 44, 58, 127, 128, 255, draw.randrange(256)])
    return bytes(changed)


def _remove(draw: random.Random, content: bytes, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    start, end = _place(draw, content)
    return content[:start] + content[end:]


def _repeat(draw: random.Random, content: bytes, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    start, end = _place(draw, content)
    times = draw.choice([2, 2, 3, 50, 2000]) if end - start < 200 else 2
    return content[:start] + content[start:end] * times + content[end:]


def _insert(draw: random.Random, content: bytes, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    start, end = _place(draw, content)
    piece = draw.choice(words) if words and draw.random() < 0.7 else draw.randbytes(draw.randint(1, 9))
    return content[:start] + piece + content[start if draw.random() < 0.5 else end :]


def _splice(draw: random.Random, content: bytes, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    other = draw.choice(others)
    (start, end), (first, last) = _place(draw, content), _place(draw, other)
    return content[:start] + other[first:last] + content[end:]


def _cut(draw: random.Random, content: bytes, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    return content[: draw.randint(0, len(content))]


def _wide(draw: random.Random, content: bytes, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """Overwrite a field of one to eight bytes by a number at the edge of what it holds."""
    start, size = draw.randint(0, len(content)), draw.choice([1, 2, 4, 8])
    number = draw.choice(WIDE) & (256**size - 1)
    return content[:start] + number.to_bytes(size, draw.choice(["little", "big"])) + content[start + size :]  # type: ignore[arg-type]


def _number(draw: random.Random, content: bytes, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """Replace a number that is written out."""
    found = list(re.finditer(rb"\d+", content[:100_000]))
    if not found:
        return content
    one = draw.choice(found)
    return content[: one.start()] + draw.choice(NUMBERS) + content[one.end() :]


CHANGES: list[Callable[..., bytes]] = [_bit, _byte, _remove, _repeat, _insert, _insert, _splice, _cut, _wide, _number, _number]


def edit_json(draw: random.Random, content: bytes) -> bytes:
    """Change one to three values or keys of a JSON document."""
    document = [json.loads(content)]
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        if places := _places(document):
            _edit(draw, *draw.choice(places))
    return json.dumps(document[0] if document else None).encode()


def _places(value: Any, depth: int = 0) -> list[tuple[Any, Any]]:
    """List the places of a document: what holds a value, and its key there."""
    if depth > 20:
        return []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, child in inner for place in ((value, key), *_places(child, depth + 1))]


def _edit(draw: random.Random, holder: Any, key: Any) -> None:
    kind = draw.random()
    if kind < 0.15:
        del holder[key]
    elif kind < 0.25 and isinstance(holder, dict):
        holder[draw.choice(["", "name", "extra", key + "x"])] = holder.pop(key)
    elif kind < 0.3:
        holder[key] = nested(draw.choice([3, 100, 900]))
    elif kind < 0.45 and isinstance(holder[key], list):
        holder[key] = holder[key] * 2 or [0]
    else:
        holder[key] = draw.choice(VALUES)


def nested(depth: int) -> list:
    """Make a list inside a list, so often."""
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def shrink(content: bytes, fails: Callable[[bytes], bool], tries: int) -> bytes:
    """Take pieces away as long as the input still fails, larger pieces first."""
    size = max(1, len(content) // 2)
    while size and tries > 0:
        start, before = 0, len(content)
        while start < len(content) and tries > 0:
            smaller, tries = content[:start] + content[start + size :], tries - 1
            if fails(smaller):
                content = smaller
            else:
                start += size
        size = size if len(content) < before and size < len(content) else size // 2
    return content
