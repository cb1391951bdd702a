"""What augmentations promise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from dlx.augmentation.pipeline import Pipeline
from dlx.testing.common import same


def check_augmentation(
    written: Any, facts: Mapping[str, Any], images: torch.Tensor, *, mixes: bool = False, carries: bool = False
) -> None:
    """Check an augmentation as a config writes it on images, uint8 `(B, C, H, W)` of several samples.

    It repeats bit for bit by the generator it is given and draws from no other; what it is given stays as it is; the shape
    stays; with another seed something else comes out, and so it does for images that are equal, unless it `mixes` samples.
    One that is made for boxes and masks alone `carries` them.
    """
    before, state = images.clone(), torch.get_rng_state()
    first, second, other = (_run(written, facts, images, seed, carries) for seed in (0, 0, 5))
    assert same(first, second), f"{written}: does not repeat by its generator"
    assert torch.equal(images, before), f"{written}: changes the images that it is given; change a copy"
    assert torch.equal(state, torch.get_rng_state()), f"{written}: draws from torch's own generator; draw from the one given"
    assert first[0].shape == images.shape, f"{written}: gives {tuple(first[0].shape)} for {tuple(images.shape)}"
    assert not torch.equal(first[0], other[0]), f"{written}: gives the same whatever the seed"
    if not mixes:
        alike = _run(written, facts, images[:1].expand(32, -1, -1, -1).contiguous(), 0, carries)[0]
        is_one = all(torch.equal(image, alike[0]) for image in alike)
        assert not is_one, f"{written}: draws once a batch; draw for every sample"


def _run(
    written: Any, facts: Mapping[str, Any], images: torch.Tensor, seed: int, carries: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    pipeline, draw = Pipeline([written], facts, carries), torch.Generator().manual_seed(seed)
    changed, _ = pipeline.move(images, {}, draw)
    return pipeline.mix(changed.float(), torch.arange(len(images)) % max(facts.get("num_classes", 1), 1), draw)
