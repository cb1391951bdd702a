"""Audio files to waves: decoded by soundfile (extra: speech), one channel, one sample rate, and what is wrong with them."""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import numpy as np

from dlx.errors import ComponentError

ENDINGS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au")
SCALE = 32768  # a wave of int16 is in units of this: what 16 bits hold comes through exactly
SILENT = 1e-4  # the loudest sample of a silent file, of full scale: 80 dB below it
FULL = 0.999  # of full scale: as loud as a sample can be
CLIPPED = 0.005  # share of samples of full scale from which a file is called clipped
MOST_RATE, MOST_CHANNELS = 768_000, 64
CUT_SHORT = re.compile(r"data\s*: (\d+) \(should be (\d+)\)")  # libsndfile of a header that promises more than there is


class BadAudioError(Exception):
    """A file that cannot be used; the reason begins with its kind and a colon."""


class Sound(NamedTuple):
    """A decoded wave int16 (samples,) and what is worth knowing of its file."""

    wave: np.ndarray
    rate: int  # of the file
    clipped: float  # share of samples at full scale


def library() -> Any:
    """Return soundfile; raises ComponentError where it is not installed."""
    try:
        import soundfile
    except (ImportError, OSError):  # the latter where libsndfile is missing
        raise ComponentError("needs the extra 'speech': pip install 'dlx[speech]'") from None
    return soundfile


def opened(file: str | IO[bytes]) -> Any:
    """Open an audio file for reading; raises BadAudioError."""
    if isinstance(file, str):
        try:
            if not stat.S_ISREG(os.stat(file).st_mode):
                raise BadAudioError("unreadable: is no regular file")
        except OSError as error:
            raise BadAudioError(f"unreadable: {error.strerror}") from None
    soundfile = library()
    try:
        sound = soundfile.SoundFile(file)
    except (RuntimeError, TypeError) as error:
        raise BadAudioError(f"unreadable: {_told(error)}") from None
    if sound.samplerate > MOST_RATE or sound.channels > MOST_CHANNELS:
        raise BadAudioError(f"unreadable: {sound.channels:,} channels of {sound.samplerate:,} Hz")
    if (cut := CUT_SHORT.search(sound.extra_info)) and int(cut[2]) < int(cut[1]):
        raise BadAudioError(f"truncated: {int(cut[2]):,} of {int(cut[1]):,} bytes are there")
    return sound


def decode(file: str, rate: int, most_seconds: float) -> Sound:
    """Decode a whole file of at most so many seconds; raises BadAudioError where it cannot be used."""
    with opened(file) as sound:
        seconds = sound.frames / sound.samplerate
        if seconds > most_seconds:
            raise BadAudioError(f"overlong: {seconds:.2f} s, and max_seconds is {most_seconds:g}")
        wave = read(sound, sound.frames)
        if len(wave) < sound.frames:
            raise BadAudioError(f"truncated: {len(wave):,} of {sound.frames:,} samples are there")
        native = sound.samplerate
    return Sound(quantized(checked(resampled(wave, native, rate))), native, float((np.abs(wave) >= FULL).mean()))


def read(sound: Any, frames: int) -> np.ndarray:
    """Read the next samples, at most so many, as the mean of the channels: float32 (samples,); raises BadAudioError."""
    try:
        wave = sound.read(frames, dtype="float32", always_2d=True).mean(1)
    except RuntimeError as error:
        raise BadAudioError(f"truncated: {_told(error)}") from None
    if not np.isfinite(wave).all():
        raise BadAudioError("unreadable: holds numbers that are not finite")
    return wave


def checked(wave: np.ndarray) -> np.ndarray:
    """Return a wave; raises BadAudioError where there is nothing in it."""
    if not len(wave):
        raise BadAudioError("empty: has no samples")
    if float(np.abs(wave).max()) < SILENT:
        raise BadAudioError(f"silent: its loudest sample is {np.abs(wave).max():.1e} of full scale")
    return wave


def resampled(wave: np.ndarray, native: int, rate: int) -> np.ndarray:
    """Bring a wave to another sample rate, by a polyphase filter (scipy's resample_poly)."""
    if native == rate or not len(wave):
        return wave
    from scipy.signal import resample_poly

    common = math.gcd(native, rate)
    return resample_poly(wave, rate // common, native // common).astype(np.float32)


def quantized(wave: np.ndarray) -> np.ndarray:
    """Return a wave, full scale 1, as int16."""
    return (wave * SCALE).round().clip(-SCALE, SCALE - 1).astype(np.int16)


class Piece(NamedTuple):
    """A part of a recording: a wave int16 and the second that it begins at."""

    wave: np.ndarray
    start: float


def pieces(sound: Any, rate: int, most_seconds: float) -> Iterator[Piece]:
    """Cut an open recording of any length into pieces, each where it is quietest in its second half.

    Memory holds two pieces. Raises BadAudioError.
    """
    most, start = max(1, round(most_seconds * sound.samplerate)), 0
    rest = np.zeros(0, np.float32)
    while True:
        more = read(sound, 2 * most - len(rest))
        rest = np.concatenate((rest, more)) if len(rest) else more
        if not len(rest):
            return
        size = len(rest) if len(rest) <= most else quietest(rest[:most], sound.samplerate)
        yield Piece(quantized(resampled(rest[:size], sound.samplerate, rate)), start / sound.samplerate)
        rest, start = rest[size:], start + size


def quietest(wave: np.ndarray, rate: int) -> int:
    """Return the middle of the quietest tenth of a second in the second half of a wave."""
    window = max(1, min(rate // 10, len(wave) // 4))
    power = np.cumsum(np.square(wave[len(wave) // 2 :], dtype=np.float64))
    energy = power[window:] - power[:-window]
    return len(wave) // 2 + int(energy.argmin()) + window // 2


def _told(error: Exception) -> str:
    return str(error).partition(": ")[2].rstrip(".") or str(error)
