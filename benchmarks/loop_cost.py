"""What the loop costs over the bare step: both train the same MLP on the same batches in one process, in turn.

The bare step is what PyTorch needs and no more: batches sliced from a permuted tensor, zero_grad, forward, loss, backward,
fused Adam. The loop is the trainer with its checks for non-finite numbers, a log line every 50 steps, progress and a
checkpoint every 5,000 steps; evaluation is left out, since the bare loop has none. Medians of rounds in turn.

    python benchmarks/loop_cost.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

import contest
from dlx.assembly.experiment import prepare
from dlx.assembly.trainer import build_trainer
from dlx.commands.session import Session
from dlx.config import spec
from dlx.core import Logger
from dlx.data.in_memory import InMemorySource
from dlx.engine.journal import Journal
from dlx.registry import sources
from dlx.storage.run import Run

ROWS, BATCH, EPOCHS = 32_000, 32, 12


@sources("random_rows")
def random_rows(seed: int) -> InMemorySource:
    """Rows whose class is a noisy linear function of 64 numbers."""
    inputs = torch.randn(ROWS, 64, generator=torch.Generator().manual_seed(0))
    target = (inputs @ torch.randn(64, 10, generator=torch.Generator().manual_seed(1))).argmax(1)
    data = {"train": {"input": inputs, "target": target}, "val": {"input": inputs[:1000], "target": target[:1000]}}
    facts = {"input_shape": [64], "num_features": 64, "num_classes": 10}
    return InMemorySource(seed, data, facts, batch_size=BATCH)


CONFIG = f"""
task: classification
data: random_rows
model:
  name: sequential
  layers: [dense: {{size: 16, activation: relu}}, dense: {{size: 64, activation: relu}}, dense: {{size: 64, activation: relu}},
           dense: num_classes]
epochs: {EPOCHS}
trainer: {{evaluate_every: 1000000, save_every: 5000, log_every: 50}}
device: {{threads: 1}}
"""


class Clock(Logger):
    """Notes the time at the end of every epoch."""

    def __init__(self) -> None:
        self.epochs: list[tuple[int, float]] = []

    def log(self, step, scalars):
        if step % (ROWS // BATCH) == 0:
            self.epochs.append((step, time.perf_counter()))


def loop() -> float:
    """Seconds of a step in `dlx train`."""
    built = prepare(spec.parse(CONFIG, "loop_cost"))
    trainer = build_trainer(built)
    with tempfile.TemporaryDirectory() as folder, Run.create(Path(folder), "run", exact=True) as run:
        session = Session(run, built, trainer, built.plan.resolved(), True, quiet=True)
        session.prepare()
        clock = Clock()
        trainer.fit(Journal([*session.journal.loggers, clock]), session)
        session.journal.close()
    (first, begun), (last, ended) = clock.epochs[0], clock.epochs[-2]  # the last line comes after an evaluation
    return (ended - begun) / (last - first)


def bare() -> float:
    """Seconds of a step in a loop of five lines."""
    built = prepare(spec.parse(CONFIG, "loop_cost"))
    model = built.task.model
    batches = list(built.source.evaluate(None, "train"))
    inputs, target = torch.cat([b["input"] for b in batches]), torch.cat([b["target"] for b in batches])
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    model.train()
    for epoch in range(EPOCHS):
        if epoch == 1:  # the first one warms up, there as here
            begun = time.perf_counter()
        order = torch.randperm(ROWS)
        x, y = inputs[order], target[order]
        for start in range(0, ROWS, BATCH):
            optimizer.zero_grad()
            loss = cross_entropy(model(x[start : start + BATCH]), y[start : start + BATCH])
            loss.backward()
            optimizer.step()
    return (time.perf_counter() - begun) / ((EPOCHS - 1) * ROWS // BATCH)


CONTESTANTS = {"loop": loop, "bare": bare}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    print(contest.machine("torch"))
    found = contest.in_turn(list(CONTESTANTS), rounds + 1, lambda name: CONTESTANTS[name]())
    ours, theirs = (found[name][1:] for name in CONTESTANTS)  # the first round warms up
    costs = [100 * (ratio - 1) for ratio in contest.paired(ours, theirs)]
    print(f"bare step {1e6 * statistics.median(theirs):.0f} us, in the loop {1e6 * statistics.median(ours):.0f} us")
    print(f"the loop costs {statistics.median(costs):+.1f} % (from {min(costs):+.1f} to {max(costs):+.1f})")


if __name__ == "__main__":
    main()
