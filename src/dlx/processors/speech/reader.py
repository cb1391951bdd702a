"""What processors of recordings share: files to features."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from dlx.core import Batch, Processor
from dlx.errors import UsageError, dotted
from dlx.processors.speech.decoding import ENDINGS, SCALE, BadAudioError, library, opened, pieces, quantized
from dlx.processors.speech.features import FeatureOptions, Features
from dlx.processors.speech.microphone import recorded

LONGER = 1.5  # times the longest clip of training: a longer recording is answered piece by piece
MOST_PIPED = 2**28  # bytes from standard input
log = logging.getLogger("dlx")


class Heard(NamedTuple):
    """A recording given to `dlx predict`, or a piece of one: a wave int16 (samples,), and the second that it begins at."""

    name: str
    wave: np.ndarray
    start: float = 0.0


class AudioReader(Processor):
    """Base of the processors of recordings; `longest` are the seconds of the longest clip of training."""

    can_skip = True
    batch_size = 16

    def __init__(self, features: Features, longest: float) -> None:
        self.features, self.longest = features, longest
        self.heard: list[Heard] = []  # the last batch, which its answers name
        self.skipped: list[str] = []

    @property
    def rate(self) -> int:
        """Return the sample rate that waves have."""
        return self.features.options.sample_rate

    @property
    def step_seconds(self) -> float:
        """Return how long a step of `input` is."""
        return self.features.hop / self.rate

    def read(self, inputs: Iterable[str]) -> Iterator[Heard]:
        """Read recordings: files, folders with all below them, or `-` for one from standard input.

        One that is much longer than any of training comes in pieces, cut where it is quiet; memory holds two of them.
        """
        wanted = list(inputs)
        if wanted:
            library()
        if missing := [given for given in wanted if given != "-" and not os.path.exists(given)]:
            raise UsageError("\n".join(f"{given}: no file or folder" for given in missing))
        for given in wanted:
            if given == "-":
                yield from self.pieces("standard input", io.BytesIO(sys.stdin.buffer.read(MOST_PIPED)))
            elif os.path.isdir(given):
                for name in below(given):
                    yield from self.pieces(name, name)
            else:
                yield from self.pieces(given, given)

    def pieces(self, name: str, file: str | IO[bytes]) -> Iterator[Heard]:
        """Read a recording piece by piece; raises UsageError where it cannot be read, unless such ones are skipped."""
        try:
            with opened(file) as sound:
                for wave, start in pieces(sound, self.rate, max(1.0, LONGER * self.longest)):
                    yield Heard(name, wave, start)
        except BadAudioError as error:
            if not self.skip_bad:
                raise UsageError(f"{name}: {error}") from None
            self.skipped.append(f"{name}: {error}")
            log.warning("skipped %s: %s", name, error)

    def listen(self, seconds: float) -> Iterator[Heard]:
        """Record from the microphone (extra: microphone), and give it in pieces where it is long."""
        wave = quantized(recorded(seconds, self.rate))
        most = max(1, round(max(1.0, LONGER * self.longest) * self.rate))
        for start in range(0, len(wave), most):
            yield Heard("microphone", wave[start : start + most], start / self.rate)

    def encode(self, examples: list[Heard]) -> Batch:
        """Compute `input` float32 (B, T, F), padded with 0, and `length` int64 (B,).

        Each alone: in a batch the last digits would depend on the others.
        """
        self.heard = examples
        found = [self.features(*padded([example.wave])) for example in examples]
        steps = [one[0] for one, _ in found] or [torch.zeros(0, self.features.count)]
        length = torch.cat([torch.zeros(0, dtype=torch.int64), *(length for _, length in found)])
        return {"input": torch.nn.utils.rnn.pad_sequence(steps, batch_first=True)[: len(found)], "length": length}

    def named(self, answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Put before answers the files and the seconds that they are of."""
        if len(answers) != len(self.heard):
            return list(answers)
        return [
            {"file": one.name, "start": round(one.start, 2), "end": round(one.start + len(one.wave) / self.rate, 2)} | answer
            for one, answer in zip(self.heard, answers, strict=True)
        ]

    def length(self, example: Heard) -> int:
        """Count a wave's samples."""
        return len(example.wave)

    def place(self, example: Heard) -> str:
        """Return the file of a recording."""
        return example.name

    def describe(self) -> list[str]:
        """Say what a wave becomes."""
        return [f"sound  {self.features.describe()}; the longest clip of training has {self.longest:.2f} s"]

    def state_dict(self) -> dict[str, Any]:
        """Return settings and statistics of the features, and the longest clip."""
        return {"features": self.features.state_dict(), "longest": self.longest}


def restored_features(state: Mapping[str, Any]) -> Features:
    """Make the features of a checkpoint again; raises UsageError where their settings are none."""
    try:
        TypeAdapter(FeatureOptions).validate_json(json.dumps(state["options"]), strict=True)
        TypeAdapter(list[float]).validate_python([*state["mean"], *state["std"]], strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"the state of the audio processor is damaged: {dotted(first['loc'])}: {first['msg']}") from None
    return Features.from_state(state)


def padded(waves: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Lay waves of int16 side by side: float32 (B, S), full scale 1, 0 behind their ends, and their samples int64 (B,)."""
    samples = torch.tensor([len(wave) for wave in waves], dtype=torch.int64)
    filled = torch.zeros(len(waves), int(samples.max()) if len(waves) else 0)
    for row, wave in enumerate(waves):
        filled[row, : len(wave)] = torch.from_numpy(np.asarray(wave, np.float32) / SCALE)
    return filled, samples


def below(folder: str) -> Iterator[str]:
    """Find audio files below a folder, in the order of their names; raises UsageError where there is none."""
    found = False
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                found = True
                yield os.path.join(place, name)
    if not found:
        raise UsageError(f"{folder}: holds no audio file ({', '.join(ENDINGS)})")
