"""A GAN whose two networks are written layer by layer in the config."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.activation import activation_name
from dlx.layers.building import IMAGE, require
from dlx.layers.shape import Reshape
from dlx.layers.stack import LayerList, Stack, build_stack, shaping
from dlx.models.generation import shared
from dlx.models.generation.shared import JoinLabel, classes, expect_label
from dlx.registry import models

BOUNDED = ("tanh", "softsign")  # from -1 to 1


class Generator(nn.Module):
    """The layers over the noise and the one-hot label: (B, latent_size), (B,) -> (B, C, H, W)."""

    def __init__(self, layers: Stack, num_classes: int) -> None:
        super().__init__()
        self.join, self.layers = JoinLabel(num_classes), layers

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        return self.layers(self.join(noise, label))


class Discriminator(nn.Module):
    """The layers over the image and, as one more channel, a learned plane for its class: (B, C, H, W), (B,) -> (B,)."""

    def __init__(self, layers: Stack, input_shape: list[int], num_classes: int) -> None:
        super().__init__()
        self.layers, self.num_classes = layers, num_classes
        self.sides = tuple(input_shape[1:])
        self.plane = nn.Embedding(num_classes, math.prod(self.sides)) if num_classes else None

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        label = expect_label(label, self.num_classes)
        if self.plane is not None:
            image = torch.cat((image, self.plane(label).unflatten(1, (1, *self.sides))), 1)
        return self.layers(image).flatten()


@models("gan")
class GAN(shared.GAN):
    """A GAN of two lists of layers, their input sizes inferred.

    `generator` reads the noise (latent_size,) and ends in the data's image (C, H, W) from -1 to 1, so in a tanh;
    `discriminator` reads such an image and ends in one number, a logit. `conditional` joins the one-hot label to the noise,
    (latent_size + num_classes,), and a learned plane for the class to the image, (C + 1, H, W).
    """

    def __init__(
        self,
        input_shape: list[int],
        facts: Mapping,
        num_classes: int | None = None,
        *,
        generator: LayerList,
        discriminator: LayerList,
        latent_size: PositiveInt = 100,
        conditional: bool = False,
    ) -> None:
        require(tuple(input_shape), IMAGE)
        told = classes(conditional, num_classes)
        noise = build_stack(generator, [latent_size + told], facts, ("generator",), "the noise")
        _verify_image(noise, tuple(input_shape))
        seen = [input_shape[0] + bool(told), *input_shape[1:]]
        image = build_stack(discriminator, seen, facts, ("discriminator",), "the image")
        _verify_logit(image)
        super().__init__(Generator(noise, told), Discriminator(image, input_shape, told), latent_size, conditional)


def _verify_image(stack: Stack, input_shape: tuple[int, ...]) -> None:
    last = stack.layout[-1]
    if last.output_shape != input_shape:
        raise ComponentError(f"ends in {last.output_shape}, but the data's images are {input_shape}", shaping(stack.layout))
    if _last_activation(stack) not in BOUNDED:
        raise ComponentError("ends without a tanh, but images go from -1 to 1; add one as the last layer", last.path)


def _verify_logit(stack: Stack) -> None:
    last = stack.layout[-1]
    if math.prod(last.output_shape) != 1:
        raise ComponentError(
            f"ends in {last.output_shape}, but a discriminator ends in one number, (1,)", shaping(stack.layout)
        )
    if name := _last_activation(stack):
        raise ComponentError(f"ends in {name}, but the losses read logits; leave it out", last.path)


def _last_activation(stack: Stack) -> str:
    """Name the activation at the end, before what only rearranges; "" where there is none."""
    computing = [module for module in stack if not isinstance(module, Reshape | nn.Flatten)]
    return activation_name(computing[-1]) if computing else ""
