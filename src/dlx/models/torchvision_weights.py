"""torchvision's published weights: their names, their download, and the names that old files use."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any
from urllib.error import URLError

import torch
import torchvision
from torch import nn
from torchvision.models import WeightsEnum
from torchvision.models.vision_transformer import interpolate_embeddings

from dlx.errors import ComponentError, unknown
from dlx.models.torchvision_parts import TransformerTrunk
from dlx.storage.weights import Weights, from_mapping

POSITIONS = "encoder.pos_embedding"
# What old versions of torchvision called the parts of a dense layer, and of a transformer's two-layer perceptron.
RENAMED = (
    (re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\."), r"\1\2."),
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."),
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."),
)


def best(name: str) -> WeightsEnum:
    """Give the newest published weights of a network."""
    published: Any = torchvision.models.get_model_weights(name)
    found: WeightsEnum = published.DEFAULT
    return found


def by_name(name: str, weights: str) -> WeightsEnum | None:
    """Find published weights by `imagenet` or their own name; None for `none` and for files."""
    if weights == "imagenet":
        return best(name)
    if not re.fullmatch("[A-Z][A-Z0-9_]+", weights):
        return None
    kinds = {w.name: w for w in torchvision.models.get_model_weights(name)}
    if weights not in kinds:
        raise ComponentError(f"'{weights}': {unknown('weights', weights, ['none', 'imagenet', *kinds])}", ("weights",))
    return kinds[weights]


def download(published: WeightsEnum) -> Weights:
    """Fetch published weights through torch's cache of downloads; raises ComponentError with the address and the place."""
    place = os.path.join(torch.hub.get_dir(), "checkpoints", os.path.basename(published.url))
    try:
        return from_mapping(
            published.get_state_dict(progress=False, check_hash=True, weights_only=True, map_location="cpu"), place
        )
    except (URLError, OSError, TimeoutError) as error:
        reason = getattr(error, "reason", None) or error
        told = f"cannot download {published.url} ({reason}); put that file at {place}, or give a file as weights"
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        told = f"{place}, from {published.url}, is damaged ({first[:100]}); remove it and try again"
    raise ComponentError(told, ("weights",)) from None


def restore_names(given: Weights, published: Collection[str]) -> Weights:
    """Give a file's tensors today's names; of a checkpoint of dlx's own, the published ones."""
    tensors = given.tensors
    own = "backbone."
    if any(own in name for name in tensors):  # model.backbone.features.0.weight: of a whole task, or of a model alone
        tensors = {name.removeprefix("model.").removeprefix(own): value for name, value in tensors.items()}
        heads = {name.removeprefix("head.") for name in tensors if name.startswith("head.")}
        if heads <= set(published):  # the published classifier was kept
            tensors = {name.removeprefix("head."): value for name, value in tensors.items()}
    renamed = {}
    for name, value in tensors.items():
        for pattern, replacement in RENAMED:
            name = pattern.sub(replacement, name) if name not in published else name
        renamed[name] = value
    return replace(given, tensors=renamed)


def resize_positions(name: str, given: Weights, backbone: nn.Module) -> Weights:
    """Interpolate a vision transformer's position embeddings where the images have another size than the weights'."""
    if not isinstance(backbone, TransformerTrunk) or POSITIONS not in given.tensors:
        return given
    own = backbone.encoder.pos_embedding
    if own.shape[2] != given.tensors[POSITIONS].shape[2] or own.shape == given.tensors[POSITIONS].shape:
        return given
    patch = backbone.conv_proj.kernel_size[0]
    side = int((own.shape[1] - 1) ** 0.5)
    state = interpolate_embeddings(side * patch, patch, dict(given.tensors))
    return replace(given, tensors=dict(state))
