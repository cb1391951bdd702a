"""torchvision's classification networks under their own names, with published weights, a new head, and freezing."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
import torchvision
from pydantic import PositiveInt
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from dlx.errors import ComponentError
from dlx.layers.dropout import Dropout
from dlx.layers.normalization import Rate
from dlx.layers.pooling import GlobalAverage, GlobalMaximum
from dlx.models.image.transfer import Freeze, ImageNetwork
from dlx.models.pixel_statistics import Normalization, Repeat
from dlx.models.torchvision_parts import Parts, divide, last_layer, replace_first_convolution
from dlx.models.torchvision_weights import best, by_name, download, resize_positions, restore_names
from dlx.registry import models
from dlx.storage import weights as foreign

Pooling = Literal["average", "max", "flatten"]
POOLINGS: dict[str, Callable[[], nn.Module]] = {
    "average": lambda: GlobalAverage((2, 3)),
    "max": lambda: GlobalMaximum((2, 3)),
    "flatten": nn.Flatten,
}
CHOICES = """

input (B, C, H, W) -> (B, num_classes). `weights`: none, imagenet (downloaded once by torchvision), a name of
torchvision's ({names}), or a file.
`include_top: false` puts a new head, of `pooling`, `hidden` sizes and `dropout`, in place of the published classifier;
true keeps it, and resizes its last layer where the classes are not ImageNet's 1000. `freeze`: the backbone, or its first
blocks; `unfreeze_at`: the epoch, counted from 0, at which that thaws. `normalization`: the statistics that the weights
expect, those of ImageNet or of the data; unless said they follow from `weights`.
"""


@dataclass(frozen=True)
class Data:
    """What the data knows."""

    num_classes: int
    input_shape: list[int]
    channel_mean: list[float] | None
    channel_std: list[float] | None


@dataclass(frozen=True)
class Head:
    """What the config says about the end of the network."""

    include_top: bool
    pooling: Pooling
    hidden: list[int]
    dropout: float


def _register(name: str) -> None:
    def build(
        num_classes: int,
        input_shape: list[int],
        channel_mean: list[float] | None = None,
        channel_std: list[float] | None = None,
        *,
        weights: Annotated[str, foreign.Choice()] = "none",
        include_top: bool = False,
        pooling: Pooling = "average",
        hidden: tuple[PositiveInt, ...] = (),
        dropout: Rate = 0.0,
        freeze: Freeze = "none",
        unfreeze_at: PositiveInt | None = None,
        normalization: Literal["auto", "imagenet", "data"] = "auto",
    ) -> ImageNetwork:
        data = Data(num_classes, input_shape, channel_mean, channel_std)
        head = Head(include_top, pooling, list(hidden), dropout)
        return assemble(name, data, head, weights, freeze, unfreeze_at, normalization)

    build.__name__, build.__doc__ = name, _about(name)
    models.adopt(name, build)


def assemble(
    name: str, data: Data, head: Head, weights: str, freeze: Freeze, unfreeze_at: int | None, normalization: str
) -> ImageNetwork:
    """Build one network of the zoo, with its weights; raises ComponentError."""
    if len(data.input_shape) != 3:
        raise ComponentError(f"reads images (channels, height, width); the data gives {_times(data.input_shape)}")
    published = by_name(name, weights) or best(name)
    network = _network(name, data, published)
    names = list(network.state_dict())
    parts = divide(network)
    channels = data.input_shape[0]
    as_colour = weights != "none" and channels == 1  # repeated by the normalisation
    if weights != "none" and channels not in (1, 3):
        raise ComponentError(f"its weights read images of 1 or 3 channels, not {channels}", ("weights",))
    if channels != 3 and not as_colour:
        replace_first_convolution(parts.backbone, channels)
    shape = [3, *data.input_shape[1:]] if as_colour else data.input_shape
    parts = _with_head(parts, head, data.num_classes, shape, published)
    if weights != "none" and not foreign.are_withheld():
        _load(name, parts, weights, names, head.include_top)
    use_imagenet = normalization == "imagenet" or (normalization == "auto" and weights != "none")
    normalize = _normalization(data, published, use_imagenet, 3 if as_colour else channels)
    return ImageNetwork(parts, normalize, freeze, unfreeze_at)


def _network(name: str, data: Data, published: WeightsEnum) -> nn.Module:
    """Call torchvision's own constructor; those of a fixed image size are told it."""
    height, width = data.input_shape[1:]
    extra: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        extra = {"aux_logits": False, "init_weights": True}
    elif name.startswith("vit_"):
        extra = {"image_size": height}
        if height != width:
            raise ComponentError(f"reads square images, not {height}x{width}")
    elif name.startswith("maxvit"):
        extra = {"input_size": (height, width)}
    try:
        return torchvision.models.get_model(name, weights=None, num_classes=data.num_classes, **extra)
    except (ValueError, RuntimeError, AssertionError) as error:
        raise _size_misfit(data.input_shape, published, str(error)) from None


def _with_head(parts: Parts, head: Head, num_classes: int, shape: list[int], published: WeightsEnum) -> Parts:
    maps = _output_shape(parts.backbone, shape, published)
    if head.include_top:
        if given := [key for key, value in (("hidden", head.hidden), ("dropout", head.dropout)) if value]:
            raise ComponentError("has no effect with include_top: true", (given[0],))
        if head.pooling != "average":
            raise ComponentError("has no effect with include_top: true", ("pooling",))
        return parts
    if len(maps) == 1 and head.pooling != "average":
        raise ComponentError("the backbone gives one vector, so there is nothing to pool", ("pooling",))
    if len(maps) == 3 and head.pooling == "flatten":
        maps = [maps[0] * maps[1] * maps[2]]
    pooling = POOLINGS[head.pooling]() if len(maps) == 3 or head.pooling == "flatten" else nn.Identity()
    return Parts(parts.backbone, pooling, _new_head(maps[0], head, num_classes))


def _new_head(size: int, head: Head, num_classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in head.hidden:
        layers += [nn.Linear(size, width), nn.ReLU(), *([Dropout(head.dropout)] if head.dropout else [])]
        size = width
    if head.dropout and not head.hidden:
        layers.append(Dropout(head.dropout))
    return nn.Sequential(*layers, nn.Linear(size, num_classes))


def _output_shape(backbone: nn.Module, shape: list[int], published: WeightsEnum) -> list[int]:
    """Find the shape of one image's features without computing any; an image too small is a ComponentError."""
    state = {name: value.to("meta") for name, value in [*backbone.named_parameters(), *backbone.named_buffers()]}
    was_training = backbone.training
    try:
        with torch.no_grad():
            output = torch.func.functional_call(backbone.eval(), state, torch.empty(2, *shape, device="meta"))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise _size_misfit(shape, published, str(error)) from None
    finally:
        backbone.train(was_training)
    return list(output.shape[1:])


def _size_misfit(shape: list[int], published: WeightsEnum, reason: str) -> ComponentError:
    least = _times(published.meta["min_size"])
    if "multiple" in reason or "divisible" in reason or "indivisible" in reason:
        first = (reason.splitlines() or [""])[0]
        return ComponentError(f"does not take images of {_times(shape[1:])}: {first[:100]}; its weights were made for {least}")
    return ComponentError(f"wants images of at least {least}, not {_times(shape[1:])}")


def _load(name: str, parts: Parts, weights: str, published_names: list[str], include_top: bool) -> None:
    """Load a download or a file into the backbone, and into the published head where that is kept."""
    enum = by_name(name, weights)
    given = download(enum) if enum else foreign.read(weights)
    given = resize_positions(name, restore_names(given, published_names), parts.backbone)
    wanted: dict[str, Tensor] = dict(parts.backbone.state_dict())
    head_names = [n for n in published_names if n not in wanted] + [
        n for n in given.tensors if n.startswith(foreign_heads(name))
    ]
    if not include_top:
        foreign.load(wanted, given, foreign.Leeway(left_over=head_names))
        return
    head = parts.head.state_dict()
    last = [n for n in head if n.startswith(last_layer(parts.head) + ".")]
    extra = [n for n in head_names if n not in head]
    foreign.load({**wanted, **head}, given, foreign.Leeway(missing=list(head), resized=last, left_over=extra))


def foreign_heads(name: str) -> tuple[str, ...]:
    """Name what a file may hold beside the network: auxiliary classifiers, and the head of one of dlx's own files."""
    return (*{"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}.get(name, ()), "head.")


def _normalization(data: Data, published: WeightsEnum, use_imagenet: bool, channels: int) -> nn.Module:
    """Map the data's statistics to the weights' own; without the facts the input stays as it is."""
    mean, std = data.channel_mean, data.channel_std
    if not use_imagenet or mean is None or std is None:
        return Repeat(channels) if channels != data.input_shape[0] else nn.Identity()
    transforms = published.transforms()
    if len(transforms.mean) != channels:
        raise ComponentError(f"ImageNet's statistics are of 3 channels, not {channels}", ("normalization",))
    return Normalization(mean, std, list(transforms.mean), list(transforms.std))


def _times(sizes: Any) -> str:
    return "x".join(map(str, sizes))


def _about(name: str) -> str:
    """Describe a network from what torchvision says of its published weights."""
    builder = torchvision.models.get_model_builder(name)
    kinds = torchvision.models.get_model_weights(name)
    meta = best(name).meta
    scores = meta["_metrics"]["ImageNet-1K"]
    size = best(name).transforms().crop_size[0]
    title = re.sub(r"[-_ ]", "_", name)
    line = f"{meta['num_params'] / 1e6:.1f} M parameters, {size}x{size}; on ImageNet top-1 {scores['acc@1']:.1f} %"
    paper = re.search(r"`([^`<]+?)\s*<([^>]+)>`__?", inspect.getdoc(builder) or "")
    source = f"\nFrom {' '.join(paper[1].split())}, {paper[2]}." if paper else ""
    summary = f"{line}, top-5 {scores['acc@5']:.1f} %."
    return f"{summary}\n\ntorchvision's {title}.{source}" + CHOICES.format(names=", ".join(w.name for w in kinds))


for _name in torchvision.models.list_models(module=torchvision.models):
    _register(_name)
