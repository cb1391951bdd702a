"""Arithmetic on images uint8 `(n, C, H, W)` with an amount `(n,)` for each of them; formulas are torchvision's.

The images may be on any device; the amounts come from the CPU.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from dlx.augmentation.drawing import column

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow and torchvision weigh red, green and blue


def to_bytes(images: Tensor) -> Tensor:
    """Round and clamp to uint8."""
    return images.round().clamp(0, 255).to(torch.uint8)


def gray(images: Tensor) -> Tensor:
    """Weigh the colours to float `(n, 1, H, W)`; an image of one channel stays."""
    if images.shape[1] == 1:
        return images.float()
    return (images * torch.tensor(LUMINANCE, device=images.device).view(1, 3, 1, 1)).sum(1, keepdim=True)


def blend(images: Tensor, other: Tensor, factors: Tensor) -> Tensor:
    """Go from the other images (factor 0) to these (1) and beyond."""
    weights = column(factors, images)
    return to_bytes(images * weights + other * (1 - weights))


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Scale towards black, or away from it."""
    return to_bytes(images * column(factors, images))


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Scale towards each image's mean grey, or away from it."""
    return blend(images, gray(images).mean((1, 2, 3), keepdim=True), factors)


def saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Scale towards the grey image, or away from it."""
    return blend(images, gray(images), factors) if images.shape[1] == 3 else images


def sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Scale towards a smoothed image, or away from it; the outermost pixels stay."""
    channels = images.shape[1]
    if min(images.shape[2:]) < 3:
        return images
    kernel = torch.ones(3, 3)
    kernel[1, 1] = 5
    kernel = kernel.to(images.device)
    smooth = images.float()
    inner = F.conv2d(smooth, (kernel / 13).expand(channels, 1, 3, 3), groups=channels)
    smooth = smooth.clone()
    smooth[..., 1:-1, 1:-1] = inner.round()
    return blend(images, smooth, factors)


def hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the colour circle by parts of a full turn, by way of hue, saturation and value."""
    if images.shape[1] != 3:
        return images
    red, green, blue = images.float().unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    safe = torch.where(spread == 0, 1.0, spread)
    angle = torch.where(value == blue, 4 + (red - green) / safe, 0.0)
    angle = torch.where(value == green, 2 + (blue - red) / safe, angle)
    angle = torch.where(value == red, (green - blue) / safe, angle) + 6 * column(turns, images)[:, 0]
    sixths = (torch.tensor([5.0, 3.0, 1.0], device=images.device).view(1, 3, 1, 1) + angle[:, None]) % 6
    return to_bytes(value[:, None] - spread[:, None] * torch.minimum(sixths, 4 - sixths).clamp(0, 1))


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest bits of every value."""
    masks = 256 - 2 ** (8 - bits.long())
    return images & column(masks, images).to(torch.uint8)


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Invert the values that reach a threshold."""
    return torch.where(images >= column(thresholds, images), 255 - images, images)


def autocontrast(images: Tensor) -> Tensor:
    """Stretch each channel to the whole range; a channel of one value stays."""
    low, high = images.amin((2, 3), keepdim=True).float(), images.amax((2, 3), keepdim=True).float()
    flat = high == low
    scale = torch.where(flat, 1.0, 255 / torch.where(flat, 1.0, high - low))
    return to_bytes((images - torch.where(flat, 0.0, low)) * scale)


def equalize(images: Tensor) -> Tensor:
    """Spread each channel's values evenly."""
    from torchvision.transforms.v2.functional import equalize

    return equalize(images)


def blur(images: Tensor, sigmas: Tensor, size: int) -> Tensor:
    """Smooth by a Gaussian of `sigmas` pixels, cut off to an odd `size`; the border is reflected."""
    steps = torch.arange(size) - size // 2
    weights = torch.exp(-0.5 * (steps / sigmas[:, None]) ** 2)
    weights = (weights / weights.sum(1, keepdim=True)).to(images.device)
    smooth = F.pad(images.float(), [size // 2] * 4, mode="reflect")
    for axis in (2, 3):  # one tap after the other over the whole batch: each sample has a kernel of its own
        length = smooth.shape[axis] - size + 1
        taps = (smooth.narrow(axis, k, length) * column(weights[:, k], images) for k in range(size))
        smooth = functools.reduce(torch.add, taps)
    return to_bytes(smooth)


def affine(images: Tensor, matrices: Tensor) -> Tensor:
    """Look up every pixel where a matrix `(n, 2, 3)` says, in pixels from the centre; outside is black. Bilinear."""
    height, width = images.shape[2:]
    half = torch.tensor([width / 2, height / 2])
    scaled = torch.cat([matrices[:, :, :2] * half / half[:, None], matrices[:, :, 2:] / half[:, None]], dim=2)
    grid = F.affine_grid(scaled.to(images.device), list(images.shape), align_corners=False)
    return to_bytes(F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False))


def rotation(degrees: Tensor) -> Tensor:
    """Make the matrices `(n, 2, 3)` of turns about the centre, counted against the clock."""
    angle = torch.deg2rad(degrees)
    zero = torch.zeros_like(angle)
    rows = [torch.cos(angle), -torch.sin(angle), zero, torch.sin(angle), torch.cos(angle), zero]
    return torch.stack(rows, 1).view(-1, 2, 3)
