"""Pieces of words, learned by sentencepiece (extra: text)."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from dlx.errors import ComponentError, UsageError
from dlx.processors.tokenizer import BEGIN, END, PADDING, UNKNOWN, Tokenizer

LEAST = 256 + 4  # every byte has a code, so that nothing is unknown
LONGEST = 65_536  # bytes of a text that pieces are learned from; a longer one is left out by sentencepiece
TOO_MANY = re.compile(r"value <= (\d+)")


class Subwords(Tokenizer):
    """Byte-pair encoding (Sennrich et al. 2016) or a unigram language model (Kudo 2018) over Unicode as it is written.

    What has no piece is spelled in bytes. Learning uses one thread, since a unigram model depends on their number.
    """

    def __init__(self, kind: Literal["bpe", "unigram"], lowercase: bool, model: bytes) -> None:
        self.kind, self.lowercase, self.model = kind, lowercase, model
        self.processor = _library().SentencePieceProcessor(model_proto=model)
        self.pieces = [self.processor.id_to_piece(code) for code in range(self.processor.get_piece_size())]

    @classmethod
    def fit(cls, kind: Literal["bpe", "unigram"], lowercase: bool, texts: Iterable[str], size: int) -> Subwords:
        """Learn `size` pieces; raises ComponentError where the texts do not hold so many."""
        if size <= LEAST:
            raise ComponentError(
                f"{size} codes are too few for {kind}: each byte needs one, {LEAST} in all", ("vocabulary_size",)
            )
        written = io.BytesIO()
        try:
            _library().SentencePieceTrainer.train(
                sentence_iterator=iter(texts), model_writer=written, model_type=kind, vocab_size=size,
                pad_id=PADDING, unk_id=UNKNOWN, bos_id=BEGIN, eos_id=END, byte_fallback=True, character_coverage=1.0,
                normalization_rule_name="identity", num_threads=1, max_sentence_length=LONGEST, minloglevel=2,
            )  # fmt: skip
        except (RuntimeError, OSError) as error:
            most = TOO_MANY.search(str(error))
            hint = f"the training split's texts hold at most {int(most[1]):,}" if most else str(error)
            hint = "the training split has more different characters" if "required_chars_" in hint else hint
            raise ComponentError(f"cannot learn {size:,} pieces: {hint}", ("vocabulary_size",)) from None
        return cls(kind, lowercase, written.getvalue())

    def cut(self, text: str) -> list[int]:
        return self.processor.encode(text)

    def join(self, codes: Sequence[int]) -> str:
        return self.processor.decode(list(codes))

    def state_dict(self) -> dict[str, Any]:
        model = base64.b64encode(self.model).decode("ascii")
        return {"kind": self.kind, "lowercase": self.lowercase, "model": model}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Subwords:
        """Make the tokenizer again; raises UsageError where its model is none."""
        try:
            return cls(state["kind"], state["lowercase"], base64.b64decode(state["model"], validate=True))
        except (ValueError, RuntimeError) as error:
            raise UsageError(f"the checkpoint's {state['kind']} pieces cannot be read: {error}") from None


def _library() -> Any:
    try:
        import sentencepiece
    except ImportError:
        raise ComponentError("needs the extra 'text': pip install 'dlx[text]'", ("tokenizer",)) from None
    return sentencepiece
