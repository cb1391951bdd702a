"""The processor of recordings with a transcript each: predictions to words with their times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from dlx.core import Batch
from dlx.processors.speech.features import Features
from dlx.processors.speech.language_model import LanguageModel
from dlx.processors.speech.reader import AudioReader, restored_features
from dlx.processors.speech.transcripts import Writing
from dlx.processors.tokenizer import Tokenizer
from dlx.processors.tokenizers import restored_tokenizer
from dlx.registry import processors


class TimedWords(tuple[dict[str, Any], ...]):
    """Words with their times: JSON objects for machines, one line for people."""

    def __str__(self) -> str:
        return ", ".join(f"{one['word']} {one['start']:.2f}-{one['end']:.2f}" for one in self)


@processors("speech_to_text")
class SpeechToTextProcessor(AudioReader):
    """Recordings of speech; a transcript is normalised the same way for training and for scoring.

    Codes of transcripts are the tokenizer's. `words` are those that a decoder may be held to, and `language_model` says how
    likely they follow each other.
    """

    name = "speech_to_text"

    def __init__(
        self,
        features: Features,
        longest: float,
        tokenizer: Tokenizer,
        writing: Writing,
        words: Sequence[str],
        language_model: LanguageModel | None = None,
    ) -> None:
        super().__init__(features, longest)
        self.tokenizer, self.writing, self.words = tokenizer, writing, list(words)
        self.language_model = language_model

    def normalize(self, text: str) -> str:
        """Write a transcript as training and scoring know it."""
        return self.writing.normalize(text)

    def codes(self, texts: Iterable[str]) -> list[list[int]]:
        """Return the codes of transcripts; one without words has none."""
        return [self.tokenizer.encode(text) if text else [] for text in map(self.normalize, texts)]

    def detokenize(self, codes: Iterable[int]) -> str:
        """Return the text of an answer's codes, up to the first END."""
        return self.tokenizer.decode(codes).strip()

    def target_vocabulary(self) -> list[str]:
        """Return the pieces of transcripts, by code."""
        return list(self.tokenizer.pieces)

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Answer {"file", "start", "end", "output": text, "words": words with their times}, all times in seconds."""
        times = prediction.get("time")
        answers = []
        for row, codes in enumerate(prediction["output"].tolist()):
            answer: dict[str, Any] = {"output": self.detokenize(codes)}
            if times is not None:
                begins = self.heard[row].start if row < len(self.heard) else 0.0
                answer["words"] = self.timed(codes, times[row], begins)
            answers.append(answer)
        return self.named(answers)

    def timed(self, codes: Sequence[int], times: Tensor, begins: float) -> TimedWords:
        """Return the words of codes with the times of their first and last pieces (T, 2)."""
        found: list[dict[str, Any]] = []
        text = ""
        for place, (start, end) in enumerate(times.tolist()):
            longer = self.detokenize(codes[: place + 1])
            if longer == text or not (words := longer.split()):
                continue
            if len(words) > len(found):
                found.append({"word": "", "start": round(begins + start, 2), "end": 0.0})
            found[-1] |= {"word": words[-1], "end": round(begins + end, 2)}
            text = longer
        return TimedWords(found)

    def describe(self) -> list[str]:
        """Say what a wave becomes, and what transcripts are cut into."""
        text = f"text   transcripts as {self.tokenizer.kind}, {self.tokenizer.size:,} codes; {len(self.words):,} words"
        if self.language_model:
            text += f"; {len(self.language_model.counts):,} sequences of {self.language_model.order} words"
        return [*super().describe(), text]

    def state_dict(self) -> dict[str, Any]:
        """Return the features, the tokenizer, how transcripts are written, and the words."""
        written = {"tokenizer": self.tokenizer.state_dict(), "writing": self.writing.state_dict(), "words": self.words}
        language = self.language_model.state_dict() if self.language_model else None
        return {**super().state_dict(), **written, "language_model": language}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> SpeechToTextProcessor:
        """Make the processor again."""
        features, tokenizer = restored_features(state["features"]), restored_tokenizer(state["tokenizer"])
        language = state.get("language_model")  # absent in checkpoints from before there was one
        model = None if language is None else LanguageModel.from_state(language)
        return cls(features, state["longest"], tokenizer, Writing(**state["writing"]), state["words"], model)
