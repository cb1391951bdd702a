"""Recurrent layers over sequences (steps, features)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.layers.building import SEQUENCE, Shape, require
from dlx.layers.normalization import Rate
from dlx.layers.shorthand import OneLayer, Size, read
from dlx.layers.stack import resolve
from dlx.registry import layers

KINDS: dict[str, Callable[..., nn.RNNBase]] = {"simple_rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
Merge = Literal["concat", "sum", "average"]


class Recurrent(nn.Module):
    """Run a PyTorch recurrent module and answer with its last state, or with every step of its last layer.

    (B, steps, features) -> (B, size) or (B, steps, size); two directions are merged.
    """

    def __init__(self, rnn: nn.RNNBase, return_sequences: bool, merge: Merge = "concat") -> None:
        super().__init__()
        self.rnn = rnn
        self.return_sequences, self.merge = return_sequences, merge

    def forward(self, input: Tensor) -> Tensor:
        output, state = self.rnn(input)
        if not self.return_sequences:
            hidden = state[0] if isinstance(state, tuple) else state  # (layers * directions, B, size)
            # The last state of the backward direction belongs to the first step.
            output = torch.cat((hidden[-2], hidden[-1]), -1) if self.rnn.bidirectional else hidden[-1]
        if not self.rnn.bidirectional or self.merge == "concat":
            return output
        forward, backward = output.chunk(2, -1)
        return forward + backward if self.merge == "sum" else (forward + backward) / 2


def make_recurrent(
    kind: str,
    input_shape: Shape,
    *,
    size: int,
    return_sequences: bool = False,
    num_layers: int = 1,
    dropout: float = 0.0,
    merge: Merge | None = None,
    **more: Any,
) -> Recurrent:
    """Make a recurrent layer, of two directions where `merge` says how they join."""
    require(input_shape, SEQUENCE)
    between = dropout if num_layers > 1 else 0.0  # PyTorch warns of dropout with nothing to stand between
    rnn: nn.RNNBase = KINDS[kind](
        input_shape[1], size, num_layers, batch_first=True, dropout=between, bidirectional=merge is not None, **more
    )
    return Recurrent(rnn, return_sequences, merge or "concat")


@layers("simple_rnn")
def simple_rnn(
    input_shape: Shape,
    *,
    size: Size,
    return_sequences: bool = False,
    activation: Literal["tanh", "relu"] = "tanh",
    num_layers: PositiveInt = 1,
    dropout: Rate = 0.0,
) -> nn.Module:
    """Carry a state along the steps (Elman 1990): (steps, features) -> (size), or (steps, size) with return_sequences.

    `dropout` stands between the layers, where there are several.
    """
    rest: dict[str, Any] = {"return_sequences": return_sequences, "num_layers": num_layers, "dropout": dropout}
    return make_recurrent("simple_rnn", input_shape, size=size, nonlinearity=activation, **rest)


@layers("lstm")
def lstm(
    input_shape: Shape,
    *,
    size: Size,
    return_sequences: bool = False,
    num_layers: PositiveInt = 1,
    dropout: Rate = 0.0,
) -> nn.Module:
    """Carry a gated memory along the steps (Hochreiter & Schmidhuber 1997): (steps, features) -> (size) or (steps, size).

    `dropout` stands between the layers, where there are several.
    """
    rest: dict[str, Any] = {"return_sequences": return_sequences, "num_layers": num_layers, "dropout": dropout}
    return make_recurrent("lstm", input_shape, size=size, **rest)


@layers("gru")
def gru(
    input_shape: Shape,
    *,
    size: Size,
    return_sequences: bool = False,
    num_layers: PositiveInt = 1,
    dropout: Rate = 0.0,
) -> nn.Module:
    """Carry a gated state along the steps (Cho et al. 2014): (steps, features) -> (size) or (steps, size).

    `dropout` stands between the layers, where there are several.
    """
    rest: dict[str, Any] = {"return_sequences": return_sequences, "num_layers": num_layers, "dropout": dropout}
    return make_recurrent("gru", input_shape, size=size, **rest)


@layers("bidirectional")
def bidirectional(
    input_shape: Shape,
    facts: Mapping,
    *,
    layer: Annotated[Any, OneLayer(("simple_rnn", "lstm", "gru"))],
    merge: Merge = "concat",
) -> nn.Module:
    """Read a sequence in both directions with one recurrent layer, and join the two; `concat` doubles the size."""
    written = read(layer)
    settings = resolve(written, facts)
    if "activation" in settings:
        settings["nonlinearity"] = settings.pop("activation")
    return make_recurrent(written.name, input_shape, merge=merge, **settings)
