"""What to learn."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from dlx.core.batch import Batch, Loss, Shown
from dlx.errors import ComponentError

INPUT_ONLY = ("input",)


class Task(nn.Module):
    """What to learn: a batch to losses, a batch to a prediction.

    A task with one loss overrides `forward`; one with several overrides `losses`.
    """

    predicts: ClassVar[frozenset[str]] = frozenset()  # words of its predictions, which metrics read
    target_kind: ClassVar[str] = ""  # what its targets are, where that matters to the data: "class" or "number"
    parts: ClassVar[tuple[str, ...]] = ()  # submodules of the model that step on their own; () is the whole model
    default_metrics: ClassVar[tuple[str, ...]] = ()  # the first one chooses the best checkpoint
    eval_metrics: tuple[str, ...] = ()  # what `dlx eval` adds; those that miss a fact are left out
    conditional: bool = False  # whether `generate` can be asked for a class

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

    @property
    def recordable(self) -> bool:
        """Tell whether the losses of all batches of a shape come from the same operations, so that one step may be recorded."""
        return type(self).losses is Task.losses

    def run(self, batch: Batch) -> Any:
        """Call the model on the words of the batch it reads."""
        if self.words == INPUT_ONLY:  # by far the most common, and the hot path
            return self.model(batch["input"])
        return self.model(**{word: batch[word] for word in self.words if word in batch})

    def refuse_unread(self, batch: Batch) -> None:
        """Raise ComponentError where the data gives inputs that the model does not read."""
        if unread := [word for word in batch if word not in (*self.words, "target", "index")]:
            raise ComponentError(f"does not read '{unread[0]}', which the data gives; it reads {', '.join(self.words)}")

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
        """Answer a batch as simply as may be, such as by the majority or the last value: what a useful model must beat."""
        return None

    def verify(self, batch: Batch) -> None:
        """Raise ComponentError, before the first step, where model, data and task cannot work together."""

    def act(self, batch: Batch, explore: bool) -> Batch:
        """Choose actions in view of a batch of observations; only tasks that live in an environment do.

        The source stores every word of the answer beside the observation. A word `state` comes back with the next batch.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot act in an environment")

    def generate(self, index: Tensor, seed: int, label: int | None = None) -> Batch:
        """Make new examples: those numbered `index` (B,) of the endless series that a seed stands for."""
        raise NotImplementedError(f"{type(self).__name__} generates nothing")

    def attention(self, batch: Batch, prediction: Batch) -> Tensor:
        """Tell where in `input` a prediction's pieces came from: (B, T, S); only tasks whose model is `Attending` are asked."""
        raise NotImplementedError(f"{type(self).__name__} has no attention to show")

    def columns(self) -> int:
        """Return how many generated examples stand side by side where they are shown as a grid."""
        return 8

    def show(self, batch: Batch, prediction: Batch) -> Mapping[str, Shown]:
        """Draw or write down what is worth watching from one evaluation to the next, by name, from the first batch."""
        return {}

    def show_eval(self, batch: Batch, prediction: Batch) -> Mapping[str, Shown]:
        """Draw what `dlx eval` shows."""
        return self.show(batch, prediction)

    def remarks(self, scalars: Mapping[str, float]) -> Iterator[str]:
        """Say in words what the numbers of an evaluation, and of training since the last, warn of."""
        return iter(())
