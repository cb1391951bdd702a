"""Files to waves: all of them once, with one report of those that cannot be used, and a cache where one is wanted."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dlx.data.speech.clips import Clip, Recordings
from dlx.data.speech.options import AudioFiles
from dlx.errors import ComponentError, UsageError
from dlx.processors.speech.decoding import CLIPPED, BadAudioError, Sound, decode, library
from dlx.storage import files

TOLD = 10  # files that a report names
LACKING = 0.1  # seconds, and the same share, by which a file may be shorter than the data say
FORMAT = "dlx waves 1"
log = logging.getLogger("dlx")


class Reader:
    """Decodes files, and collects what is wrong with them."""

    def __init__(self, rate: int, options: AudioFiles) -> None:
        self.rate, self.options = rate, options
        self.faults: list[str] = []
        self.kinds: Counter[str] = Counter()
        self.clipped: list[str] = []
        self.lower: list[str] = []

    def decoded(self, clip: Clip) -> Sound | None:
        """Decode a clip's file; None where it cannot be used."""
        try:
            sound = decode(clip.file, self.rate, self.options.max_seconds)
            seconds = len(sound.wave) / self.rate
            if clip.seconds is not None and clip.seconds - seconds > max(LACKING, LACKING * clip.seconds):
                raise BadAudioError(f"truncated: has {seconds:.2f} s, and the data say {clip.seconds:.2f}")
        except BadAudioError as error:
            self.faults.append(f"{clip.place}: {error}" if clip.place == clip.file else f"{clip.place}: {clip.file}: {error}")
            self.kinds[str(error).partition(":")[0]] += 1
            return None
        if sound.clipped >= CLIPPED:
            self.clipped.append(f"{clip.file} ({sound.clipped:.1%} of its samples)")
        if sound.rate < self.rate:
            self.lower.append(f"{clip.file} ({sound.rate:,} Hz)")
        return sound

    def report(self, count: int) -> None:
        """Tell what is wrong; raises ComponentError where files cannot be used and are not to be skipped."""
        _warn(self.clipped, count, "are clipped: they were recorded too loud")
        _warn(self.lower, count, f"have fewer samples a second than data.sample_rate, {self.rate:,}: nothing is gained by more")
        if not self.faults:
            return
        summary = ", ".join(f"{number:,} {kind}" for kind, number in self.kinds.most_common())
        lines = [f"{len(self.faults):,} of {count:,} recordings cannot be used ({summary})", *shortened(self.faults)]
        if self.options.on_bad == "error":
            lines[0] += "; repair or remove them, or leave them out by on_bad: skip"
            raise ComponentError("\n".join(lines), ("path",))
        log.warning("skipped: %s", "\n".join(lines))


def recordings(clips: Sequence[Clip], rate: int, options: AudioFiles) -> Recordings:
    """Decode all clips, or take them from the cache; raises ComponentError with one report of those that cannot be used."""
    library()
    if options.cache is None:
        reader = Reader(rate, options)
        found = [(clip, sound.wave) for clip in clips if (sound := reader.decoded(clip))]
        reader.report(len(clips))
        return Recordings.of([clip for clip, _ in found], [wave for _, wave in found])
    folder = Path(options.cache).expanduser()
    base = folder / f"{_key(clips, rate, options)}"
    if not base.with_suffix(".json").exists():
        _fill(base, clips, rate, options)
    return _cached(base, clips)


def _key(clips: Sequence[Clip], rate: int, options: AudioFiles) -> str:
    """Return what tells these files, as they are now, from any others."""
    found = hashlib.sha256(f"{FORMAT} {rate} {options.max_seconds} {options.on_bad}".encode())
    for clip in clips:
        try:
            status = os.stat(clip.file)
            stamp = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
        except OSError:
            stamp = ""
        found.update(f"{clip.file}\0{stamp}\0{clip.seconds}\0".encode("utf-8", "surrogateescape"))
    return found.hexdigest()[:32]


def _fill(base: Path, clips: Sequence[Clip], rate: int, options: AudioFiles) -> None:
    """Decode files into a cache: waves one after the other, and a table that is written last."""
    reader, samples = Reader(rate, options), list[int]()
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        partial = base.with_suffix(f".{os.getpid()}")
        partial.unlink(missing_ok=True)
        with files.append(partial) as file:
            for clip in clips:
                sound = reader.decoded(clip)
                samples.append(-1 if sound is None else len(sound.wave))
                if sound is not None:
                    file.write(sound.wave.tobytes())
        try:
            reader.report(len(clips))
        except ComponentError:
            partial.unlink()
            raise
        partial.replace(base.with_suffix(".waves"))
        files.write(base.with_suffix(".json"), json.dumps(samples).encode())
    except OSError as error:
        raise ComponentError(f"{error.filename}: cannot be written: {error.strerror}", ("cache",)) from None


def _cached(base: Path, clips: Sequence[Clip]) -> Recordings:
    try:
        counts = np.array(json.loads(files.read(base.with_suffix(".json"), 2**30)), np.int64)
        waves = np.memmap(base.with_suffix(".waves"), np.int16, "r")
    except (OSError, ValueError) as error:
        raise UsageError(f"{base}: the cache cannot be read: {error}; remove it") from None
    good = np.flatnonzero(counts >= 0)
    samples = counts[good]
    if len(counts) != len(clips) or samples.sum() != len(waves):
        raise UsageError(f"{base}: the cache is damaged; remove it")
    return Recordings([clips[row] for row in good.tolist()], waves, samples, samples.cumsum() - samples)


def shortened(told: Sequence[str]) -> list[str]:
    """Return the first lines of a report, and how many more there are."""
    return [f"  {one}" for one in told[:TOLD]] + ([f"  and {len(told) - TOLD:,} more"] if len(told) > TOLD else [])


def _warn(told: Sequence[str], count: int, what: str) -> None:
    if told:
        more = ", ..." if len(told) > 3 else ""
        log.warning("%s of %s recordings %s: %s%s", f"{len(told):,}", f"{count:,}", what, ", ".join(told[:3]), more)
