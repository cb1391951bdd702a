"""What Transformers are made of: attention with a cache, blocks, embeddings with positions, and the layer that gives logits."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlx.layers.attention import attend, sinusoids
from dlx.layers.dropout import Dropout
from dlx.models.text.common import PADDING

# B: batch, T: steps, S: steps of the source, E: features, H: heads


class Cache(NamedTuple):
    """Keys and values (B, H, T, E / H) of the steps that are known."""

    key: Tensor
    value: Tensor

    def select(self, rows: Tensor) -> Cache:
        """Return those of some rows."""
        return Cache(self.key.index_select(0, rows), self.value.index_select(0, rows))


class Attention(nn.Module):
    """Attention of several heads (Vaswani et al. 2017, section 3.2), to the same steps or to those of a memory."""

    def __init__(self, size: int, heads: int, dropout: float, to_memory: bool) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        if to_memory:
            self.query, self.remember = nn.Linear(size, size), nn.Linear(size, 2 * size)
        else:
            self.project = nn.Linear(size, 3 * size)
        self.join = nn.Linear(size, size)

    def split(self, projected: Tensor, parts: int) -> tuple[Tensor, ...]:
        """Divide a projection (B, T, parts * E) into heads: each (B, H, T, E / H)."""
        return projected.unflatten(-1, (parts, self.heads, -1)).transpose(1, 3).unbind(2)

    def attend(self, query: Tensor, known: Cache, mask: Tensor | None, causal: bool = False) -> Tensor:
        """Attend from queries to what is known; `mask` is True where there is something to see."""
        rate = self.dropout if self.training else 0.0
        seen = attend(query, known.key, known.value, mask, rate, causal)
        return self.join(seen.transpose(1, 2).flatten(2))

    def forward(self, steps: Tensor, mask: Tensor | None, causal: bool, past: Cache | None = None) -> tuple[Tensor, Cache]:
        """Attend to the same steps, and to those past."""
        query, key, value = self.split(self.project(steps), 3)
        if past is not None:
            key, value = torch.cat((past.key, key), 2), torch.cat((past.value, value), 2)
        known = Cache(key, value)
        return self.attend(query, known, mask, causal), known

    def memorize(self, memory: Tensor) -> Cache:
        """Compute keys and values of a memory (B, S, E), once for all steps."""
        return Cache(*self.split(self.remember(memory), 2))

    def recall(self, steps: Tensor, known: Cache, mask: Tensor | None) -> Tensor:
        """Attend to a memory."""
        return self.attend(self.split(self.query(steps), 1)[0], known, mask)

    def weights(self, steps: Tensor, known: Cache, mask: Tensor) -> Tensor:
        """Compute how much each step looks at each of a memory's, as a mean over the heads (B, T, S)."""
        query = self.split(self.query(steps), 1)[0]
        scores = (query @ known.key.transpose(2, 3)).float() * query.shape[-1] ** -0.5
        return scores.masked_fill(~mask, -torch.inf).softmax(-1).mean(1)


class Block(nn.Module):
    """Attention and two dense layers, each behind a norm and added to what came in (pre-norm: Xiong et al. 2020)."""

    def __init__(self, size: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attention, self.norm = Attention(size, heads, dropout, False), nn.LayerNorm(size)
        self.dense_norm, self.widen, self.narrow = (
            nn.LayerNorm(size),
            nn.Linear(size, feedforward),
            nn.Linear(feedforward, size),
        )
        self.dropout = Dropout(dropout)

    def look(self, steps: Tensor, mask: Tensor | None, causal: bool, past: Cache | None) -> tuple[Tensor, Cache]:
        """Add what attention finds, and return the keys and values that later steps look at."""
        seen, known = self.attention(self.norm(steps), mask, causal, past)
        return steps + self.dropout(seen), known

    def think(self, steps: Tensor) -> Tensor:
        """Add what the dense layers make of each step."""
        return steps + self.dropout(self.narrow(self.dropout(F.relu(self.widen(self.dense_norm(steps))))))

    def forward(
        self, steps: Tensor, mask: Tensor | None, causal: bool = False, past: Cache | None = None
    ) -> tuple[Tensor, Cache]:
        steps, known = self.look(steps, mask, causal, past)
        return self.think(steps), known


class DecoderBlock(Block):
    """A block that looks at a memory too, between the two."""

    def __init__(self, size: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__(size, heads, feedforward, dropout)
        self.memory_attention, self.memory_norm = Attention(size, heads, dropout, True), nn.LayerNorm(size)

    def decode(self, steps: Tensor, memory: Cache, memory_mask: Tensor, past: Cache | None = None) -> tuple[Tensor, Cache]:
        """Decode a whole answer, or one step of it behind those past."""
        steps, known = self.look(steps, None, past is None, past)
        steps = steps + self.dropout(self.memory_attention.recall(self.memory_norm(steps), memory, memory_mask))
        return self.think(steps), known

    def weights(self, steps: Tensor, memory: Cache, memory_mask: Tensor) -> Tensor:
        """Compute how much the steps of a whole answer look at those of the memory (B, T, S)."""
        looked, _ = self.look(steps, None, True, None)
        return self.memory_attention.weights(self.memory_norm(looked), memory, memory_mask)


class Embedded(nn.Module):
    """Embeddings times the root of their size, with sinusoids for the positions."""

    positions: Tensor

    def __init__(self, vocab_size: int, size: int, positions: int, dropout: float) -> None:
        super().__init__()
        self.embedding = scaled_embedding(vocab_size, size)
        self.scale, self.dropout = math.sqrt(size), Dropout(dropout)
        self.register_buffer("positions", sinusoids(positions, size), persistent=False)

    def forward(self, codes: Tensor, start: int = 0) -> Tensor:
        end = start + codes.shape[1]
        if end > len(self.positions):  # longer than any text seen: sinusoids go on without end
            self.positions = sinusoids(2 * end, self.positions.shape[1]).to(self.positions)
        return self.dropout(self.embedding(codes) * self.scale + self.positions[start:end])


def scaled_embedding(vocab_size: int, size: int) -> nn.Embedding:
    """Make embeddings small enough to serve as the weights of the output too; that of padding stays zero."""
    made = nn.Embedding(vocab_size, size, padding_idx=PADDING)
    with torch.no_grad():
        made.weight.normal_(0, size**-0.5)
        made.weight[PADDING].zero_()
    return made
