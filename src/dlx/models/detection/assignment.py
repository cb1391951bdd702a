"""Which places of a detector answer for which box: those that already answer it best (Feng et al. 2021)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dlx.models.detection.geometry import pairwise_iou

SCORE_POWER, OVERLAP_POWER = 0.5, 6.0  # how much score and overlap count in how well a place answers
CANDIDATES = 10  # places for each box


class Assignment(NamedTuple):
    """What each place (B, A) is to answer."""

    taken: Tensor  # bool (B, A): whether it answers for a box
    box: Tensor  # (B, A, 4): the box
    label: Tensor  # int64 (B, A): its class
    quality: Tensor  # (B, A): how sure it is to be of it, from 0 to 1


@torch.no_grad()
def assign(score: Tensor, found: Tensor, point: Tensor, reach: float, box: Tensor, box_label: Tensor) -> Assignment:
    """Give every box (B, M, 4), padded, the places that answer it best among those within it.

    Places have scores from 0 to 1 (B, A, C), boxes (B, A, 4) and points (A, 2). A box smaller than `reach` pixels is taken
    for as large, so that a point is within it. The best place of a box is to be as sure as its box overlaps.
    "TOOD: Task-aligned One-stage Object Detection".
    """
    there, label = box_label >= 0, box_label.clamp_min(0)
    overlap = pairwise_iou(box, found)
    own = score.transpose(1, 2).gather(1, label[:, :, None].expand(-1, -1, score.shape[1]))
    within = _within(box, point, reach) & there[:, :, None]
    fit = own.pow(SCORE_POWER) * overlap.pow(OVERLAP_POWER)
    best = fit.masked_fill(~within, -1).topk(min(CANDIDATES, fit.shape[2]), 2).indices
    candidate = torch.zeros_like(within).scatter(2, best, True) & within
    # A place answers for one box only: that which its own box overlaps most.
    rival = overlap.masked_fill(~candidate, -1)
    winner = rival.argmax(1)
    taken = candidate.any(1)
    candidate &= torch.zeros_like(candidate).scatter(1, winner[:, None], True)
    fit, overlap = fit * candidate, overlap * candidate
    quality = fit / fit.amax(2, keepdim=True).clamp_min(1e-12) * overlap.amax(2, keepdim=True)
    return Assignment(
        taken, box.gather(1, winner[:, :, None].expand(-1, -1, 4)), label.gather(1, winner), quality.amax(1) * taken
    )


def _within(box: Tensor, point: Tensor, reach: float) -> Tensor:
    middle = (box[..., :2] + box[..., 2:]) / 2
    half = ((box[..., 2:] - box[..., :2]) / 2).clamp_min(reach / 2)
    return ((point - middle[:, :, None]).abs() <= half[:, :, None]).all(-1)
