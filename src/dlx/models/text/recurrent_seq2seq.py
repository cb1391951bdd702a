"""Recurrent networks from texts to texts, with attention; and pointer-generators."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from dlx.layers.dropout import Dropout
from dlx.layers.normalization import Rate
from dlx.models.text.blocks import scaled_embedding
from dlx.models.text.common import inside
from dlx.models.text.coverage import Coverage
from dlx.models.text.outputs import Memory, output
from dlx.models.text.text_rnn import CELLS, Cell, Layer
from dlx.registry import models


class State(NamedTuple):
    """The source, the state of the decoder's layers: tensors (layers, B, size), and the coverage (B, S) where it is kept."""

    memory: Memory
    hidden: tuple[Tensor, ...]
    covered: Tensor | None = None


class Look(NamedTuple):
    """The decoder's steps (B, T, E), their weights of the source (B, T, S), what they looked at again, and the state after."""

    steps: Tensor
    weights: Tensor
    repeated: Tensor | None
    after: State


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
        self.dropout = Dropout(dropout)
        self.output = output(size, target_vocab_size, self.target, copy, shared_vocabulary, size)
        self.coverage: Coverage | None = None

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
        covered = memory.mask.new_zeros(memory.mask.shape, dtype=torch.float32) if self.coverage is not None else None
        return State(memory, (first, torch.zeros_like(first)) if self.is_lstm else (first,), covered)

    def look(self, codes: Tensor, state: State) -> Look:
        """Read pieces (B, T) of the answers, and look at the source from each."""
        given: Any = state.hidden if self.is_lstm else state.hidden[0]
        steps, hidden = self.decoder(self.dropout(self.target(codes) * self.scale), given)
        query, memory = self.attend(steps), state.memory
        scores, covered, repeated = query @ memory.steps.transpose(1, 2), None, None
        if self.coverage is None or state.covered is None:
            weights = scores.masked_fill(~memory.mask[:, None], -torch.inf).softmax(-1)
        else:
            weights, covered, repeated = self.coverage(query, scores, memory.mask, state.covered)
        return Look(steps, weights, repeated, State(memory, hidden if self.is_lstm else (hidden,), covered))

    def read(self, codes: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        """Read pieces (B, T) of the answers: logits (B, T, V), the state after them, and what was looked at again (B, T)."""
        seen, memory = self.look(codes, state), state.memory
        joined = self.join(torch.cat((seen.steps, seen.weights.to(seen.steps.dtype) @ memory.steps), -1)).tanh()
        return self.output(self.dropout(joined), memory, seen.weights), seen.after, seen.repeated

    def attention(self, input: Tensor, previous: Tensor, length: Tensor | None = None) -> Tensor:
        """Return where the decoder looks in the source: (B, T, S)."""
        return self.look(previous, self.begin(input, length)).weights

    def forward(self, input: Tensor, previous: Tensor, length: Tensor | None = None) -> Tensor:
        return self.read(previous, self.begin(input, length))[0]

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Read a piece (B,) of each answer: logits (B, V) of the next one, and the state after it."""
        logits, after, _ = self.read(token[:, None], state)
        return logits[:, 0], after

    def select(self, state: State, rows: Tensor) -> State:
        """Return the state of some answers (M,), in their order."""
        covered = None if state.covered is None else state.covered.index_select(0, rows)
        return State(state.memory.select(rows), tuple(one.index_select(1, rows) for one in state.hidden), covered)


@models("pointer_generator")
class PointerGenerator(RecurrentSeq2Seq):
    """A recurrent encoder and decoder that may copy pieces of the source (See et al. 2017).

    As recurrent_seq2seq with `copy: true`; the vocabulary must be shared. With `coverage`, the weight of the coverage loss
    (theirs was 1), the decoder's attention knows what it has looked at and chooses what is copied as well; looking there
    again costs that much.
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
        coverage: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__(
            vocab_size, target_vocab_size, shared_vocabulary, cell=cell, size=size,
            encoder_layers=encoder_layers, decoder_layers=decoder_layers, dropout=dropout, copy=True,
        )  # fmt: skip
        self.penalty = coverage
        if coverage:
            self.coverage, self.output.look = Coverage(size), None

    def penalized(self, input: Tensor, previous: Tensor, length: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the logits, and for each piece what looking at the same steps of the source again costs (B, T)."""
        logits, _, repeated = self.read(previous, self.begin(input, length))
        return logits, None if repeated is None else self.penalty * repeated
