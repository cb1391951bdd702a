"""Transformers from texts to texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.normalization import Rate
from dlx.models.text.blocks import Block, Cache, DecoderBlock, Embedded
from dlx.models.text.common import inside
from dlx.models.text.outputs import Memory, output
from dlx.registry import models


class State(NamedTuple):
    """What is known while an answer is written: the source, its keys and values in every block, and those of the answer."""

    memory: Memory
    remembered: tuple[Cache, ...]
    past: tuple[Cache, ...]
    steps: int


@models("transformer")
class Transformer(nn.Module):
    """An encoder and a decoder of attention (Vaswani et al. 2017), with norms before the blocks.

    input int64 (B, S), length (B,), previous int64 (B, T) -> logits (B, T, target_vocab_size). One table of embeddings serves
    source, target and output where the vocabulary is shared. `copy` lets it take pieces from the source.
    """

    def __init__(
        self,
        vocab_size: int,
        target_vocab_size: int,
        shared_vocabulary: bool,
        *,
        size: PositiveInt = 256,
        heads: PositiveInt = 4,
        encoder_layers: PositiveInt = 3,
        decoder_layers: PositiveInt = 3,
        feedforward: PositiveInt = 1024,
        dropout: Rate = 0.1,
        copy: bool = False,
    ) -> None:
        super().__init__()
        if size % heads:
            raise ComponentError(f"wants a divisor of size {size}, not {heads}", ("heads",))
        self.source = Embedded(vocab_size, size, 512, dropout)
        self.target = Embedded(target_vocab_size, size, 512, dropout)
        if shared_vocabulary:
            self.target.embedding = self.source.embedding
        blocks = (size, heads, feedforward, dropout)
        self.encoder = nn.ModuleList(Block(*blocks) for _ in range(encoder_layers))
        self.decoder = nn.ModuleList(DecoderBlock(*blocks) for _ in range(decoder_layers))
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.output = output(size, target_vocab_size, self.target.embedding, copy, shared_vocabulary, size)

    def encode(self, input: Tensor, length: Tensor | None) -> Memory:
        """Encode a batch's source."""
        mask = inside(input, length)
        steps = self.source(input)
        for block in self.encoder:
            steps, _ = block(steps, mask[:, None, None])
        return Memory(self.encoder_norm(steps), mask, input)

    def forward(self, input: Tensor, previous: Tensor, length: Tensor | None = None) -> Tensor:
        memory = self.encode(input, length)
        steps, mask = self.target(previous), memory.mask[:, None, None]
        for block, known in zip(self.blocks(), self.remember(memory), strict=True):
            steps, _ = block.decode(steps, known, mask)
        return self.output(self.decoder_norm(steps), memory)

    def attention(self, input: Tensor, previous: Tensor, length: Tensor | None = None) -> Tensor:
        """Return where the decoder looks in the source, as a mean over blocks and heads: (B, T, S)."""
        memory = self.encode(input, length)
        steps, mask, weights = self.target(previous), memory.mask[:, None, None], list[Tensor]()
        for block, known in zip(self.blocks(), self.remember(memory), strict=True):
            weights.append(block.weights(steps, known, mask))
            steps, _ = block.decode(steps, known, mask)
        return torch.stack(weights).mean(0)

    def blocks(self) -> Iterator[DecoderBlock]:
        """Yield the blocks of the decoder."""
        return (block for block in self.decoder if isinstance(block, DecoderBlock))

    def remember(self, memory: Memory) -> tuple[Cache, ...]:
        """Compute the keys and values of the source for every block of the decoder."""
        return tuple(block.memory_attention.memorize(memory.steps) for block in self.blocks())

    def begin(self, input: Tensor, length: Tensor | None = None) -> State:
        """Return the state before the first piece of the answers."""
        memory = self.encode(input, length)
        return State(memory, self.remember(memory), (), 0)

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Read a piece (B,) of each answer: logits (B, V) of the next one, and the state after it."""
        steps, past, mask = self.target(token[:, None], state.steps), list[Cache](), state.memory.mask[:, None, None]
        for number, (block, known) in enumerate(zip(self.blocks(), state.remembered, strict=True)):
            steps, cache = block.decode(steps, known, mask, state.past[number] if state.past else None)
            past.append(cache)
        logits = self.output(self.decoder_norm(steps), state.memory)[:, 0]
        return logits, State(state.memory, state.remembered, tuple(past), state.steps + 1)

    def select(self, state: State, rows: Tensor) -> State:
        """Return the state of some answers (M,), in their order."""
        past = tuple(cache.select(rows) for cache in state.past)
        codes = state.memory.codes
        if len(rows) == len(codes) and codes.index_select(0, rows).equal(codes):  # beams of the same texts in the same places
            return State(state.memory, state.remembered, past, state.steps)
        remembered = tuple(cache.select(rows) for cache in state.remembered)
        return State(state.memory.select(rows), remembered, past, state.steps)
