"""Vectors of words from a text file, as GloVe and word2vec write them."""

from __future__ import annotations

import gzip
import logging
import math
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Protocol

import torch
from torch import nn

from dlx.errors import ComponentError, printable
from dlx.layers.building import LayerShapeError, Shape
from dlx.layers.dense import Embedding
from dlx.layers.shorthand import Size
from dlx.registry import layers
from dlx.storage import files
from dlx.storage.weights import are_withheld

SPECIAL = 4  # codes that stand for no word: padding, unknown, begin and end
MOST_LINE = 2**20  # bytes
GZIPPED = b"\x1f\x8b"

log = logging.getLogger("dlx")


class HasVocabulary(Protocol):
    """What is asked of the data's processor."""

    def vocabulary(self) -> list[str]:
        """Return what each code stands for, by code."""


@layers("word_vectors")
def word_vectors(
    input_shape: Shape,
    vocab_size: int,
    processor: HasVocabulary | None = None,
    *,
    file: str,
    size: Size,
    frozen: bool = False,
) -> nn.Module:
    """Look up a vector for each code, as `embedding` does; those of words that a file knows begin as they stand there.

    (steps) -> (steps, size). The file is GloVe's or word2vec's text, gzipped or not: a word and `size` numbers a line. Words
    that it does not know are drawn as widely spread. `frozen` keeps all as they are. A checkpoint holds the vectors: the file
    is read where a training begins, and never again.
    """
    if len(input_shape) != 1:
        raise LayerShapeError("codes (steps,)")
    embedding = Embedding(vocab_size, size, padding_index=0)
    load(embedding, file, processor, frozen)
    return embedding


def load(embedding: nn.Embedding, file: str, processor: HasVocabulary | None, frozen: bool) -> None:
    """Fill embeddings with the vectors of a file, and tell how many words it knows; raises ComponentError.

    Where a checkpoint is about to fill them nothing is read.
    """
    embedding.weight.requires_grad_(not frozen)
    if are_withheld():
        return
    words = processor.vocabulary() if processor else []
    codes = {word.encode("utf-8", "surrogatepass"): code for code, word in enumerate(words) if code >= SPECIAL}
    if not codes:
        raise ComponentError("the data has no vocabulary of words", ("file",))
    path = os.path.expanduser(os.path.expandvars(file))
    known = {codes[word]: vector for word, vector in read(path, codes, embedding.embedding_dim)}
    if not known:
        some = ", ".join(words[SPECIAL : SPECIAL + 3])
        raise ComponentError(f"{path}: knows none of the {len(codes):,} words of the data, such as {some}", ("file",))
    _fill(embedding, known)
    unknown = [words[code] for code in range(SPECIAL, len(words)) if code not in known]
    drawn = f"; drawn: {', '.join(map(printable, unknown[:3]))}{', ...' if len(unknown) > 3 else ''}" if unknown else ""
    log.info(f"word vectors from {path}: {len(known):,} of {len(codes):,} words found{drawn}")


def _fill(embedding: nn.Embedding, known: Mapping[int, torch.Tensor]) -> None:
    vectors = torch.stack(list(known.values()))
    with torch.no_grad():
        embedding.weight.normal_(0.0, float(vectors.std(correction=0)))
        embedding.weight[0] = 0.0
        embedding.weight[list(known)] = vectors


def read(path: str, wanted: Mapping[bytes, int], size: int) -> Iterator[tuple[bytes, torch.Tensor]]:
    """Yield the words that are wanted with their vectors (size,), each once; raises ComponentError with the line."""
    try:
        with files.opened(path) as raw:
            zipped = raw.read(2) == GZIPPED
            raw.seek(0)
            yield from _vectors(gzip.GzipFile(fileobj=raw) if zipped else raw, path, wanted, size)
    except FileNotFoundError:
        raise ComponentError(f"{path}: no such file", ("file",)) from None
    except (OSError, EOFError, zlib.error) as error:
        raise ComponentError(f"{path}: cannot be read: {error}", ("file",)) from None


def _vectors(
    stream: IO[bytes] | gzip.GzipFile, path: str, wanted: Mapping[bytes, int], size: int
) -> Iterator[tuple[bytes, torch.Tensor]]:
    left = set(wanted)
    for number, line in _lines(stream, path, size):
        word, _, rest = line.partition(b" ")
        if word not in left:
            continue
        values = rest.split()
        if len(values) > size:  # a longer word that has blanks in it
            continue
        left.discard(word)
        yield word, torch.tensor(_numbers(values, size, f"{path}:{number}"))


def _lines(stream: IO[bytes] | gzip.GzipFile, path: str, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines with their numbers, without word2vec's first one, which tells how many there are and of what size."""
    first = stream.readline(MOST_LINE)
    fields = first.split()
    is_header = len(fields) == 2 and all(field.isdigit() for field in fields)
    found = int(fields[1]) if is_header else len(fields) - 1
    if found != size:
        if not is_header:
            _numbers(fields[1:], found, f"{path}:1")
        raise ComponentError(f"{path}: has vectors of {found} numbers, not {size}", ("size",))
    if not is_header:
        yield 1, first
    number = 1
    while line := stream.readline(MOST_LINE):
        number += 1
        yield number, line


def _numbers(values: Sequence[bytes], size: int, place: str) -> list[float]:
    try:
        found = [float(value) for value in values]
    except ValueError:
        found = []
    if len(found) != size or not found or not all(map(math.isfinite, found)):
        told = "is no text file of word vectors" if place.endswith(":1") else f"wants a word and {size} numbers"
        raise ComponentError(f"{place}: {told}", ("file",))
    return found
