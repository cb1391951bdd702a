"""Raw examples to tensors and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from dlx.core.batch import Batch
from dlx.errors import UsageError


class File(str):
    """The name of a file, as an input of `dlx predict` that is to be read as one, whatever it looks like."""


class Processor(ABC):
    """Raw example to tensors and back; its statistics come from the training split only."""

    name: ClassVar[str]  # its name in the registry, kept in every checkpoint
    can_skip: ClassVar[bool] = False  # whether inputs that cannot be used may be left out
    skip_bad = False  # whether they are: `encode` then gives a batch of the others, of no sample where there is none
    skipped: Sequence[str] = ()  # inputs left out until now, each with the reason
    batch_size: int = 256  # examples that `dlx predict` encodes and answers at a time
    window: int = 1  # batches that `dlx predict` reads ahead, so that examples of about one length are answered together
    answers: int = 1  # answers that `decode` gives a sample, such as the steps of a forecast
    writes: ClassVar[bool] = False  # whether answers are files too, which `write` makes
    has_parts: ClassVar[bool] = False  # whether examples have `parts`
    line: ClassVar[str] = ""  # the word of an answer that is printed alone, a line an answer; "": all are, as a table

    header: ClassVar[Sequence[str]] = ()  # the columns of a table of answers, told where it has no row

    @abstractmethod
    def read(self, inputs: Iterable[str]) -> Iterator[Any]:
        """Read raw examples from the files or rows given to `dlx predict`; raises UsageError.

        An input that is a `File` is no row and no text.
        """

    @abstractmethod
    def encode(self, examples: list[Any]) -> Batch:
        """Turn raw examples into one batch."""

    @abstractmethod
    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Turn a prediction into answers in words: one a sample, or as many for each as `answers` says."""

    def rows(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """Lay an answer out as the rows of a table: one, or as many as the things that it lists."""
        return [answer]

    def write(self, answers: list[dict[str, Any]], prediction: Batch, folder: Path) -> None:
        """Write what answers show, such as boxes or masks, into a folder, and name the files in the answers."""

    def listen(self, seconds: float) -> Iterator[Any]:
        """Read raw examples from a microphone, for so many seconds; raises UsageError where there is none, or no use for one."""
        raise UsageError("--microphone records sound, and this model hears none")

    def vocabulary(self) -> list[str]:
        """Return what each code of `input` stands for, by code; nothing where it gives no codes."""
        return []

    def blank(self, example: Any) -> dict[str, Any] | None:
        """Return the answer to an example with nothing in it, which a model is not asked; None for all others."""
        return None

    def length(self, example: Any) -> int:
        """Tell how long an example is, next to others."""
        return 0

    def parts(self, example: Any) -> Iterator[tuple[str, Any]]:
        """Yield the parts of an example that may be left out, such as words, each with what is then left; none: it has none."""
        return iter(())

    def target_vocabulary(self) -> list[str]:
        """Return what each code of an answer stands for, by code; nothing where answers have no codes."""
        return []

    def place(self, example: Any) -> str:
        """Say where a raw example was written, such as a file and a line; "" where that is not known."""
        return ""

    def remarks(self) -> Iterator[str]:
        """Yield what is to be told of inputs once all are answered, such as how many were cut."""
        return iter(())

    def describe(self) -> list[str]:
        """Say in lines what the processor reads, such as each column with its kind and its range."""
        return []

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return all that encoding and decoding need, as JSON values."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: Mapping[str, Any]) -> Processor:
        """Make the processor again."""
