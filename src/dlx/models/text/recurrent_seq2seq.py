"""Recurrent networks from texts to texts, with attention; and pointer-generators."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.layers.normalization import Rate
from dlx.models.text.blocks import scaled_embedding
from dlx.models.text.common import inside
from dlx.models.text.outputs import Memory, output
from dlx.models.text.text_rnn import CELLS, Cell, Layer
from dlx.registry import models


class State(NamedTuple):
    """The source, and the state of the decoder's layers: tensors (layers, B, size)."""

    memory: Memory
    hidden: tuple[Tensor, ...]


@models("recurrent_seq2seq")
class RecurrentSeq2Seq(nn.Module):
    """A bidirectional recurrent encoder, and a recurrent decoder that attends to it (Luong et al. 2015, "general").

    input int64 (B, S), length (B,), previous int64 (B, T) -> logits (B, T, target_vocab_size). The attention is not fed back,
    so that all steps of training are computed at once. One table of embeddings serves source, target and output where the
    vocabulary is shared. `copy` lets it take pieces from the source, which makes it a pointer-generator (See et al. 2017).
    """

    def __init__(
        self,
        vocab_size: int,
        target_vocab_size: int,
        shared_vocabulary: bool,
        *,
        cell: Cell = "lstm",
        size: PositiveInt = 256,
        encoder_layers: PositiveInt = 1,
        decoder_layers: PositiveInt = 1,
        dropout: Rate = 0.2,
        copy: bool = False,
    ) -> None:
        super().__init__()
        self.source = scaled_embedding(vocab_size, size)
        self.target = self.source if shared_vocabulary else scaled_embedding(target_vocab_size, size)
        self.encoder, inputs = nn.ModuleList(), size
        for _ in range(encoder_layers):
            self.encoder.append(Layer(cell, inputs, size, True))
            inputs = 2 * size
        self.narrow = nn.Linear(2 * size, size)
        self.decoder = CELLS[cell](size, size, decoder_layers, batch_first=True, dropout=dropout if decoder_layers > 1 else 0.0)
        self.attend, self.join = nn.Linear(size, size, bias=False), nn.Linear(2 * size, size)
        self.scale, self.layers, self.is_lstm = size**0.5, decoder_layers, cell == "lstm"
        self.dropout = nn.Dropout(dropout)
        self.output = output(size, target_vocab_size, self.target, copy, shared_vocabulary, size)

    def encode(self, input: Tensor, length: Tensor | None) -> Memory:
        """Encode a batch's source."""
        mask = inside(input, length)
        lengths = mask.sum(1)
        steps = self.dropout(self.source(input) * self.scale)
        for layer in self.encoder:
            steps = self.dropout(layer(steps, lengths))
        return Memory(self.narrow(steps).tanh(), mask, input)

    def begin(self, input: Tensor, length: Tensor | None = None) -> State:
        """Return the state before the first piece of the answers: the mean of the encoded source."""
        memory = self.encode(input, length)
        kept = memory.mask[:, :, None]
        mean = (memory.steps * kept).sum(1) / kept.sum(1)
        first = mean.expand(self.layers, -1, -1).contiguous()
        return State(memory, (first, torch.zeros_like(first)) if self.is_lstm else (first,))

    def read(self, codes: Tensor, state: State) -> tuple[Tensor, State]:
        """Read pieces (B, T) of the answers: logits (B, T, V), and the state after them."""
        given: Any = state.hidden if self.is_lstm else state.hidden[0]
        steps, hidden = self.decoder(self.dropout(self.target(codes) * self.scale), given)
        memory = state.memory
        scores = self.attend(steps) @ memory.steps.transpose(1, 2)
        weights = scores.masked_fill(~memory.mask[:, None], -torch.inf).softmax(-1)
        joined = self.join(torch.cat((steps, weights @ memory.steps), -1)).tanh()
        return self.output(self.dropout(joined), memory), State(memory, hidden if self.is_lstm else (hidden,))

    def forward(self, input: Tensor, previous: Tensor, length: Tensor | None = None) -> Tensor:
        return self.read(previous, self.begin(input, length))[0]

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Read a piece (B,) of each answer: logits (B, V) of the next one, and the state after it."""
        logits, after = self.read(token[:, None], state)
        return logits[:, 0], after

    def select(self, state: State, rows: Tensor) -> State:
        """Return the state of some answers (M,), in their order."""
        return State(state.memory.select(rows), tuple(one.index_select(1, rows) for one in state.hidden))


@models("pointer_generator")
class PointerGenerator(RecurrentSeq2Seq):
    """A recurrent encoder and decoder that may copy pieces of the source (See et al. 2017, without coverage).

    As recurrent_seq2seq with `copy: true`; the vocabulary must be shared.
    """

    def __init__(
        self,
        vocab_size: int,
        target_vocab_size: int,
        shared_vocabulary: bool,
        *,
        cell: Cell = "lstm",
        size: PositiveInt = 256,
        encoder_layers: PositiveInt = 1,
        decoder_layers: PositiveInt = 1,
        dropout: Rate = 0.2,
    ) -> None:
        super().__init__(
            vocab_size, target_vocab_size, shared_vocabulary, cell=cell, size=size,
            encoder_layers=encoder_layers, decoder_layers=decoder_layers, dropout=dropout, copy=True,
        )  # fmt: skip
