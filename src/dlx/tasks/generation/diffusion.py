"""A network that learns to take noise out of images, and so makes images out of noise."""

from __future__ import annotations

import math
from hashlib import blake2b
from itertools import pairwise
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from dlx.core import Batch, Loss
from dlx.errors import ComponentError
from dlx.registry import tasks
from dlx.tasks.generation.base import Generation, ImageFacts, standard_normal

NoiseSchedule = Literal["linear", "cosine"]
READ = ("image", "time")
GOLDEN = (math.sqrt(5) - 1) / 2
LARGEST_BETA = 0.999  # so that the last step leaves something of the image to divide by


@tasks("diffusion")
class Diffusion(Generation):
    """Learn to remove noise that was added in many small steps (Ho et al. 2020).

    The loss is the mean squared error of the `noise` in an image, or of its `velocity` (Salimans & Ho 2022), at a step drawn
    uniformly from `timesteps`. Noise schedules: linear (Ho et al. 2020), cosine (Nichol & Dhariwal 2021). Samplers: ddim
    (Song et al. 2021), which adds no noise and so keeps a young model's errors, and ddpm (Ho et al. 2020), which mends them;
    both take `sampling_steps`, a network's pass each. A conditional model has the label withheld from the share
    `unconditional` of its training images, so that `guidance` may push samples towards their class (Ho & Salimans 2022, its
    w): sampling then costs twice as much.
    Sampling is slow, so only the loss is computed unless metrics are named.
    """

    default_metrics = ()
    signal_level: Tensor
    noise_level: Tensor

    def __init__(
        self,
        model: nn.Module,
        images: ImageFacts,
        seed: int,
        *,
        timesteps: PositiveInt = 1000,
        noise_schedule: NoiseSchedule = "cosine",
        predict: Literal["noise", "velocity"] = "noise",
        sampler: Literal["ddim", "ddpm"] = "ddim",
        sampling_steps: PositiveInt = 50,
        guidance: NonNegativeFloat = 0.0,
        unconditional: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__(model, images, seed)
        if self.words[:2] != READ:
            raise ComponentError(
                f"wants a model that reads an image and a time, such as unet; this one reads {', '.join(self.words)}"
            )
        if sampling_steps > timesteps:
            raise ComponentError(f"{sampling_steps} are more than the timesteps, {timesteps}", ("sampling_steps",))
        if guidance and not self.conditional:
            raise ComponentError(
                "leads towards a class, and the model knows none; set model.conditional to true", ("guidance",)
            )
        if guidance and not unconditional:
            raise ComponentError(
                "needs a model that has seen images without a label; set unconditional to 0.1 or so", ("guidance",)
            )
        self.timesteps, self.velocity, self.stochastic = timesteps, predict == "velocity", sampler == "ddpm"
        self.guidance, self.unconditional = guidance, unconditional if self.conditional else 0.0
        self.sampled = torch.linspace(timesteps, 0, sampling_steps + 1, dtype=torch.float64).round().int().tolist()
        left = alpha_bar(noise_schedule, timesteps)
        self.alpha_bar: list[float] = left.tolist()
        self.register_buffer("signal_level", left.sqrt().float(), persistent=False)
        self.register_buffer("noise_level", (1 - left).sqrt().float(), persistent=False)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Tell the shape of the noise that one image is made from: the image's own."""
        return self.image_shape

    def forward(self, batch: Batch) -> Loss:
        """Compute the error at steps, with noise and without labels as chance has it."""
        images, label = self.real(batch), self.label(batch)
        step = torch.randint(1, self.timesteps + 1, (len(images),), device=images.device)
        noise = torch.randn_like(images)
        if label is not None and self.unconditional:
            withheld = torch.rand(len(label), device=label.device) < self.unconditional
            label = label.masked_fill(withheld, self.num_classes)
        return self.error(images, step, noise, label)

    def score(self, prediction: Batch, batch: Batch) -> Loss:
        """Compute the error at steps and with noise that follow from the numbers of the samples."""
        images, index = self.real(batch), batch["index"].tolist()
        # Multiples of the golden ratio fall evenly between 0 and 1, so the loss depends less on chance than with drawn steps.
        step = torch.tensor([1 + int(number * GOLDEN % 1 * self.timesteps) for number in index], device=images.device)
        noise = standard_normal(self.seed, index, self.noise_shape).to(images.device)
        return self.error(images, step, noise, self.label(batch))

    def error(self, images: Tensor, step: Tensor, noise: Tensor, label: Tensor | None) -> Loss:
        """Compute the mean squared error of what the model finds in images at steps (B,) from 1 to `timesteps`."""
        signal, amount = (level[step].view(-1, 1, 1, 1) for level in (self.signal_level, self.noise_level))
        output = self.output(signal * images + amount * noise, step, label)
        wanted = signal * noise - amount * images if self.velocity else noise
        return Loss(F.mse_loss(output, wanted), len(images))

    def output(self, image: Tensor, step: Tensor, label: Tensor | None) -> Tensor:
        """Run the model on images at steps (B,)."""
        return self.call(self.model, image, step.float() / self.timesteps, label=label).float()

    def guided(self, image: Tensor, step: Tensor, label: Tensor | None) -> Tensor:
        """Run the model with the label and, where there is guidance, without, and go beyond the difference."""
        if label is None or not self.guidance:
            return self.output(image, step, label)
        both = torch.cat((label, torch.full_like(label, self.num_classes)))
        told, untold = self.output(image.repeat(2, 1, 1, 1), step.repeat(2), both).chunk(2)
        return (1 + self.guidance) * told - self.guidance * untold

    def sample(self, noise: Tensor, label: Tensor | None) -> Tensor:
        """Make images from noise (B, C, H, W), step by step."""
        image, generators = noise, [_generator(row) for row in noise.cpu()] if self.stochastic else []
        for step, following in pairwise(self.sampled):
            added = torch.stack([torch.randn(self.noise_shape, generator=g) for g in generators]) if generators else None
            image = self.step_back(image, label, step, following, added)
        return image

    def step_back(self, image: Tensor, label: Tensor | None, step: int, following: int, added: Tensor | None) -> Tensor:
        """Go from one step to an earlier one, with noise (B, C, H, W) added where there is any.

        Song et al. 2021, equations 12 and 16: with eta 0 that is DDIM; with eta 1, DDPM, whatever steps are left out.
        """
        now, then = self.alpha_bar[step], self.alpha_bar[following]
        output = self.guided(image, torch.full((len(image),), step, device=image.device), label)
        clean = self.clean(image, output, now).clamp(-1, 1)
        noise = (image - math.sqrt(now) * clean) / math.sqrt(1 - now)
        if added is None:
            return math.sqrt(then) * clean + math.sqrt(1 - then) * noise
        variance = (1 - then) / (1 - now) * (1 - now / then)
        rest = math.sqrt(max(1 - then - variance, 0.0))
        return math.sqrt(then) * clean + rest * noise + math.sqrt(variance) * added.to(image.device)

    def clean(self, image: Tensor, output: Tensor, alpha_bar: float) -> Tensor:
        """Tell the image without noise that an output of the model means."""
        signal, amount = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
        return signal * image - amount * output if self.velocity else (image - amount * output) / signal

    def verify(self, batch: Batch) -> None:
        """Refuse a model that does not know of missing labels, beside what every generator must keep."""
        steps, self.sampled = self.sampled, [self.timesteps, 0]  # one step shows the shape as well as all
        try:
            super().verify(batch)
        finally:
            self.sampled = steps
        if self.unconditional:
            images = self.real(batch)
            step = torch.ones(len(images), dtype=torch.int64, device=images.device)
            self.output(images, step, torch.full_like(batch["target"], self.num_classes))


def alpha_bar(noise_schedule: NoiseSchedule, timesteps: int) -> Tensor:
    """Tell the share of the image's variance that is left after each step: float64 (timesteps + 1,), the first is 1."""
    if noise_schedule == "linear":  # stretched, so that any number of steps ends in as much noise as the paper's 1000
        beta = torch.linspace(1e-4, 0.02, timesteps, dtype=torch.float64) * 1000 / timesteps
    else:
        share = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps
        left = torch.cos((share + 0.008) / 1.008 * math.pi / 2).square()
        beta = 1 - left[1:] / left[:-1]
    return torch.cat((torch.ones(1, dtype=torch.float64), (1 - beta.clamp(max=LARGEST_BETA)).cumprod(0)))


def _generator(noise: Tensor) -> torch.Generator:
    """Seed the noise that is added to an image on its way by the noise it is made from, whatever the batch."""
    seed = blake2b(noise.contiguous().numpy().tobytes(), digest_size=4).digest()
    return torch.Generator().manual_seed(int.from_bytes(seed, "big"))
