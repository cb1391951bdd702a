"""A data set of encoded texts: batches of like length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlx.core import Processor
from dlx.data.by_length import LengthSource, Lengthy
from dlx.data.text.options import TextBatching

EVALUATION_BATCH, EVALUATION_TOKENS = 256, 8192
BATCH = 32


class TextSource(LengthSource):
    """Splits of encoded texts: as many texts to a batch as neither their number nor their pieces forbid."""

    def __init__(
        self, seed: int, data: Mapping[str, Lengthy], facts: Mapping[str, Any], processor: Processor, batching: TextBatching
    ) -> None:
        free = batching.tokens_per_batch is not None
        most, tokens = batching.batch_size or (2**40 if free else BATCH), batching.tokens_per_batch or 2**40
        super().__init__(seed, data, facts, processor, most, tokens, (EVALUATION_BATCH, EVALUATION_TOKENS))
