"""The nouns every part speaks: Batch, Loss, Task, Source, Processor, Metric, Logger, Picture."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from dlx.errors import Misfit

Batch = Mapping[str, Any]  # names to tensors; docs/glossary.md lists the words
INPUT_ONLY = ("input",)
WITHOUT_FLOAT64 = ("mps",)  # kinds of devices that have no float64


@dataclass(frozen=True, slots=True)
class Loss:
    """One quantity to descend, and how."""

    value: Tensor  # scalar, a mean over `weight` items
    weight: float | Tensor = 1.0  # samples, tokens, frames: makes accumulation exact
    part: str = ""  # the submodule of the model that steps; "" is the whole model
    scalars: Mapping[str, float | Tensor] = field(default_factory=dict)  # more numbers for the log


class Picture(Protocol):
    """Something to look at: a matplotlib Figure, or anything that saves itself the same way.

    `savefig` writes a PNG to a path that ends in `.png` or into a binary stream. A logger may rely on nothing else.
    """

    def savefig(self, file: Any, /) -> Any: ...


class Task(nn.Module):
    """What to learn: a batch to losses, a batch to a prediction.

    A task with one loss overrides `forward`; one with several overrides `losses`.
    """

    predicts: ClassVar[frozenset[str]] = frozenset()  # words of its predictions, which metrics read
    target_kind: ClassVar[str] = ""  # what its targets are, where that matters to the data: "class" or "number"
    parts: ClassVar[tuple[str, ...]] = ()  # submodules of the model that step on their own; () is the whole model
    default_metrics: ClassVar[tuple[str, ...]] = ()  # the first one chooses the best checkpoint
    closer_metrics: tuple[str, ...] = ()  # what `dlx eval` adds; those that miss a fact are left out

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        # A model's forward names the batch words it reads; those with a default may be absent.
        parameters = inspect.signature(model.forward).parameters.values()
        self.words = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)

    @classmethod
    def unwritten(cls) -> list[str]:
        """Name the methods that a task must define and that this one does not."""
        descends = cls.forward is not Task.forward or cls.losses is not Task.losses
        return ([] if descends else ["forward"]) + (["predict"] if cls.predict is Task.predict else [])

    def run(self, batch: Batch) -> Any:
        """Call the model on the words of the batch it reads."""
        if self.words == INPUT_ONLY:  # by far the most common, and the hot path
            return self.model(batch["input"])
        return self.model(**{word: batch[word] for word in self.words if word in batch})

    def refuse_unread(self, batch: Batch) -> None:
        """Raise Misfit where the data gives inputs that the model does not read."""
        if unread := [word for word in batch if word not in (*self.words, "target", "index")]:
            raise Misfit(f"does not read '{unread[0]}', which the data gives; it reads {', '.join(self.words)}")

    def forward(self, batch: Batch) -> Loss:
        """Compute the one loss of a batch."""
        raise NotImplementedError(f"{type(self).__name__} defines neither forward nor losses")

    def losses(self, batch: Batch) -> Iterator[Loss]:
        """Yield losses in the order they are descended; each is stepped before the next line runs."""
        yield self.forward(batch)

    def predict(self, batch: Batch) -> Batch:
        """Answer a batch; shapes are in docs/glossary.md."""
        raise NotImplementedError(f"{type(self).__name__} does not predict")

    def score(self, prediction: Batch, batch: Batch) -> Loss | None:
        """Compute the loss of a prediction, where that means something."""
        return None

    def baseline(self, batch: Batch) -> Batch | None:
        """Answer a batch without looking at its input: what any useful model must beat."""
        return None

    def verify(self, batch: Batch) -> None:
        """Raise Misfit, before the first step, where model, data and task cannot work together."""

    def act(self, observation: Tensor, explore: bool) -> Batch:
        """Choose an action; only tasks that live in an environment do."""
        raise NotImplementedError(f"{type(self).__name__} cannot act in an environment")

    def generate(self, index: Tensor, seed: int, label: int | None = None) -> Batch:
        """Make new examples: those numbered `index` (B,) of the endless series that a seed stands for."""
        raise NotImplementedError(f"{type(self).__name__} generates nothing")

    def show(self, batch: Batch, prediction: Batch) -> Mapping[str, Picture]:
        """Draw what is worth watching from one evaluation to the next, by name, from the first batch."""
        return {}

    def show_closely(self, batch: Batch, prediction: Batch) -> Mapping[str, Picture]:
        """Draw what `dlx eval` shows."""
        return self.show(batch, prediction)

    def remarks(self, scalars: Mapping[str, float]) -> Iterator[str]:
        """Say in words what the numbers of an evaluation, and of training since the last, warn of."""
        return iter(())


class Source(ABC):
    """Where batches come from: a data set ignores the actor, an environment asks it.

    A constructor may ask, by name, for three facts beside `seed`: `processor`, the one that a checkpoint keeps, which is then
    used as it is instead of fitting another; `wanted_splits`, the names of the only splits that will be asked for, so that
    files of the others need not be there (None: all); `task_target`, what the task answers with: "class", "number" or "".
    """

    facts: Mapping[str, Any]
    processor: Processor | None = None
    digests: Mapping[str, str] = {}  # of each split what tells its raw examples and their order from any others
    drawn: frozenset[str] = frozenset()  # splits that are drawn from the training split's own files
    batches_per_epoch: int | None = None  # None: there are no epochs, only steps
    batch_sizes: tuple[int, ...] = ()  # of training: the usual one, then that of an epoch's last batch if it is smaller
    heed: Callable[[], None] = staticmethod(lambda: None)  # called now and then while a batch is waited for; may raise

    def to(self, device: torch.device) -> None:
        """Hear where batches will be used."""

    @abstractmethod
    def train(self, actor: Task | None) -> Iterator[Batch]:
        """Yield the batches from the present position to the end of the epoch."""

    @abstractmethod
    def evaluate(self, actor: Task | None, split: str) -> Iterator[Batch]:
        """Yield the batches of a split in their fixed order."""

    def splits(self) -> list[str]:
        """List the splits that `evaluate` knows."""
        return ["train", "val", "test"]

    def state_dict(self) -> dict[str, Any]:
        """Tell the position, as JSON values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a position."""


class Processor(ABC):
    """Raw example to tensors and back; its statistics come from the training split only."""

    name: ClassVar[str]  # its name in the registry, kept in every checkpoint
    can_skip: ClassVar[bool] = False  # whether inputs that cannot be used may be left out
    skip_bad = False  # whether they are: `encode` then gives a batch of the others, of no sample where there is none
    skipped: Sequence[str] = ()  # inputs left out until now, each with the reason

    @abstractmethod
    def read(self, inputs: Iterable[str]) -> Iterator[Any]:
        """Read raw examples from the files or rows given to `dlx predict`; raises UsageError."""

    @abstractmethod
    def encode(self, examples: list[Any]) -> Batch:
        """Turn raw examples into one batch."""

    @abstractmethod
    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Turn a prediction into answers in words, one a sample."""

    def place(self, example: Any) -> str:
        """Say where a raw example was written, such as a file and a line; "" where that is not known."""
        return ""

    def describe(self) -> list[str]:
        """Say in lines what the processor reads, such as each column with its kind and its range."""
        return []

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Tell all that encoding and decoding need, as JSON values."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: Mapping[str, Any]) -> Processor:
        """Make the processor again."""


class Metric(ABC):
    """Prediction and batch to numbers; the same for any batch size."""

    reads: ClassVar[frozenset[str]] = frozenset()  # words of the prediction
    higher_is_better: ClassVar[bool] = True

    @abstractmethod
    def update(self, prediction: Batch, batch: Batch) -> None:
        """Take in one batch."""

    @abstractmethod
    def merge(self, other: Metric) -> None:
        """Take in what another of the same metric has seen."""

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """Tell the numbers; the first is the metric's main one."""

    def undefined(self) -> str:
        """Say why a number is NaN, where the targets seen make it so whatever the answers are; "" where answers may mend it."""
        return ""

    def baseline(self) -> dict[str, float]:
        """Tell the numbers of an honest baseline, where no answer of the task gives them."""
        return {}

    def pictures(self) -> Mapping[str, Picture]:
        """Draw what the metric has seen, by name."""
        return {}


class Schedule:
    """The factor on the learning rate as training goes on."""

    def factor(self, step: int) -> float:
        """Give the factor for step `step`, counted from 0."""
        return 1.0

    def observe(self, value: float, better: bool) -> None:
        """Hear the monitored number after an evaluation, and whether it is the best so far."""

    def state_dict(self) -> dict[str, Any]:
        """Tell what does not follow from the step, as JSON values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a state."""


class Logger:
    """Where numbers and pictures go; every method may be left as it is."""

    always: ClassVar[bool] = False  # whether every run has it, so that no config may name it once more

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Take the numbers of one step, named `train/loss`, `val/accuracy`, ..."""

    def progress(self, step: int, total: int) -> None:
        """Hear that training goes on; called some times a second."""

    def picture(self, step: int, name: str, picture: Picture) -> None:
        """Take a picture."""

    def frame(self, step: int, name: str, picture: Picture) -> None:
        """Take a picture that is drawn again at every evaluation."""

    def message(self, text: str) -> None:
        """Take a line of text."""

    def close(self) -> None:
        """Finish writing."""


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch's tensors to a device; on the CPU the batch itself comes back.

    Tensors of float64 stay on the CPU where the device has no such type: a task standardises them there.
    """
    if device.type == "cpu":
        return batch
    stays = torch.float64 if device.type in WITHOUT_FLOAT64 else None
    return {k: v.to(device, non_blocking=True) if isinstance(v, Tensor) and v.dtype != stays else v for k, v in batch.items()}
