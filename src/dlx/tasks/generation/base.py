"""What all tasks that make images share: real images as models see them, samples, and what there is to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dlx.core import Batch, Conditional, Picture, Task
from dlx.errors import ComponentError
from dlx.pictures.grids import Grid
from dlx.registry.types import FactGroup
from dlx.tasks.deferred import Deferred, in_present_precision

ROWS, COLUMNS = 8, 8  # of the grid; where there are few classes, a column each
MOST_COLUMNS = 16
STEPS = 10  # images from one end of an interpolation to the other


@dataclass(frozen=True)
class ImageFacts(FactGroup):
    """What the data know of the images that are to be made."""

    input_shape: list[int]
    num_classes: int
    channel_mean: list[float]
    channel_std: list[float]


class Generation(Task):
    """Make images from noise.

    Models see images as float32 (B, C, H, W) from -1 to 1; a prediction has them as `image`, uint8, as a file would. Where the
    model is conditional, the classes of the batch are asked for, and told as `label`.
    """

    predicts = frozenset({"image"})
    default_metrics: ClassVar[tuple[str, ...]] = ("sliced_wasserstein", "diversity")
    eval_metrics = ("sliced_wasserstein", "diversity", "nearest")
    model: Any
    scale: Tensor
    offset: Tensor

    def __init__(
        self,
        model: nn.Module,
        images: ImageFacts,
        seed: int,
    ) -> None:
        super().__init__(model)
        self.image_shape, self.num_classes, self.seed = tuple(images.input_shape), images.num_classes, seed
        self.conditional: bool = isinstance(model, Conditional) and model.conditional
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (images.channel_mean, images.channel_std))
        self.register_buffer("scale", 2 * std, persistent=False)
        self.register_buffer("offset", 2 * mean - 1, persistent=False)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Tell the shape of the noise that one image is made from."""
        return (self.model.latent_size,)

    def sample(self, noise: Tensor, label: Tensor | None) -> Tensor:
        """Make images (B, C, H, W) from -1 to 1 from noise (B, *noise_shape), for classes (B,)."""
        raise NotImplementedError

    def call(self, network: Any, *given: Tensor, label: Tensor | None) -> Any:
        """Call a part of the model, with the classes where it asks for them."""
        return network(*given) if label is None else network(*given, label)

    def real(self, batch: Batch) -> Tensor:
        """Give a batch's images as models see them."""
        return torch.addcmul(self.offset, batch["input"], self.scale)

    def label(self, batch: Batch) -> Tensor | None:
        """Give the classes of a batch where the model asks for them."""
        return batch["target"] if self.conditional else None

    def predict(self, batch: Batch) -> Batch:
        """Make as many images (B, C, H, W) as the batch has, of its classes (B,), once something reads them."""
        label, index = self.label(batch), batch["index"]
        made = Deferred({"image": in_present_precision(lambda: self.finished(index, self.seed, label), self.scale.device.type)})
        return made if label is None else Deferred({"image": lambda: made["image"], "label": lambda: label})

    def generate(self, index: Tensor, seed: int, label: int | None = None) -> Batch:
        """Make images; without a label, a conditional model takes the classes in turn."""
        if not self.conditional and label is not None:
            raise ComponentError("was not trained to make images of a class asked for; its model has conditional: false")
        device = self.scale.device
        classes = index % self.num_classes if label is None else torch.full_like(index, label)
        given = classes.to(device) if self.conditional else None
        image = self.finished(index, seed, given)
        return {"image": image} if given is None else {"image": image, "label": given}

    def finished(self, index: Tensor, seed: int, label: Tensor | None) -> Tensor:
        """Make images uint8 (B, C, H, W)."""
        noise = standard_normal(seed, index.tolist(), self.noise_shape).to(self.scale.device)
        return as_bytes(self.sample(noise, label))

    def columns(self) -> int:
        """Tell how many images stand in a row."""
        return self.num_classes if self.conditional and 2 <= self.num_classes <= MOST_COLUMNS else COLUMNS

    def show(self, batch: Batch, prediction: Batch) -> Mapping[str, Picture]:
        """Draw images made from the same noise every time."""
        columns = self.columns()
        image = self.generate(torch.arange(ROWS * columns), self.seed)["image"]
        return {"samples": Grid(image.cpu().numpy(), columns)}

    def show_eval(self, batch: Batch, prediction: Batch) -> Mapping[str, Picture]:
        """Draw samples, and rows that go from one noise to another."""
        return {**self.show(batch, prediction), "interpolation": Grid(self.interpolate(ROWS).cpu().numpy(), STEPS)}

    def interpolate(self, rows: int) -> Tensor:
        """Make images uint8 (rows * STEPS, C, H, W): each row goes from one noise to another, its class the same."""
        ends = standard_normal(self.seed, range(2 * rows), self.noise_shape).unflatten(0, (rows, 2))
        between = torch.stack([spherical(ends[:, 0], ends[:, 1], step / (STEPS - 1)) for step in range(STEPS)], 1)
        label = (torch.arange(rows) % self.num_classes).repeat_interleave(STEPS).to(self.scale.device)
        return as_bytes(self.sample(between.flatten(0, 1).to(self.scale.device), label if self.conditional else None))

    def remarks(self, scalars: Mapping[str, float]) -> Iterator[str]:
        """Warn of images that are all alike."""
        if scalars.get("val/diversity", 1.0) < COLLAPSED:
            yield (
                f"the images are nearly all alike: their diversity is {scalars['val/diversity']:.2f} of the data's; "
                "if that lasts, the generator has collapsed"
            )
        if scalars.get("val/coverage", 1.0) < 1:
            yield f"only {scalars['val/coverage']:.0%} of the classes are among the images"

    def verify(self, batch: Batch) -> None:
        """Refuse batches without classes where they are asked for, and samples that are no images of the data's shape."""
        if self.conditional and batch["target"].is_floating_point():
            raise ComponentError("is conditional, so every image needs one class: leave out mixup and cutmix")
        noise = standard_normal(0, range(2), self.noise_shape).to(self.scale.device)
        shape = tuple(self.sample(noise, batch["target"][:1].repeat(2) if self.conditional else None).shape[1:])
        if shape != self.image_shape:
            raise ComponentError(f"makes images of shape {shape}, but the data's are {self.image_shape}")


COLLAPSED = 0.3  # diversity below which images count as nearly all alike


def standard_normal(seed: int, index: Any, shape: tuple[int, ...]) -> Tensor:
    """Draw noise (B, *shape) whose rows follow from the seed and their numbers alone, whatever the batch and the device."""
    start = int.from_bytes(blake2b(str(seed).encode(), digest_size=4).digest(), "big")
    generator = torch.Generator()
    return torch.stack([torch.randn(shape, generator=generator.manual_seed((start + i) % 2**32)) for i in index])


def spherical(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Go from one noise (B, ...) to another along a great circle, so that all between are as likely (White 2016)."""
    first, last = start.flatten(1), end.flatten(1)
    angle = torch.arccos(torch.cosine_similarity(first, last).clamp(-0.9999, 0.9999))[:, None]
    way = (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * last) / torch.sin(angle)
    return way.view_as(start)


def as_bytes(images: Tensor) -> Tensor:
    """Turn images from -1 to 1 into uint8."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
