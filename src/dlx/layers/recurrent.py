"""Recurrent layers over sequences (steps, features)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from dlx.layers import recurrence
from dlx.layers.building import SEQUENCE, Shape, require
from dlx.layers.dropout import dropout
from dlx.layers.lengths import ReadsLength, turned
from dlx.layers.normalization import Rate
from dlx.layers.shorthand import OneLayer, Size, read
from dlx.layers.stack import resolve
from dlx.registry import layers

KINDS: dict[str, Callable[..., nn.RNNBase]] = {"simple_rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
RUNS: dict[str, Callable[..., Any]] = {
    "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu, "LSTM": torch.lstm, "GRU": torch.gru,
}  # fmt: skip
Merge = Literal["concat", "sum", "average"]


class Recurrent(nn.Module, ReadsLength):
    """Run a PyTorch recurrent module and answer with its last state, or with every step of its last layer.

    (B, steps, features) -> (B, size) or (B, steps, size); two directions are merged. Of padded sequences the last state is
    that of each one's own last step, where the backward direction begins.
    """

    def __init__(self, rnn: nn.RNNBase, return_sequences: bool, merge: Merge = "concat") -> None:
        super().__init__()
        self.rnn = rnn
        self.return_sequences, self.merge = return_sequences, merge
        self.keeps_steps = return_sequences

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        steps = self._steps(input, length)
        return self._merged(steps if self.return_sequences else self._last(steps, length))

    def _steps(self, input: Tensor, length: Tensor | None) -> Tensor:
        """Return every step of the last layer, of both directions."""
        if recurrence.serves(self.rnn.mode, input):
            return self.layer_by_layer(input, length)
        if length is not None and self.rnn.bidirectional:
            # cuDNN wants the weights of both directions in one piece, and packs fast; a CPU does not
            return self.packed(input, length) if input.is_cuda else self.layer_by_layer(input, length)
        output: Tensor = self.rnn(input)[0]
        return output

    def _last(self, steps: Tensor, length: Tensor | None) -> Tensor:
        """Return the last state; that of the backward direction belongs to the first step."""
        last = steps[:, -1] if length is None else steps[torch.arange(len(steps), device=steps.device), length - 1]
        size = self.rnn.hidden_size
        return torch.cat((last[:, :size], steps[:, 0, size:]), -1) if self.rnn.bidirectional else last

    def packed(self, input: Tensor, length: Tensor) -> Tensor:
        """Run both directions over packed sequences: (B, T, features) -> (B, T, 2 size)."""
        packed = pack_padded_sequence(input, length.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=input.shape[1])[0]

    def layer_by_layer(self, input: Tensor, length: Tensor | None) -> Tensor:
        """Run one direction after the other, the backward one over each sequence turned round: the same as `packed`."""
        for layer in range(self.rnn.num_layers):
            input = dropout(input, self.rnn.dropout if layer else 0.0, self.training)
            if not self.rnn.bidirectional:
                input = self._one_way(input, layer)
                continue
            there = self._one_way(input, 2 * layer)
            back = self._one_way(turned(input, length), 2 * layer + 1)
            input = torch.cat((there, turned(back, length)), -1)
        return input

    def _one_way(self, input: Tensor, number: int) -> Tensor:
        """Run one direction of one layer, by its number among all."""
        weights = self.rnn.all_weights[number]
        if recurrence.serves(self.rnn.mode, input):
            return recurrence.run(self.rnn.mode, input, weights)
        state = input.new_zeros(1, len(input), self.rnn.hidden_size)
        begin = (state, state) if self.rnn.mode == "LSTM" else state
        output: Tensor = RUNS[self.rnn.mode](input, begin, weights, self.rnn.bias, 1, 0.0, self.training, False, True)[0]
        return output

    def _merged(self, output: Tensor) -> Tensor:
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
