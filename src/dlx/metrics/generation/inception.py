"""The network of the published FID and KID: Inception v3 as of 2015, through torch-fidelity, its weights from a file."""

from __future__ import annotations

import io
import os
import pickle
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from dlx.errors import ComponentError

PUBLISHED = "weights-inception-2015-12-05-6726825d.pth"
CHUNK = 32  # images in one forward pass: 299x299 pixels become 350 MB of the first layers' values


class Inception:
    """Features of images by Inception v3: the 2,048 averages before its last layer (Szegedy et al. 2016)."""

    def __init__(self, network: Any) -> None:
        self.network = network

    def features(self, images: Tensor) -> Tensor:
        """Compute float32 `(B, 2048)`, on the CPU, from uint8 `(B, 1 or 3, H, W)` of any size."""
        colours = images if images.shape[1] == 3 else images[:, :1].expand(-1, 3, -1, -1)
        network = self.network.to(images.device)
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            return torch.cat([network(chunk)[0].float().cpu() for chunk in colours.split(CHUNK)])


def load(path: str) -> Inception:
    """Load the network from torch-fidelity's file, once in a process; raises ComponentError."""
    if not os.path.isfile(path):
        raise ComponentError(f"no file {path}; give torch-fidelity's {PUBLISHED}")
    return _load(path, os.stat(path).st_mtime_ns)


@lru_cache(maxsize=1)
def _load(file: str, written: int) -> Inception:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise ComponentError("needs the extra 'fid': pip install 'dlx[fid]'") from None
    # torch-fidelity would run code that a file may hold. So the tensors alone are read, and it is given a copy of those.
    copy = io.BytesIO()
    torch.save(_tensors(file), copy)
    copy.seek(0)
    try:
        with torch.random.fork_rng(devices=[]):  # building draws random weights, which the file replaces
            network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=copy)
    except RuntimeError as error:  # the state dict is another network's
        reason = str(error).splitlines()[-1].strip()
        raise ComponentError(f"{file}: is not torch-fidelity's Inception, such as {PUBLISHED}: {reason[:120]}") from None
    return Inception(network.to(memory_format=torch.channels_last))  # a third faster on a CPU


def _tensors(file: str) -> dict[str, Tensor]:
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # the reader of foreign files fails in every way that its bytes can make it fail
        reason = "holds more than tensors, or is damaged" if isinstance(error, pickle.UnpicklingError) else "cannot be read"
        raise ComponentError(f"{file}: {reason}; give torch-fidelity's {PUBLISHED}") from None
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ComponentError(f"{file}: holds no tensors by name; give torch-fidelity's {PUBLISHED}")
    return content
