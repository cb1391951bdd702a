"""Fuzzed readers of recordings: single files, and lists of them."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.reader import Case, Reader, written

FORMATS = {"wav": "WAV", "flac": "FLAC", "ogg": "OGG", "mp3": "MP3", "aiff": "AIFF", "au": "AU"}
LONGEST = 5.0  # seconds


def sound(seed: int, kind: str = "WAV", channels: int = 1, subtype: str | None = None, rate: int = 8000) -> bytes:
    """Make a tenth of a second of noise."""
    import soundfile

    wave = 0.3 * np.random.default_rng(seed).standard_normal((rate // 10, channels)).clip(-1, 1)
    made = io.BytesIO()
    soundfile.write(made, wave, rate, subtype, format=kind)
    return made.getvalue()


class Sounds(Reader):
    """A file of sound, as training and as `dlx predict` read it."""

    words = (
        b"RIFF",
        b"data",
        b"fmt ",
        b"LIST",
        b"fLaC",
        b"OggS",
        b"ID3",
        b"\xff\xfb",
        b"FORM",
        b"SSND",
        b".snd",
        *Reader.words,
    )

    def good(self) -> list[Case]:
        plain = [Case(f"x.{ending}", sound(1, kind)) for ending, kind in FORMATS.items()]
        wide = [Case("x.wav", sound(2, "WAV", 2, subtype)) for subtype in ("PCM_U8", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM")]
        return plain + wide

    def read(self, case: Case, scratch: Path) -> Any:
        from dlx.processors.speech.decoding import BadAudioError, decode, opened, pieces

        file = written(case, scratch)

        def piecewise() -> np.ndarray:
            with opened(file) as found:
                return np.concatenate([np.zeros(0, np.int16), *(piece.wave for piece in pieces(found, 8000, LONGEST))])

        for attempt in (lambda: decode(file, 8000, LONGEST).wave, piecewise):
            try:
                wave = attempt()
            except BadAudioError as error:
                if ": " not in str(error):
                    return f"a reason without its kind: {error}"
                continue
            if wave.dtype != np.int16 or wave.ndim != 1:
                return f"a wave of {wave.dtype}, {wave.shape}"
        return None


class SoundList(Reader):
    """A list of recordings with classes, as a table or as JSON lines."""

    words = (b",", b"\t", b'"', b"\n", b"split", b"speaker", b"duration", b"nan", b"1e999", b"-1", b"x.wav", *Reader.words)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for number in range(12):
            (folder / f"{number}.wav").write_bytes(sound(number))

    def good(self) -> list[Case]:
        rows = [[f"{n}.wav", "go" if n % 2 else "stop", "ab"[n // 6], "0.1"] for n in range(12)]
        header = ["audio", "label", "speaker", "duration"]
        comma, tab = ("\n".join(mark.join(row) for row in (header, *rows)).encode() for mark in (",", "\t"))
        objects = "\n".join(json.dumps(dict(zip(header, row, strict=True))) for row in rows).encode()
        return [
            Case("x.csv", comma),
            Case("x.tsv", tab),
            Case("x.jsonl", objects),
            Case("x.csv.gz", gzip.compress(comma, mtime=0)),
        ]

    def read(self, case: Case, scratch: Path) -> Any:
        from dlx.registry import sources

        choices = {"path": written(case, scratch), "root": str(self.folder), "sample_rate": 8000, "on_bad": "skip"}
        next(iter(sources.build("audio_manifest", choices, {"seed": 0}).evaluate(None, "train")))
