"""Transformers from texts to texts."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.normalization import Rate
from dlx.models.text.blocks import Block, Cache, Embedded
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
        self.decoder = nn.ModuleList(Block(*blocks, to_memory=True) for _ in range(decoder_layers))
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
        steps = self.target(previous)
        for block in self.decoder:
            known = block.memory_attention.memorize(memory.steps)
            steps, _ = block(steps, None, causal=True, memory=known, memory_mask=memory.mask[:, None, None])
        return self.output(self.decoder_norm(steps), memory)

    def begin(self, input: Tensor, length: Tensor | None = None) -> State:
        """Return the state before the first piece of the answers."""
        memory = self.encode(input, length)
        remembered = tuple(block.memory_attention.memorize(memory.steps) for block in self.decoder)
        return State(memory, remembered, (), 0)

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Read a piece (B,) of each answer: logits (B, V) of the next one, and the state after it."""
        steps, past = self.target(token[:, None], state.steps), list[Cache]()
        for number, block in enumerate(self.decoder):
            before = state.past[number] if state.past else None
            remembered, mask = state.remembered[number], state.memory.mask[:, None, None]
            steps, known = block(steps, None, past=before, memory=remembered, memory_mask=mask)
            past.append(known)
        logits = self.output(self.decoder_norm(steps), state.memory)[:, 0]
        return logits, State(state.memory, state.remembered, tuple(past), state.steps + 1)

    def select(self, state: State, rows: Tensor) -> State:
        """Return the state of some answers (M,), in their order."""
        remembered = tuple(cache.select(rows) for cache in state.remembered)
        past = tuple(cache.select(rows) for cache in state.past)
        return State(state.memory.select(rows), remembered, past, state.steps)
