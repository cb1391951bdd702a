"""What all tasks that act in an environment share: how observations are seen, predictions, and what of a model is refused."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dlx.core import Batch, Observing, Task
from dlx.errors import ComponentError, Path

EPISODE = ("episode_return", "episode_length", "success")  # words of evaluation batches that predictions pass on


class Control(Task):
    """Act in an environment.

    The statistics by which a model normalises observations are those of what was acted upon to explore. They change when, after
    training, acting begins again: so a rollout's actions and all that is learnt of them are computed of the same inputs.
    """

    predicts = frozenset({"action", *EPISODE})
    default_metrics: ClassVar[tuple[str, ...]] = ("episode_return",)
    eval_metrics: tuple[str, ...] = ("episode_return", "episode_length")
    model: Any
    trained: Tensor

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.observing = isinstance(model, Observing)
        self.register_buffer("trained", torch.tensor(False))  # since the last action

    def choose(self, batch: Batch) -> Tensor:
        """Choose the best known action of each observation: int64 (B,) or float32 (B, A)."""
        raise NotImplementedError

    def answer(self, batch: Batch) -> Batch:
        """Choose the best known actions, with what discrete ones are chosen by: `action_probability` or `action_value`."""
        return {"action": self.choose(batch)}

    def explore(self, batch: Batch) -> Batch:
        """Choose actions that also try something new, with all that is to be stored beside them."""
        raise NotImplementedError

    def act(self, batch: Batch, explore: bool) -> Batch:
        """Choose actions in view of a batch of observations; those of exploring count for their statistics."""
        if not explore:
            return {"action": self.choose(batch)}
        if self.observing:
            self.count(batch["input"])
        return self.explore(batch)

    def count(self, input: Tensor) -> None:
        """Count observations; those before the last training now change how observations are seen."""
        if self.trained:
            self.model.settle()
            self.trained.fill_(False)
        self.model.observe(input)

    def see(self, input: Tensor) -> Tensor:
        """Return observations as the parts of the model read them."""
        return self.model.see(input) if self.observing else input

    def predict(self, batch: Batch) -> Batch:
        """Choose the best known actions, and pass on what is known of whole episodes."""
        return {**self.answer(batch), **{word: batch[word] for word in EPISODE if word in batch}}

    def refuse_shape(self, found: Tensor, wanted: int, what: str, path: Path = ()) -> None:
        """Raise ComponentError where the model's numbers are not as many a sample as wanted."""
        if found.ndim != 2 or found.shape[1] != wanted:
            raise ComponentError(f"gives {tuple(found.shape[1:])} a sample, but {what} is ({wanted},)", path)


def weighed(values: Tensor, batch: Batch) -> Tensor:
    """Average values (B,) of samples, weighed by the batch's `weight` where it has one, as prioritised replay gives."""
    return (values * batch["weight"]).mean() if "weight" in batch else values.mean()
