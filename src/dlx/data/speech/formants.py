"""A voice made by rule: sounds of speech as harmonics below resonances, and noise. It is no human voice, and hardly sounds like one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Sound(NamedTuple):
    """A sound of speech: its first three resonances in hertz, and how loud are voice and noise, whose band is in hertz."""

    formants: tuple[float, float, float]
    seconds: float
    voice: float = 1.0
    noise: float = 0.0
    band: tuple[float, float] = (300.0, 3800.0)


class Voice(NamedTuple):
    """Who speaks: pitch in hertz, and factors on resonances, on durations and on the noise of breath."""

    pitch: float
    tract: float
    pace: float
    breath: float


# Resonances of vowels after Peterson and Barney (1952), of the others after Klatt (1980).
CLOSURE = Sound((300, 1200, 2400), 0.05, 0.02)
SOUNDS = {
    "HH": Sound((530, 1840, 2480), 0.07, 0.0, 0.25, (500, 3000)),
    "EH": Sound((530, 1840, 2480), 0.11),
    "L": Sound((360, 1100, 2700), 0.07, 0.6),
    "O": Sound((570, 840, 2410), 0.09),
    "W": Sound((330, 700, 2240), 0.09, 0.8),
    "UH": Sound((440, 1020, 2240), 0.09),
    "AA": Sound((730, 1090, 2440), 0.14),
    "IY": Sound((270, 2290, 3010), 0.09),
    "Y": Sound((280, 2250, 2900), 0.06, 0.7),
    "N": Sound((250, 1350, 2200), 0.08, 0.45),
    "S": Sound((400, 1800, 2600), 0.12, 0.0, 0.5, (2800, 3900)),
    "G": Sound((300, 1900, 2300), 0.02, 0.3, 0.4, (1300, 2200)),
    "D": Sound((300, 1700, 2600), 0.02, 0.3, 0.4, (2400, 3500)),
    "B": Sound((300, 900, 2200), 0.02, 0.4, 0.3, (400, 1000)),
    "T": Sound((400, 1700, 2600), 0.03, 0.0, 0.6, (2500, 3900)),
    "P": Sound((400, 900, 2200), 0.03, 0.0, 0.4, (400, 1500)),
}
STOPS = frozenset("GDBTP")
WORDS = {
    "hello": "HH EH L O W", "goodbye": "G UH D B AA IY", "yes": "Y EH S", "no": "N O W", "stop": "S T AA P", "go": "G O W",
}  # fmt: skip
WIDTHS = (70.0, 110.0, 160.0)  # of the resonances, in hertz
STEP = 0.005  # seconds between which resonances and loudness go straight


def sounds(word: str) -> list[Sound]:
    """Return the sounds of a word, with the silence before each stop."""
    made: list[Sound] = []
    for name in WORDS[word].split():
        made += [CLOSURE, SOUNDS[name]] if name in STOPS else [SOUNDS[name]]
    return made


def spoken(word: str, voice: Voice, rate: int, draw: np.random.Generator) -> np.ndarray:
    """Speak a word: float32 (samples,), its loudest sample 1."""
    parts = [one._replace(seconds=one.seconds * voice.pace * draw.uniform(0.85, 1.15)) for one in sounds(word)]
    ends = np.cumsum([one.seconds for one in parts])
    middles = ends - np.array([one.seconds for one in parts]) / 2
    grid = np.arange(0, ends[-1], STEP)
    time = np.arange(int(ends[-1] * rate)) / rate

    def smooth(values: list[float]) -> np.ndarray:
        return np.interp(time, grid, np.convolve(np.interp(grid, middles, values), np.ones(5) / 5, "same"))

    formants = [smooth([one.formants[number] for one in parts]) * voice.tract for number in range(3)]
    pitch = voice.pitch * (1.1 - 0.25 * time / time[-1]) * draw.uniform(0.94, 1.06)
    wave = smooth([one.voice for one in parts]) * harmonics(pitch, formants, rate)
    for one, end in zip(parts, ends, strict=True):
        if one.noise:
            place = slice(int((end - one.seconds) * rate), int(end * rate))
            wave[place] += one.noise * band_noise(len(wave[place]), one.band, rate, draw)
    wave += voice.breath * smooth([one.voice for one in parts]) * band_noise(len(wave), (300, 3800), rate, draw)
    return (wave / np.abs(wave).max()).astype(np.float32)


def harmonics(pitch: np.ndarray, formants: list[np.ndarray], rate: int) -> np.ndarray:
    """Add up the harmonics of a pitch (S,), each as loud as the resonances (S,) let it be."""
    coarse = slice(None, None, max(1, int(STEP * rate)))  # loudness changes slowly
    time, at = np.arange(len(pitch)), np.arange(len(pitch))[coarse]
    phase, total = 2 * np.pi * np.cumsum(pitch) / rate, np.zeros(len(pitch))
    turn, before, sine = 2 * np.cos(phase), np.zeros(len(pitch)), np.sin(phase)
    for number in range(1, int(min(rate / 2, 4000) / pitch.max())):
        heard = number * pitch[coarse]
        loud = sum(1 / (1 + ((heard - one[coarse]) / width) ** 2) for one, width in zip(formants, WIDTHS, strict=True))
        total += np.interp(time, at, loud / np.sqrt(number)) * sine
        before, sine = sine, turn * sine - before  # the sine of the next multiple
    return total / 2


def band_noise(size: int, band: tuple[float, float], rate: int, draw: np.random.Generator) -> np.ndarray:
    """Draw noise of a band of frequencies: (size,), of deviation 1."""
    if not size:
        return np.zeros(0)
    spectrum = np.fft.rfft(draw.standard_normal(size))
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    spectrum[(frequencies < band[0]) | (frequencies > min(band[1], 0.49 * rate))] = 0
    noise = np.fft.irfft(spectrum, size)
    return noise / max(float(noise.std()), 1e-9)
