"""A trained classifier as an instrument: what the network of a run or a checkpoint sees in images."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from dlx.assembly.restore import Loaded
from dlx.core import Processor, Task
from dlx.errors import ComponentError, DlxError
from dlx.processors.image.decoding import Decoding
from dlx.processors.image.processor import ImageProcessor
from dlx.storage import contents, files, manifest
from dlx.storage.failures import is_memory, reason
from dlx.storage.locating import locate

KEPT = 64 * 2**20  # bytes of answers: several metrics ask about the same images, and each evaluation about the same real ones
CHUNK = 256  # images in one forward pass


class Answer(NamedTuple):
    """What the network says of images: `features` float32 `(B, F)`, `logits` float32 `(B, num_classes)`, on the CPU."""

    features: Tensor
    logits: Tensor


class ReferenceClassifier:
    """A network that classifies images, in evaluation mode and float32; `name` is its model's.

    Images are uint8 `(B, C, H, W)`, grey or of three colours, of any size: those of another size or other colours than the
    network's own are brought to them as its processor brings files. It works on the device of the images.
    """

    def __init__(self, name: str, task: Task, processor: ImageProcessor) -> None:
        self.name, self.task, self.processor = name, task, processor
        self.class_names: list[str] = processor.target.names
        self.kept: OrderedDict[bytes, Answer] = OrderedDict()

    def features(self, images: Tensor) -> Tensor:
        """Compute what the last linear layer reads: float32 `(B, F)`."""
        return self.answer(images).features

    def logits(self, images: Tensor) -> Tensor:
        """Compute the scores of the classes before softmax: float32 `(B, num_classes)`."""
        return self.answer(images).logits

    def answer(self, images: Tensor) -> Answer:
        """Compute features and logits in one pass, or find them among the last answers."""
        self._refuse(images)
        content = hashlib.blake2b(f"{images.device}{tuple(images.shape)}".encode())
        content.update(images.cpu().numpy().tobytes())
        key = content.digest()
        if key not in self.kept:
            answers = [self._pass(chunk) for chunk in torch.split(images, CHUNK)]
            self.kept[key] = Answer(*(torch.cat(parts) for parts in zip(*answers, strict=True)))
        self.kept.move_to_end(key)
        while len(self.kept) > 1 and sum(part.nbytes for answer in self.kept.values() for part in answer) > KEPT:
            self.kept.popitem(last=False)
        return self.kept[key]

    def _refuse(self, images: Tensor) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3) or not images.numel():
            given = f"{str(images.dtype).removeprefix('torch.')} of shape {tuple(images.shape)}"
            raise ComponentError(f"the classifier '{self.name}' wants images: uint8 (B, 1 or 3, H, W), not {given}")

    def _pass(self, images: Tensor) -> Answer:
        device, read = images.device, {}

        def watch(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            read["last"] = inputs[0]

        task = self.task.to(device)
        linear = [module for module in task.modules() if isinstance(module, nn.Linear)]
        hooks = [module.register_forward_pre_hook(watch) for module in linear]
        try:
            with torch.no_grad(), torch.autocast(device.type, enabled=False):
                logits = task.predict({"input": self.fit(images).to(device)})["logits"]
        finally:
            for hook in hooks:
                hook.remove()
        if "last" not in read:
            raise ComponentError(f"the classifier '{self.name}' has no linear layer whose input could be its features")
        return Answer(read["last"].flatten(1).float().cpu(), logits.float().cpu())

    def fit(self, images: Tensor) -> Tensor:
        """Bring images to the network's `input`: float32 `(B, *input_shape)`, on the CPU."""
        decoding, own = self.processor.decoding, images.cpu()
        if tuple(own.shape[1:]) not in (decoding.shape, (decoding.channels, *self.processor.size)):
            own = torch.from_numpy(np.stack([decoding.fit(_drawn(image)) for image in own.numpy()]))
        return self.processor.standardize(own)


def _drawn(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))


def load(path: str) -> ReferenceClassifier:
    """Load the classifier of images that a run or a checkpoint holds, once in a process.

    Raises ComponentError where nothing is there, where it is damaged, or where it classifies no images.
    """
    try:
        folder = locate(path).resolve()
        return _load(folder, files.read(folder / manifest.MANIFEST, manifest.MOST_MANIFEST))
    except DlxError as error:
        raise ComponentError(str(error)) from None
    except OSError as error:
        raise ComponentError(f"{path}: cannot be read: {error.strerror}") from None
    except (RuntimeError, KeyError, ValueError, TypeError, IndexError) as error:
        if is_memory(error):
            raise
        raise ComponentError(f"{path}: its network cannot answer: {reason(error)}") from error


@lru_cache(maxsize=8)
def _load(folder: Path, listed: bytes) -> ReferenceClassifier:
    """Load a checkpoint; another one in its place has another manifest."""
    loaded = Loaded(folder, contents.read(folder))
    plan = loaded.plan([])
    if "logits" not in plan.task.constructor().predicts:
        raise ComponentError(f"{folder}: its task '{plan.task.name}' does not classify; give a classifier of images")
    processor = _processor(loaded.processor(), loaded.json("facts.json"), folder)
    task = loaded.task(plan)
    task.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    made = ReferenceClassifier(plan.model.name, task, processor)
    made.answer(torch.zeros(1, *processor.decoding.shape, dtype=torch.uint8))  # what cannot answer is told now
    return made


def _processor(own: Processor | None, facts: Mapping[str, Any], folder: Path) -> ImageProcessor:
    """Return a checkpoint's processor of images, or one from the facts, where images came from no file."""
    if isinstance(own, ImageProcessor):
        return own
    if not {"channel_mean", "channel_std", "class_names"} <= facts.keys() or len(facts.get("input_shape") or ()) != 3:
        raise ComponentError(f"{folder}: was not trained on images; give a classifier of images")
    channels, height, width = facts["input_shape"]
    decoding, names = Decoding(height, width, channels), facts["class_names"]
    return ImageProcessor(decoding, (height, width), facts["channel_mean"], facts["channel_std"], names)
