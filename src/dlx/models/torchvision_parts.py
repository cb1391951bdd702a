"""torchvision's classification networks, divided into what makes features, what pools them, and what classifies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.vision_transformer import VisionTransformer

HEADS = ("classifier", "fc", "head", "heads")
BETWEEN = ("avgpool", "flatten", "dropout", *HEADS)
AVERAGED = ("DenseNet", "MNASNet", "MobileNetV2", "ShuffleNetV2")  # these average in their forward, without a module
UNPOOLED = ("SqueezeNet", "MaxVit", "ConvNeXt")  # their classifier flattens, and mostly pools, by itself
NESTED = ("features", "layers", "trunk_output", "blocks", "encoder")  # children that only hold the blocks


@dataclass(frozen=True)
class Parts:
    """A network's parts; the names inside `backbone` and `head` are those of the published file."""

    backbone: nn.Module  # images (B, 3, H, W) -> maps (B, C, h, w), or one vector (B, C)
    pooling: nn.Module  # no parameters
    head: nn.Sequential  # -> logits (B, num_classes)


class TransformerTrunk(nn.Module):
    """A vision transformer up to its class token: images (B, C, H, W) -> (B, D)."""

    def __init__(self, network: VisionTransformer) -> None:
        super().__init__()
        self.class_token, self.conv_proj, self.encoder = network.class_token, network.conv_proj, network.encoder

    def forward(self, input: Tensor) -> Tensor:
        patches = self.conv_proj(input).flatten(2).transpose(1, 2)  # (B, patches, D)
        return self.encoder(torch.cat((self.class_token.expand(len(input), -1, -1), patches), 1))[:, 0]


def divide(network: nn.Module) -> Parts:
    """Divide a network of torchvision's; together the parts compute what it computes (its auxiliary heads left out)."""
    children = {name: child for name, child in network.named_children() if child is not None}
    kind = type(network).__name__
    head = nn.Sequential()
    for name in ("dropout", *HEADS):
        if name in children:
            head.add_module(name, children[name])
    if kind == "SqueezeNet":
        head.add_module("flatten", nn.Flatten())
    return Parts(_backbone(network, kind, children), _pooling(kind, children), head)


def _backbone(network: nn.Module, kind: str, children: dict[str, nn.Module]) -> nn.Module:
    if isinstance(network, VisionTransformer):
        return TransformerTrunk(network)
    backbone = nn.Sequential()
    for name, child in children.items():
        if name not in BETWEEN:
            backbone.add_module(name, nn.Sequential(*child) if isinstance(child, nn.ModuleList) else child)
    if kind == "DenseNet":
        backbone.add_module("relu", nn.ReLU(inplace=True))
    return backbone


def _pooling(kind: str, children: dict[str, nn.Module]) -> nn.Module:
    if kind in AVERAGED:
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    if kind in UNPOOLED or "avgpool" not in children:
        return children.get("avgpool", nn.Identity())
    return nn.Sequential(children["avgpool"], nn.Flatten())


def blocks(backbone: nn.Module) -> list[nn.Module]:
    """List a backbone's blocks with parameters, in the order they work."""
    found: list[nn.Module] = []
    for name, child in backbone.named_children():
        if name in NESTED:
            found += blocks(child)
        elif any(True for _ in child.parameters()):
            found.append(child)
    return found


def replace_first_convolution(backbone: nn.Module, channels: int) -> None:
    """Let a backbone read images of another number of channels, by fresh weights (He et al. 2015, fan out)."""
    name, old = next((n, m) for n, m in backbone.named_modules() if isinstance(m, nn.Conv2d))
    settings: Any = (old.kernel_size, old.stride, old.padding, old.dilation, old.groups, old.bias is not None)
    new = nn.Conv2d(channels, old.out_channels, *settings)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    parent, _, leaf = name.rpartition(".")
    setattr(backbone.get_submodule(parent), leaf, new)


def last_layer(head: nn.Module) -> str:
    """Name the layer whose size is the number of classes."""
    return [name for name, module in head.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))][-1]
