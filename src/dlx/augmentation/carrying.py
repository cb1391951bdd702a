"""What lies on images and moves with them: masks and boxes.

A movement is matrices `(n, 2, 3)` that tell where the pixels of a new image came from: a point (x, y) of it, counted in
pixels from its upper left corner, was at `matrix @ (x, y, 1)`. Things are moved after every step, not once by all of them
together: what a step has cut off, no later one brings back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
from torch import Tensor

LEAST_LEFT = 0.2  # of a box's area: one that is cut off further is left out, since nobody could tell what it is
LEAST_SIDE = 1.0  # pixels


class Piece(NamedTuple):
    """A part of images that are put together of several: of which ones `(n,)`, where their pixels came from, and its place.

    `region` `(n, 4)` is x1, y1, x2, y2 in the new image.
    """

    partner: Tensor
    matrices: Tensor
    region: Tensor


class Carried(ABC):
    """Something that lies on each image of a batch."""

    @abstractmethod
    def move(self, matrices: Tensor, size: Sequence[int]) -> Self:
        """Move along to images of a size (height, width)."""

    @abstractmethod
    def join(self, pieces: Sequence[Piece], size: Sequence[int]) -> Self:
        """Put together what lies on the pieces."""


@dataclass(frozen=True)
class Masks(Carried):
    """Masks `(n, K, h, w)`, each pixel moved from the nearest one; `fill` is what stands where no pixel came from."""

    values: Tensor
    fill: int | bool

    def move(self, matrices: Tensor, size: Sequence[int]) -> Self:
        """Move along to images of a size (height, width)."""
        moved = (matrices != identity(1)).flatten(1).any(1)
        if tuple(size) != tuple(self.values.shape[2:]):
            moved[:] = True
        if moved.all():
            return replace(self, values=look_up(self.values, matrices, size, self.fill))
        if not moved.any():
            return self
        index = moved.nonzero()[:, 0]
        where = index.to(self.values.device)
        changed = look_up(self.values[where], matrices[index], size, self.fill)
        return replace(self, values=self.values.index_copy(0, where, changed))

    def join(self, pieces: Sequence[Piece], size: Sequence[int]) -> Self:
        """Put together what lies on the pieces."""
        whole = self.values.new_full((len(self.values), self.values.shape[1], *size), self.fill)
        for piece in pieces:
            whole = torch.where(_within(piece.region, size).to(whole.device), self._moved(piece, size), whole)
        return replace(self, values=whole)

    def _moved(self, piece: Piece, size: Sequence[int]) -> Tensor:
        return look_up(self.values[piece.partner.to(self.values.device)], piece.matrices, size, self.fill)


def _within(region: Tensor, size: Sequence[int]) -> Tensor:
    """Mark the pixels within a region `(n, 4)`: bool `(n, 1, H, W)`."""
    columns, rows = torch.arange(size[1]) + 0.5, (torch.arange(size[0]) + 0.5)[:, None]
    left, top, right, bottom = region.view(-1, 4, 1, 1, 1).unbind(1)
    return (columns >= left) & (columns < right) & (rows >= top) & (rows < bottom)


@dataclass(frozen=True)
class InstanceMasks(Masks):
    """Masks of single things, bool `(n, M, h, w)`, one for each box."""

    fill: bool = False

    def join(self, pieces: Sequence[Piece], size: Sequence[int]) -> Self:
        """Keep the things of all pieces, side by side as their boxes are."""
        parts = [self._moved(piece, size) & _within(piece.region, size).to(self.values.device) for piece in pieces]
        return replace(self, values=torch.cat(parts, 1))

    def trimmed(self, order: Tensor) -> Self:
        """Return the masks of the boxes of an order `(n, m)`."""
        place = order.to(self.values.device)[:, :, None, None].expand(-1, -1, *self.values.shape[2:])
        return replace(self, values=self.values.gather(1, place))


@dataclass(frozen=True)
class Boxes(Carried):
    """Boxes `(n, M, 4)` as x1, y1, x2, y2, with labels `(n, M)`; rows of -1 are none. `crowd` bool `(n, M)` may be there."""

    box: Tensor
    label: Tensor
    crowd: Tensor

    def move(self, matrices: Tensor, size: Sequence[int]) -> Self:
        """Move along to images of a size (height, width): the box around the moved corners, as far as it is within."""
        region = torch.tensor([0.0, 0.0, size[1], size[0]]).expand(len(self.box), 4)
        return self._around(bounds(self.box, inverse(matrices)), region)

    def join(self, pieces: Sequence[Piece], size: Sequence[int]) -> Self:
        """Put together what lies on the pieces."""
        parts = []
        for partner, matrices, region in pieces:
            some = replace(self, box=self.box[partner], label=self.label[partner], crowd=self.crowd[partner])
            parts.append(some._around(bounds(some.box, inverse(matrices)), region))
        joined = zip(*((part.box, part.label, part.crowd) for part in parts), strict=True)
        return replace(self, **dict(zip(("box", "label", "crowd"), (torch.cat(some, 1) for some in joined), strict=True)))

    def _around(self, box: Tensor, region: Tensor) -> Self:
        """Take other boxes, cut off at a region, in place of these, and leave out those of which too little is left."""
        low, high = region[:, None, :2], region[:, None, 2:]
        cut = torch.cat([torch.clamp(box[..., :2], low, high), torch.clamp(box[..., 2:], low, high)], -1)
        side = cut[..., 2:] - cut[..., :2]
        whole = (box[..., 2:] - box[..., :2]).prod(-1)
        kept = (self.label >= 0) & (side >= LEAST_SIDE).all(-1) & (side.prod(-1) >= LEAST_LEFT * whole)
        box = torch.where(kept[..., None], cut, -1.0)
        return replace(self, box=box, label=torch.where(kept, self.label, -1), crowd=self.crowd & kept)

    def order(self) -> Tensor:
        """Give the numbers of the boxes that are there, first and in their order, as many as the fullest image has."""
        there = self.label >= 0
        most = int(there.sum(1).max()) if there.numel() else 0
        return (~there).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]

    def trimmed(self, order: Tensor) -> Self:
        """Return the boxes of an order `(n, m)`."""
        box = self.box.gather(1, order[..., None].expand(-1, -1, 4))
        return replace(self, box=box, label=self.label.gather(1, order), crowd=self.crowd.gather(1, order))


def look_up(values: Tensor, matrices: Tensor, size: Sequence[int], fill: int | bool) -> Tensor:
    """Take every pixel of masks `(n, K, H, W)` from the nearest one, where matrices `(n, 2, 3)` say; `fill` outside."""
    height, width = values.shape[2:]
    x, in_width = _nearest(matrices[:, 0], size, width)
    y, in_height = _nearest(matrices[:, 1], size, height)
    index = (y * width + x).flatten(1)[:, None].to(values.device)
    found = values.flatten(2).gather(2, index.expand(-1, values.shape[1], -1)).unflatten(2, tuple(size))
    inside = in_width & in_height
    return found if inside.all() else torch.where(inside[:, None].to(values.device), found, fill)


def _nearest(row: Tensor, size: Sequence[int], length: int) -> tuple[Tensor, Tensor]:
    """Tell for pixels `(n, H or 1, W or 1)` which one of a length they came from, and whether it is there."""
    along_x, along_y, offset = row.view(-1, 3, 1, 1).unbind(1)
    place = offset.expand(-1, 1, 1)
    if along_x.any():
        place = place + along_x * (torch.arange(size[1]) + 0.5)
    if along_y.any():
        place = place + along_y * (torch.arange(size[0]) + 0.5)[:, None]
    place = place.floor()
    return place.clamp(0, length - 1).long(), (place >= 0) & (place < length)


def identity(count: int) -> Tensor:
    """Give matrices `(n, 2, 3)` that leave everything where it is."""
    return torch.eye(2, 3).repeat(count, 1, 1)


def straight(x: Tensor | float, left: Tensor | float, y: Tensor | float, top: Tensor | float, count: int) -> Tensor:
    """Make matrices `(n, 2, 3)` that stretch by x and y, and add left and top."""
    matrices = torch.zeros(count, 2, 3)
    matrices[:, 0, 0], matrices[:, 0, 2], matrices[:, 1, 1], matrices[:, 1, 2] = x, left, y, top
    return matrices


def from_centre(matrices: Tensor, height: int, width: int) -> Tensor:
    """Count from the upper left corner what is counted from the centre of images."""
    half = torch.tensor([width / 2, height / 2])
    moved = matrices.clone()
    moved[:, :, 2] += half - matrices[:, :, :2] @ half
    return moved


def inverse(matrices: Tensor) -> Tensor:
    """Turn matrices `(n, 2, 3)` into those that lead back."""
    (a, b, c), (d, e, f) = matrices.double().permute(1, 2, 0).unbind(0)
    back = torch.stack([e, -b, b * f - c * e, -d, a, c * d - a * f], 1) / (a * e - b * d)[:, None]
    return back.view(-1, 2, 3)


def bounds(box: Tensor, matrices: Tensor) -> Tensor:
    """Return the boxes `(n, M, 4)` around the four corners of boxes, each moved by its image's matrix `(n, 2, 3)`."""
    corners = box.double()[..., [0, 1, 2, 1, 0, 3, 2, 3]].unflatten(-1, (4, 2))
    moved = corners @ matrices[:, None, :, :2].transpose(-1, -2) + matrices[:, None, None, :, 2]
    return torch.cat([moved.amin(-2), moved.amax(-2)], -1).to(box.dtype)
