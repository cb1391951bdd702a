"""Recording from a microphone, by sounddevice (extra: microphone)."""

from __future__ import annotations

import numpy as np

from dlx.errors import UsageError


def recorded(seconds: float, rate: int) -> np.ndarray:
    """Record so many seconds: float32 (samples,); raises UsageError where there is no microphone."""
    try:
        import sounddevice
    except (ImportError, OSError):  # the latter where PortAudio is missing
        raise UsageError("--microphone needs the extra 'microphone' (pip install 'dlx[microphone]') and PortAudio") from None
    try:
        wave = sounddevice.rec(round(seconds * rate), samplerate=rate, channels=1, dtype="float32")
        sounddevice.wait()
    except sounddevice.PortAudioError as error:
        raise UsageError(f"--microphone: there is none that could be recorded from: {error}") from None
    return np.asarray(wave[:, 0])
