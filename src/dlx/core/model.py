"""What tasks and the loop may ask of a model, beside its `forward`; a model has what it has, and imports none of this."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Thawing(Protocol):
    """A model some of whose parameters are frozen until an epoch."""

    def enter_epoch(self, epoch: int) -> None:
        """Called before the first batch of every epoch, counted from 0."""


@runtime_checkable
class FrozenBackbone(Protocol):
    """A model whose `forward` may be given `features` instead of `input`, as `extract` computes them of it."""

    frozen_features: bool  # whether they stay the same, as far as training has come

    def extract(self, input: Tensor) -> Tensor:
        """Compute the features (B, ...) of a batch's `input`."""


@runtime_checkable
class HasOutputPath(Protocol):
    """A model that knows which of its settings decides the shape of its output, for messages."""

    output_path: tuple[str | int, ...]


@runtime_checkable
class Conditional(Protocol):
    """A model that may be asked for examples of a class."""

    conditional: bool


@runtime_checkable
class Penalized(Protocol):
    """A model that knows of its steps what they should cost beside the task's loss."""

    def penalized(self, *words: Tensor, **named: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what `forward` does of the same words, and what to add to the loss of each piece (B, T); None is nothing."""


@runtime_checkable
class Decoder(Protocol):
    """A model that writes answers piece by piece, and keeps what it knows in a state of B rows."""

    def begin(self, input: Tensor, length: Tensor | None = None) -> Any:
        """Return the state before the first piece."""

    def step(self, token: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read a piece (B,) of each answer: scores (B, V) of the next one, and the state after it."""

    def select(self, state: Any, rows: Tensor) -> Any:
        """Return the state of some rows (M,), which may come more than once."""


@runtime_checkable
class Attending(Protocol):
    """A model that writes answers and shows where in its input it looks for each of their pieces."""

    def attention(self, input: Tensor, previous: Tensor, length: Tensor | None = None) -> Tensor:
        """Return how much each piece that follows `previous` (B, T) looks at each step: (B, T, S), 1 in sum, 0 on padding."""


@runtime_checkable
class Observing(Protocol):
    """A model that sees observations of an environment its own way, such as normalised by those it was shown."""

    def see(self, input: Tensor) -> Tensor:
        """Return observations (B, ...) as the parts of the model read them."""

    def observe(self, input: Tensor) -> None:
        """Count observations (B, ...) into statistics that nothing uses before `settle`."""

    def settle(self) -> None:
        """Let all that was counted change how observations are seen."""


@runtime_checkable
class Detector(Protocol):
    """A model that says where objects are: both of these read what its `forward` gives, so one pass serves both."""

    def losses(self, raw: Any, box: Tensor, box_label: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Compute sums of losses by name, and the number to divide them by, such as matched places.

        Boxes (B, M, 4) and labels (B, M) are padded with -1. Sums and number add up over the images of a batch, and the
        number is never 0.
        """

    def detect(self, raw: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Find boxes (B, N, 4), their scores (B, N), the surest first, and labels (B, N), padded with -1."""
