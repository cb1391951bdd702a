"""Changes to a batch of training clips, drawn by a generator: the same seed, epoch and batch give the same."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from dlx.data.speech.options import AudioAugmentation
from dlx.errors import ComponentError

# B: clips, S: samples, T: steps, F: features
LEAST_POWER = 1e-10


class Augmentation:
    """Changes waves, and features made of them; `noises` are waves float32 (N,) of full scale 1 to mix with."""

    def __init__(self, options: AudioAugmentation, rate: int, noises: list[Tensor]) -> None:
        self.options, self.rate, self.noises = options, rate, noises
        if options.noise_ratio[0] > options.noise_ratio[1]:
            raise ComponentError("goes from the least to the most", ("noise_ratio",))
        if options.noise_folder is not None and not options.noise:
            raise ComponentError("wants noise, the probability that a clip is mixed with it", ("noise_folder",))
        changes = (options.time_shift, options.speed, options.gain, options.noise, options.time_masks, options.frequency_masks)
        self.active = any(changes)

    def waves(self, waves: Tensor, samples: Tensor, draw: Generator) -> tuple[Tensor, Tensor]:
        """Change waves (B, S) with so many samples (B,) each; speed changes their numbers."""
        o = self.options
        if o.speed:
            waves, samples = sped(waves, samples, 1 + o.speed * both_ways(len(waves), draw))
        if o.time_shift:
            shift = (o.time_shift * self.rate * both_ways(len(waves), draw)).long()
            waves = shifted(waves, samples, shift.to(waves.device))
        if o.gain:
            waves = waves * (10 ** (o.gain * both_ways(len(waves), draw) / 20)).to(waves.device)[:, None]
        if o.noise:
            waves = self.noisy(waves, samples, draw)
        return waves, samples

    def noisy(self, waves: Tensor, samples: Tensor, draw: Generator) -> Tensor:
        """Mix some waves with noise at a signal-to-noise ratio that is drawn."""
        low, high = self.options.noise_ratio
        noise = torch.stack([self.noise(waves.shape[1], draw) for _ in waves]).to(waves.device)
        noise = noise * (torch.arange(waves.shape[1], device=waves.device) < samples[:, None])
        ratio = low + (high - low) * torch.rand(len(waves), generator=draw)
        chosen = torch.rand(len(waves), generator=draw) < self.options.noise
        power = [(one.square().sum(1) / samples).clamp_min(LEAST_POWER) for one in (waves, noise)]
        factor = (power[0] / power[1]).sqrt() * (chosen * 10 ** (-ratio / 20)).to(waves.device)
        return waves + noise * factor[:, None]

    def noise(self, size: int, draw: Generator) -> Tensor:
        """Draw noise (size,): a part of a file, repeated where it is short, or white noise."""
        if not self.noises:
            return torch.randn(size, generator=draw)
        one = self.noises[int(torch.randint(len(self.noises), (), generator=draw))]
        start = int(torch.randint(len(one), (), generator=draw))
        return one[(start + torch.arange(size)) % len(one)]

    def features(self, found: Tensor, length: Tensor, draw: Generator) -> Tensor:
        """Set stretches of steps and bands of features (B, T, F) to 0, which is their mean (SpecAugment)."""
        o = self.options
        for count, most, axis in ((o.time_masks, o.time_mask, 1), (o.frequency_masks, o.frequency_mask, 2)):
            sizes = length.cpu() if axis == 1 else torch.full((len(found),), found.shape[2])
            for _ in range(count):
                width = (torch.rand(len(found), generator=draw) * (sizes // 2).clamp(max=most) + 0.5).long()
                start = (torch.rand(len(found), generator=draw) * (sizes - width + 1)).long()
                place = torch.arange(found.shape[axis])
                hidden = (place >= start[:, None]) & (place < (start + width)[:, None])
                found = found.masked_fill(
                    hidden.to(found.device)[:, :, None] if axis == 1 else hidden.to(found.device)[:, None], 0
                )
        return found


def both_ways(size: int, draw: Generator) -> Tensor:
    """Draw numbers (size,) from -1 to 1."""
    return 2 * torch.rand(size, generator=draw) - 1


def shifted(waves: Tensor, samples: Tensor, shift: Tensor) -> Tensor:
    """Move waves (B, S) to the right by so many samples (B,), within their lengths; silence comes in."""
    place = torch.arange(waves.shape[1], device=waves.device) - shift[:, None]
    there = (place >= 0) & (place < samples[:, None]) & (torch.arange(waves.shape[1], device=waves.device) < samples[:, None])
    return torch.where(there, waves.gather(1, place.clamp(0, waves.shape[1] - 1)), 0.0)


def sped(waves: Tensor, samples: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
    """Play waves (B, S) by factors (B,) faster, by cubic interpolation (Catmull-Rom), pitch and all."""
    factor = factor.to(waves.device)
    new = (samples / factor).long().clamp_min(1)
    at = torch.arange(int(new.max()), device=waves.device) * factor[:, None]
    base = at.floor().long()
    part = (at - base).to(waves.dtype)
    before, here, after, beyond = (waves.gather(1, (base + n).clamp(0, waves.shape[1] - 1)) for n in (-1, 0, 1, 2))
    slope = (after - before) / 2
    next_slope = (beyond - here) / 2
    rise = after - here
    cubic = here + part * (slope + part * (3 * rise - 2 * slope - next_slope + part * (slope + next_slope - 2 * rise)))
    return torch.where(torch.arange(cubic.shape[1], device=waves.device) < new[:, None], cubic, 0.0), new
