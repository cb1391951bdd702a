"""What changes an image's colours and sharpness, and leaves its shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field
from torch import Generator, Tensor

from dlx.augmentation import pixels
from dlx.augmentation.cropping import ascending
from dlx.augmentation.drawing import NotNegative, Positive, Probability, chosen, uniform
from dlx.errors import ComponentError
from dlx.registry import augmentations


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("an odd number")
    return value


@augmentations("color_jitter")
class ColorJitter:
    """Change brightness, contrast, saturation and hue, in this order.

    The first three are factors drawn from 1 - value to 1 + value; hue is turned by at most its part of a full turn.
    Images of one channel have no saturation and no hue, and keep theirs.
    """

    def __init__(
        self,
        *,
        brightness: NotNegative = 0.4,
        contrast: NotNegative = 0.4,
        saturation: NotNegative = 0.4,
        hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1,
        probability: Probability = 1.0,
    ) -> None:
        factors: dict[Callable[[Tensor, Tensor], Tensor], float]
        factors = {pixels.brightness: brightness, pixels.contrast: contrast, pixels.saturation: saturation}
        self.ranges = {change: (max(0.0, 1 - most), 1 + most) for change, most in factors.items() if most}
        if hue:
            self.ranges[pixels.hue] = (-hue, hue)
        self.probability = probability

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        index = chosen(images, self.probability, generator)
        changed = images[index]
        for change, bounds in self.ranges.items():
            changed = change(changed, uniform(len(index), *bounds, generator))
        return images.index_copy(0, index, changed)


@augmentations("grayscale")
class Grayscale:
    """Take the colours away and keep three equal channels."""

    def __init__(self, *, probability: Probability = 0.1) -> None:
        self.probability = probability

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        index = chosen(images, self.probability, generator)
        grey = pixels.to_bytes(pixels.gray(images[index])).expand(-1, images.shape[1], -1, -1)
        return images.index_copy(0, index, grey)


@augmentations("gaussian_blur")
class GaussianBlur:
    """Smooth by a Gaussian whose deviation in pixels is drawn from `sigma`; `size` is that of its kernel, odd."""

    def __init__(
        self,
        input_shape: list[int],
        *,
        sigma: tuple[Positive, Positive] = (0.1, 2.0),
        size: Annotated[int, Field(ge=3), AfterValidator(_odd)] = 5,
        probability: Probability = 0.5,
    ) -> None:
        self.sigma, self.size, self.probability = ascending(sigma, "sigma"), size, probability
        if size // 2 >= min(input_shape[1:]):
            raise ComponentError(f"a kernel of {size} pixels does not fit into {input_shape[1]}x{input_shape[2]}", ("size",))

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        index = chosen(images, self.probability, generator)
        if not len(index):
            return images
        sigmas = uniform(len(index), *self.sigma, generator)
        return images.index_copy(0, index, pixels.blur(images[index], sigmas, self.size))
