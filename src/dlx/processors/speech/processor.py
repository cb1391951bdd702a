"""The processor of recordings, each of a class: predictions to class names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlx.core import Batch
from dlx.processors.speech.features import Features
from dlx.processors.speech.reader import AudioReader, restored_features
from dlx.processors.targets import ClassTarget
from dlx.registry import processors


@processors("audio")
class AudioProcessor(AudioReader):
    """Recordings, each of one class, such as a spoken word."""

    name = "audio"

    def __init__(self, features: Features, longest: float, class_names: Sequence[str]) -> None:
        super().__init__(features, longest)
        self.target = ClassTarget("class", class_names)

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Answer {"file": name, "start": s, "end": s, "label": class, "probability": {class: p}}."""
        return self.named(self.target.decode(prediction))

    def describe(self) -> list[str]:
        """Say what a wave becomes, and what the classes are."""
        return [*super().describe(), f"label  target, {self.target.describe()}"]

    def state_dict(self) -> dict[str, Any]:
        """Return the features, the longest clip and the classes."""
        return {**super().state_dict(), "class_names": self.target.names}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> AudioProcessor:
        """Make the processor again."""
        return cls(restored_features(state["features"]), state["longest"], state["class_names"])
