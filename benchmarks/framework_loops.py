"""Contestants of framework_speed.py: dlx's own trainer, and a plain loop of PyTorch at its best."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

from contest import Clock, timed
from framework_common import BATCH, CLASSES, SHAPES, SIZE, SIZES, Race, data

COMPILE = {"dlx": "false", "compiled": "true"}  # device.compile


def compiles() -> bool:
    """Tell whether this dlx knows device.compile."""
    from dlx.engine.device import Device

    return "compile" in inspect.signature(Device).parameters


def config(race: Race, contestant: str) -> str:
    """Write dlx's config."""
    if race.network == "mlp":
        inner = ", ".join(f"dense: {{size: {size}, activation: relu}}" for size in SIZES)
    else:
        inner = f"{race.network}: {{size: {SIZE}, return_sequences: true}}, dense: {{size: 64, activation: relu}}, flatten"
    compiled = f", compile: {COMPILE[contestant]}" if compiles() else ""
    return f"""
task: classification
data: random_rows
model: {{name: sequential, layers: [{inner}, dense: num_classes]}}
optimizer: {{name: adam, lr: 0.001}}
steps: {race.steps * (1 + race.epochs) + 1}
trainer: {{evaluate_every: 1000000, log_every: {race.steps}}}
device: {{name: cpu, threads: {race.threads}{compiled}}}
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
        return InMemorySource(seed, rows, facts, batch_size=BATCH)

    return prepare(spec.parse(config(race, contestant), "framework_speed"))


def dlx(race: Race, contestant: str) -> dict[str, float]:
    """Train as `dlx train` does; the evaluation at the end and the checkpoint lie outside the clock."""
    return timed(prepared(race, contestant), race.steps, race.steps * (1 + race.epochs))


def network(name: str) -> Any:
    """Make the network of PyTorch's layers."""
    from torch import nn

    kinds = {"simple_rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
    if name == "mlp":
        pairs = itertools.pairwise((*SHAPES[name], *SIZES))
        return nn.Sequential(*(part for pair in pairs for part in (nn.Linear(*pair), nn.ReLU())), nn.Linear(SIZES[-1], CLASSES))

    class Steps(nn.Module):
        def __init__(self):
            super().__init__()
            steps, features = SHAPES[name]
            self.recurrent = kinds[name](features, SIZE, batch_first=True)
            self.dense, self.last = nn.Linear(SIZE, 64), nn.Linear(64 * steps, CLASSES)

        def forward(self, input):
            return self.last(self.dense(self.recurrent(input)[0]).relu().flatten(1))

    return Steps()


def loop(race: Race, contestant: str) -> dict[str, float]:
    """Train by a plain loop: batches gathered by indexing once an epoch, fused Adam, the loss read once an epoch."""
    import torch
    from torch.nn.functional import cross_entropy

    inputs, target = map(torch.from_numpy, data(race))
    model, clock = network(race.network), Clock()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    for epoch in range(1 + race.epochs):
        if epoch == 1:
            clock.start()
        order = torch.randperm(race.rows)
        shuffled, answers = inputs[order], target[order]
        for start in range(0, race.rows, BATCH):
            optimizer.zero_grad()
            loss = cross_entropy(model(shuffled[start : start + BATCH]), answers[start : start + BATCH])
            loss.backward()
            optimizer.step()
        loss.item()
    return clock.stop(race.epochs * race.steps) | {"parameters": sum(p.numel() for p in model.parameters())}
