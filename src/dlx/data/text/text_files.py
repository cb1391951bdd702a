"""A file of texts for each class."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.text.labelled import Labelled, labelled_source
from dlx.data.text.options import TextBatching, TextOptions, TextSplits
from dlx.data.text.parts import refuse
from dlx.processors.text.lines import read_lines
from dlx.registry import sources
from dlx.registry.types import DataPath


@sources("text_files")
def text_files(
    seed: int,
    checkpoint: Checkpoint,
    *,
    files: Annotated[dict[str, str], Field(min_length=2)],
    path: DataPath = ".",
    options: TextOptions,
    splits: TextSplits,
    batching: TextBatching,
) -> Source:
    """Texts of several classes, a file of UTF-8 lines for each: `files` has the class and the file's name within `path`.

    `val` and `test` are shares of all texts (0.1 each), drawn by `split_seed`, every class keeping its share; with `fold`, a
    number from 0, the test split is that one of `folds` equal parts, for cross-validation. Equal texts are never divided.
    A vocabulary of `vocabulary_size` pieces that occur `least_count` times is collected from the training split.
    """
    texts, labels, empty = list[str](), list[str](), list[str]()
    for label, file in files.items():
        for line in read_lines(f"{path}/{file}"):
            if line.text:
                texts.append(line.text)
                labels.append(label)
            else:
                empty.append(line.place)
    refuse(empty, "no text")
    return labelled_source(seed, checkpoint, Labelled(texts, labels), options, splits, batching)
