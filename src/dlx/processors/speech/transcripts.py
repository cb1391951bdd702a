"""What is said, as it is written: one way of writing for training and scoring."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import asdict, dataclass
from typing import Any

MARKS = re.compile(r"[^\w\s'’]|_")


@dataclass(frozen=True)
class Writing:
    """How transcripts are written: in lower case, and without marks but for apostrophes, unless said otherwise."""

    lowercase: bool = True
    punctuation: bool = False

    def normalize(self, text: str) -> str:
        """Write a transcript the one way that training and scoring know: composed characters, single blanks."""
        text = unicodedata.normalize("NFC", text)
        text = text.lower() if self.lowercase else text
        return " ".join((text if self.punctuation else MARKS.sub(" ", text)).split())

    def state_dict(self) -> dict[str, Any]:
        """Return the settings."""
        return asdict(self)
