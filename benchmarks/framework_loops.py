"""Contestants of framework_speed.py: dlx's own trainer, and a plain loop of PyTorch at its best."""

from __future__ import annotations

import inspect
from typing import Any

from contest import Clock, timed
from framework_common import CLASSES, SHAPES, Race, data, is_image
from framework_networks import in_torch, in_yaml

COMPILE = {"dlx": "false", "compiled": "true"}  # device.compile


def compiles() -> bool:
    """Tell whether this dlx knows device.compile."""
    from dlx.engine.device import Device

    return "compile" in inspect.signature(Device).parameters


def config(race: Race, contestant: str) -> str:
    """Write dlx's config, with the threads that dlx chooses."""
    compiled = f", compile: {COMPILE[contestant]}" if compiles() else ""
    return f"""
task: classification
data: random_rows
model: {in_yaml(race.network)}
optimizer: {{name: adam, lr: 0.001}}
steps: {race.steps * (1 + race.epochs) + 1}
trainer: {{evaluate_every: 1000000, log_every: {race.steps}}}
device: {{name: cpu{compiled}}}
"""


def prepared(race: Race, contestant: str) -> Any:
    """Prepare dlx's experiment on the rows."""
    import torch

    from dlx.assembly.experiment import prepare
    from dlx.config import spec
    from dlx.data.in_memory import InMemorySource
    from dlx.registry import sources

    inputs, target = map(torch.from_numpy, data(race))
    shape = list(SHAPES[race.network])

    @sources("random_rows")
    def random_rows(seed: int) -> Any:
        """Rows whose class is a noisy linear function."""
        rows = {"train": {"input": inputs, "target": target}, "val": {"input": inputs[:320], "target": target[:320]}}
        facts = {"input_shape": shape, "num_features": shape[-1], "num_classes": CLASSES}
        return InMemorySource(seed, rows, facts, batch_size=race.batch)

    return prepare(spec.parse(config(race, contestant), "framework_speed"))


def dlx(race: Race, contestant: str) -> dict[str, float]:
    """Train as `dlx train` does; the evaluation at the end and the checkpoint lie outside the clock."""
    return timed(prepared(race, contestant), race.steps, race.steps * (1 + race.epochs))


def loop(race: Race, contestant: str) -> dict[str, float]:
    """Train by a plain loop: batches gathered by indexing once an epoch, fused Adam, channels_last, the loss read once an epoch."""
    import torch
    from torch.nn.functional import cross_entropy

    inputs, target = map(torch.from_numpy, data(race))
    model, clock = in_torch(race.network), Clock()
    if is_image(race):
        model, inputs = (one.to(memory_format=torch.channels_last) for one in (model, inputs))
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    for epoch in range(1 + race.epochs):
        if epoch == 1:
            clock.start()
        order = torch.randperm(race.rows)
        shuffled, answers = inputs[order], target[order]
        for start in range(0, race.rows, race.batch):
            optimizer.zero_grad()
            loss = cross_entropy(model(shuffled[start : start + race.batch]), answers[start : start + race.batch])
            loss.backward()
            optimizer.step()
        loss.item()
    return clock.stop(race.epochs * race.steps) | {"parameters": sum(p.numel() for p in model.parameters())}
