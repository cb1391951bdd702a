"""Contestants of gan_speed.py: loops of PyTorch, written by hand, on dlx's networks."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gan_common import BATCH, BETAS, LATENT, LINE, RATE, WIDTH, indices, read_images, timed


def networks() -> Any:
    """Make dlx's DCGAN by itself."""
    import torch

    from dlx.models.generation.dcgan import DCGAN

    torch.manual_seed(0)
    return DCGAN([1, 28, 28], latent_size=LATENT, width=WIDTH).train()


def adams(model: Any, fused: bool) -> tuple[Any, Any]:
    """Make the optimizers of discriminator and generator."""
    import torch

    def adam(part):
        return torch.optim.Adam(part.parameters(), lr=RATE, betas=BETAS, fused=fused or None)

    return adam(model.discriminator), adam(model.generator)


def tutorial_step(model: Any, fused: bool = False) -> Callable[[Any], None]:
    """Make a step as PyTorch's tutorial has it, with all the numbers it reads."""
    import torch

    discriminator, generator = model.discriminator, model.generator
    of_discriminator, of_generator = adams(model, fused)
    criterion = torch.nn.BCEWithLogitsLoss()
    losses: list[tuple[float, float]] = []

    def step(real):
        discriminator.zero_grad()
        label = torch.full((len(real),), 1.0)
        output = discriminator(real).view(-1)
        loss_real = criterion(output, label)
        loss_real.backward()
        output.mean().item()
        noise = torch.randn(len(real), LATENT)
        fake = generator(noise)
        label.fill_(0.0)
        output = discriminator(fake.detach()).view(-1)
        loss_fake = criterion(output, label)
        loss_fake.backward()
        output.mean().item()
        loss_discriminator = loss_real + loss_fake
        of_discriminator.step()
        generator.zero_grad()
        label.fill_(1.0)
        output = discriminator(fake).view(-1)
        loss_generator = criterion(output, label)
        loss_generator.backward()
        output.mean().item()
        of_generator.step()
        losses.append((loss_generator.item(), loss_discriminator.item()))

    return step


def gathered_step(model: Any) -> Callable[[Any], None]:
    """Make a step with no more work than the algorithm asks for."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as entropy

    discriminator, generator = model.discriminator, model.generator
    of_discriminator, of_generator = adams(model, fused=True)
    parameters = list(generator.parameters())
    ones, zeros = torch.ones(BATCH), torch.zeros(BATCH)
    count = itertools.count(1)

    def step(real):
        fake = generator(torch.randn(BATCH, LATENT))
        of_discriminator.zero_grad()
        loss = entropy(discriminator(real), ones) + entropy(discriminator(fake.detach()), zeros)
        loss.backward()
        of_discriminator.step()
        of_generator.zero_grad()
        deceived = entropy(discriminator(fake), ones)
        deceived.backward(inputs=parameters)
        of_generator.step()
        if next(count) % LINE == 0:
            loss.item(), deceived.item()

    return step


def tutorial(data: Path, steps: int, threads: int) -> dict[str, float]:
    import torch

    images = torch.from_numpy(read_images(data))[:, None]
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images), BATCH, shuffle=True, drop_last=True)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    step = tutorial_step(networks())
    return timed(lambda: step(next(batches)[0]), steps)


def gathered(data: Path, steps: int, threads: int) -> dict[str, float]:
    import torch

    images = torch.from_numpy(read_images(data))[:, None]
    batches = (images[torch.from_numpy(index)] for index in indices(len(images)))
    step = gathered_step(networks().to(memory_format=torch.channels_last))
    return timed(lambda: step(next(batches)), steps)
