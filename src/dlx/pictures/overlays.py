"""Classes of pixels, and boxes, drawn over images. It imports no torch."""

from __future__ import annotations

import colorsys

import numpy as np

from dlx.pictures.grids import Grid

OPACITY = 0.6
NOTHING = (40, 40, 40)  # pixels that count for nothing


def colours(count: int) -> np.ndarray:
    """Return a colour for each class: uint8 (count, 3), neighbours far apart."""
    wheel = [colorsys.hsv_to_rgb((0.618034 * n) % 1.0, 0.85 if n % 2 else 0.6, 0.95) for n in range(count)]
    return (np.array(wheel).reshape(count, 3) * 255).round().astype(np.uint8)


def painted(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Lay the colours of classes (N, H, W), -1 for none, over images (N, H, W, 3) from 0 to 1: uint8 of the same shape."""
    wheel = np.concatenate([colours(max(int(labels.max(initial=0)), 0) + 1), [NOTHING]]).astype(float)
    return np.rint(OPACITY * wheel[labels] + (1 - OPACITY) * 255 * images).astype(np.uint8)


def beside(images: np.ndarray, truth: np.ndarray, answer: np.ndarray) -> Grid:
    """Draw images (N, H, W, 3) from 0 to 1 in rows: each as it is, under its truth, and under its answer (N, H, W)."""
    plain = np.rint(255 * images).astype(np.uint8)
    rows = np.stack((plain, painted(images, truth), painted(images, answer)), 1)
    return Grid(rows.reshape(-1, *images.shape[1:]).transpose(0, 3, 1, 2), 3)
