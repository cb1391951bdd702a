"""Recurrent networks that go on with a text."""

from __future__ import annotations

from typing import Any

from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.layers.dropout import Dropout
from dlx.layers.normalization import Rate
from dlx.models.text.blocks import scaled_embedding
from dlx.models.text.text_rnn import CELLS, Cell
from dlx.registry import models

State = tuple[Tensor, ...]  # of the layers: (num_layers, B, size) each


@models("recurrent_decoder")
class RecurrentDecoder(nn.Module):
    """Recurrent layers over embeddings, which are the weights of the output too (Press & Wolf 2017).

    input int64 (B, L) -> logits (B, L, vocab_size) of each next piece.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        cell: Cell = "lstm",
        size: PositiveInt = 256,
        num_layers: PositiveInt = 2,
        dropout: Rate = 0.2,
    ) -> None:
        super().__init__()
        self.embedding = scaled_embedding(vocab_size, size)
        self.layers = CELLS[cell](size, size, num_layers, batch_first=True, dropout=dropout if num_layers > 1 else 0.0)
        self.scale, self.is_lstm, self.dropout = size**0.5, cell == "lstm", Dropout(dropout)
        self.output = nn.Linear(size, vocab_size)
        self.output.weight = self.embedding.weight

    def read(self, codes: Tensor, state: State) -> tuple[Tensor, State]:
        """Read pieces (B, T) of each text: logits (B, T, V), and the state after them."""
        given: Any = state if self.is_lstm else state[0]
        steps, after = self.layers(self.dropout(self.embedding(codes) * self.scale), given)
        return self.output(self.dropout(steps)), after if self.is_lstm else (after,)

    def nothing_read(self, input: Tensor) -> State:
        """Return the state before anything was read."""
        zeros = self.embedding.weight.new_zeros(self.layers.num_layers, len(input), self.layers.hidden_size)
        return (zeros, zeros) if self.is_lstm else (zeros,)

    def forward(self, input: Tensor) -> Tensor:
        return self.read(input, self.nothing_read(input))[0]

    def begin(self, input: Tensor, length: Tensor | None = None) -> State:
        """Return the state after texts (B, L) that are all of one length, which may be 0."""
        state = self.nothing_read(input)
        return self.read(input, state)[1] if input.shape[1] else state

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Read a piece (B,) of each text: logits (B, V) of the next one, and the state after it."""
        logits, after = self.read(token[:, None], state)
        return logits[:, 0], after

    def select(self, state: State, rows: Tensor) -> State:
        """Return the state of some texts (M,), in their order."""
        return tuple(one.index_select(1, rows) for one in state)
