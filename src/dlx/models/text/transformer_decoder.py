"""Transformers that go on with a text."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.normalization import Rate
from dlx.models.text.blocks import Block, Cache, Embedded
from dlx.registry import models


class State(NamedTuple):
    """The keys and values of what was read, in every block, and how many steps that were."""

    past: tuple[Cache, ...]
    steps: int


@models("transformer_decoder")
class TransformerDecoder(nn.Module):
    """Attention to the steps before (Radford et al. 2019, with sinusoids for the positions and ReLU), the norms before the blocks.

    input int64 (B, L) -> logits (B, L, vocab_size) of each next piece. The embeddings are the weights of the output too.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        size: PositiveInt = 256,
        heads: PositiveInt = 4,
        num_layers: PositiveInt = 4,
        feedforward: PositiveInt = 1024,
        dropout: Rate = 0.1,
    ) -> None:
        super().__init__()
        if size % heads:
            raise ComponentError(f"wants a divisor of size {size}, not {heads}", ("heads",))
        self.embedded = Embedded(vocab_size, size, 512, dropout)
        self.blocks = nn.ModuleList(Block(size, heads, feedforward, dropout) for _ in range(num_layers))
        self.norm, self.output = nn.LayerNorm(size), nn.Linear(size, vocab_size)
        self.output.weight = self.embedded.embedding.weight

    def forward(self, input: Tensor) -> Tensor:
        steps = self.embedded(input)
        for block in self.blocks:
            steps, _ = block(steps, None, causal=True)
        return self.output(self.norm(steps))

    def begin(self, input: Tensor, length: Tensor | None = None) -> State:
        """Return the state after texts (B, L) that are all of one length, which may be 0."""
        steps, past = self.embedded(input), list[Cache]()
        for block in self.blocks:
            steps, known = block(steps, None, causal=True)
            past.append(known)
        return State(tuple(past), input.shape[1])

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Read a piece (B,) of each text: logits (B, V) of the next one, and the state after it."""
        steps, past = self.embedded(token[:, None], state.steps), list[Cache]()
        for block, known in zip(self.blocks, state.past, strict=True):
            steps, cache = block(steps, None, past=known)
            past.append(cache)
        return self.output(self.norm(steps))[:, 0], State(tuple(past), state.steps + 1)

    def select(self, state: State, rows: Tensor) -> State:
        """Return the state of some texts (M,), in their order."""
        return State(tuple(cache.select(rows) for cache in state.past), state.steps)
