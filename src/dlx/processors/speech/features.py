"""Waves to features, a batch at a time, as tensors on the device that they lie on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from dlx.errors import ComponentError
from dlx.processors.speech.mel import MelScale, cosines, filters
from dlx.registry.types import OptionGroup

# B: clips, S: samples, T: steps, F: features
Kind = Literal["log_mel", "mfcc", "wave"]
Normalize = Literal["clip", "global", "none"]
LEAST_POWER = 1e-10  # 100 dB below full scale; what is fainter is as faint as that
LEAST_DEVIATION = 1e-3


@dataclass(frozen=True)
class FeatureOptions(OptionGroup):
    """What a model reads of a wave, a step every `hop_seconds`.

    log_mel: `num_mels` energies in decibels; mfcc: the first `num_coefficients` of their cepstrum; wave: the samples of each
    step themselves. Windows (Hann) are `window_seconds` long; mels reach from `low_frequency` to `high_frequency` (half the
    sample rate). What is `dynamic_range` decibels below a clip's loudest is raised to that. `normalize: clip` gives each
    feature mean 0 and deviation 1 within each clip, `global` by the training split's numbers.
    """

    sample_rate: Annotated[int, Field(ge=1000, le=192_000)] = 16_000
    features: Kind = "log_mel"
    window_seconds: PositiveFloat = 0.025
    hop_seconds: PositiveFloat = 0.01
    num_mels: PositiveInt = 40
    num_coefficients: PositiveInt = 13
    low_frequency: NonNegativeFloat = 0.0
    high_frequency: PositiveFloat | None = None
    mel_scale: MelScale = "slaney"
    dynamic_range: PositiveFloat | None = 80.0
    normalize: Normalize = "clip"


class Features:
    """Computes features; `mean` and `std`, a number a feature, are those of `normalize: global`.

    Log-mel energies are librosa's `power_to_db(melspectrogram(...))` and MFCCs its `mfcc`, with the same settings.
    """

    def __init__(self, options: FeatureOptions, mean: Sequence[float] = (), std: Sequence[float] = ()) -> None:
        self.options, self.mean, self.std = options, list(mean), list(std)
        self.window, self.hop = (
            max(1, round(options.sample_rate * seconds)) for seconds in (options.window_seconds, options.hop_seconds)
        )
        self.size = 1 << (self.window - 1).bit_length()  # of the Fourier transform
        self.high = options.high_frequency or options.sample_rate / 2
        self.kept: dict[torch.device, tuple[Tensor, ...]] = {}
        refuse_misfit(options, self.high)

    @property
    def count(self) -> int:
        """Return the number of features of a step."""
        return {"log_mel": self.options.num_mels, "mfcc": self.options.num_coefficients, "wave": self.hop}[
            self.options.features
        ]

    def steps(self, samples: Any) -> Any:
        """Return how many steps so many samples have: an int, or int64 (B,)."""
        return (samples + self.hop - 1) // self.hop if self.options.features == "wave" else samples // self.hop + 1

    def __call__(self, waves: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Return normalised features float32 (B, T, F) of waves (B, S), 0 behind each clip's end, and their steps (B,)."""
        found, length = self.raw(waves, samples)
        inside = (torch.arange(found.shape[1], device=found.device) < length[:, None])[:, :, None]
        normalized = self.normalized(found, inside, length)
        return torch.where(inside, normalized, 0.0), length

    def raw(self, waves: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Return features before they are normalised (B, T, F), and their steps (B,)."""
        length = self.steps(samples)
        if self.options.features == "wave":
            filled = torch.nn.functional.pad(waves, (0, -waves.shape[1] % self.hop))
            return filled.unflatten(1, (-1, self.hop)), length
        window, mels, cosine = self.tables(waves.device)
        # As librosa does, windows are centred on their steps, and beyond a clip's ends there is silence.
        spectrum = torch.stft(
            waves, self.size, self.hop, self.window, window, center=True, pad_mode="constant", return_complex=True
        )
        # Real and imaginary parts are squared side by side, and added up by the filters, which have each bin twice.
        squares = torch.view_as_real(spectrum.transpose(1, 2)).square_().flatten(2)
        decibels = (squares @ mels).clamp_min_(LEAST_POWER).log10_().mul_(10)
        decibels = self.floored(decibels, length)
        return (decibels @ cosine if self.options.features == "mfcc" else decibels), length

    def floored(self, decibels: Tensor, length: Tensor) -> Tensor:
        """Raise what lies too far below a clip's loudest."""
        if self.options.dynamic_range is None:
            return decibels
        inside = (torch.arange(decibels.shape[1], device=decibels.device) < length[:, None])[:, :, None]
        loudest = decibels.masked_fill(~inside, -torch.inf).amax((1, 2), keepdim=True)
        return torch.maximum(decibels, loudest - self.options.dynamic_range)

    def normalized(self, found: Tensor, inside: Tensor, length: Tensor) -> Tensor:
        """Give features (B, T, F) a mean of 0 and a deviation of 1, within each clip or by the training split's numbers."""
        if self.options.normalize == "none":
            return found
        if self.options.normalize == "global":
            mean, std = (torch.tensor(numbers, device=found.device) for numbers in (self.mean, self.std))
            return (found - mean) / std
        axes = (1, 2) if self.options.features == "wave" else 1  # samples have one mean together
        mean, variance = moments(found, inside, length, axes)
        return (found - mean) / variance.sqrt().clamp_min(LEAST_DEVIATION)

    def fit(self, batches: Callable[[], Any]) -> None:
        """Take mean and deviation of each feature over batches of (waves, samples), where those are wanted."""
        if self.options.normalize != "global":
            return
        total, squares, count = (torch.zeros(self.count, dtype=torch.float64) for _ in range(3))
        for waves, samples in batches():
            found, length = self.raw(waves, samples)
            values = found[torch.arange(found.shape[1]) < length[:, None]].double()
            total, squares, count = total + values.sum(0), squares + values.square().sum(0), count + len(values)
        if self.options.features == "wave":
            total, squares, count = (one.sum().expand(self.count) for one in (total, squares, count))
        mean = total / count
        self.mean = mean.tolist()
        self.std = (squares / count - mean.square()).clamp_min(LEAST_DEVIATION**2).sqrt().tolist()

    def tables(self, device: torch.device) -> tuple[Tensor, ...]:
        """Return the window (S,), the mel filters (2 bins, mels) and the cosines (mels, coefficients), on a device."""
        if device not in self.kept:
            o = self.options
            mels = filters(o.sample_rate, self.size, o.num_mels, o.low_frequency, self.high, o.mel_scale).repeat(2, 0)
            cosine = torch.from_numpy(cosines(o.num_mels, min(o.num_coefficients, o.num_mels)))
            self.kept[device] = tuple(
                table.to(device) for table in (torch.hann_window(self.window), torch.from_numpy(mels), cosine)
            )
        return self.kept[device]

    def describe(self) -> str:
        """Say what a wave becomes."""
        o = self.options
        what = {"log_mel": "log-mel energies", "mfcc": "mel cepstral coefficients", "wave": "samples"}[o.features]
        return f"{o.sample_rate:,} Hz; {self.count} {what} every {o.hop_seconds * 1000:g} ms, normalised: {o.normalize}"

    def state_dict(self) -> dict[str, Any]:
        """Return the settings and the training split's numbers, as JSON values."""
        return {"options": asdict(self.options), "mean": self.mean, "std": self.std}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Features:
        """Make it again."""
        return cls(FeatureOptions(**state["options"]), state["mean"], state["std"])


def moments(found: Tensor, inside: Tensor, length: Tensor, axes: int | tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return mean and variance over the steps (B, T, F) that are inside."""
    count = length.clamp_min(1).view(-1, 1, 1) * (found.shape[2] if isinstance(axes, tuple) else 1)
    mean = torch.where(inside, found, 0.0).sum(axes, keepdim=True) / count
    variance = torch.where(inside, (found - mean).square(), 0.0).sum(axes, keepdim=True) / count
    return mean, variance


def refuse_misfit(options: FeatureOptions, high: float) -> None:
    """Raise ComponentError where settings contradict each other."""
    if high > options.sample_rate / 2:
        raise ComponentError(f"is above half the sample rate, {options.sample_rate / 2:g} Hz", ("high_frequency",))
    if options.low_frequency >= high:
        raise ComponentError(f"is not below the highest frequency, {high:g} Hz", ("low_frequency",))
    if options.features == "mfcc" and options.num_coefficients > options.num_mels:
        raise ComponentError(f"is more than num_mels, {options.num_mels}", ("num_coefficients",))
    if options.window_seconds < options.hop_seconds:
        raise ComponentError(
            f"is less than hop_seconds, {options.hop_seconds:g}: sound between windows is lost", ("window_seconds",)
        )
