"""Steps per second of a small MLP beside a hand-written loop and other tools, in one run.

Each contestant trains 64-16-64-64-10 with Adam on the same 32,000 rows in batches of 32 for some epochs, in a process
of its own, in turn, several times; medians count, and ratios are taken round by round.

    python benchmarks/step_speed.py [--rounds 5] [--threads 1] [--rows 32000] [--only dlx loader]
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import contest

ROWS, BATCH, EPOCHS = 32_000, 32, 3
SIZES = [64, 16, 64, 64, 10]


def data():
    import numpy as np

    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((ROWS, 64), dtype=np.float32)
    weights = generator.standard_normal((64, 10))
    return inputs, (inputs @ weights + generator.standard_normal((ROWS, 10))).argmax(1)


def network():
    from torch import nn

    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(SIZES):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def tensors():
    import torch

    inputs, target = data()
    return torch.from_numpy(inputs), torch.from_numpy(target)


def loader():
    """Hand-written loop: DataLoader over a TensorDataset, Adam, the loss read every 50 steps."""
    import torch
    from torch.nn.functional import cross_entropy

    batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*tensors()), BATCH, shuffle=True)
    return loop(batches, lambda model: torch.optim.Adam(model.parameters()), cross_entropy)


def gather():
    """Hand-written loop at its best: batches gathered by indexing, fused Adam: the bare step."""
    import torch
    from torch.nn.functional import cross_entropy

    inputs, target = tensors()

    class Batches:
        def __iter__(self):
            order = torch.randperm(ROWS)
            shuffled, answers = inputs[order], target[order]
            for start in range(0, ROWS, BATCH):
                yield shuffled[start : start + BATCH], answers[start : start + BATCH]

    return loop(Batches(), lambda model: torch.optim.Adam(model.parameters(), fused=True), cross_entropy)


def loop(batches, make_optimizer, loss_of) -> float:
    model = network()
    optimizer = make_optimizer(model)
    begun, step = 0.0, 0
    for epoch in range(EPOCHS + 1):
        if epoch == 1:  # the first epoch warms up
            begun = time.perf_counter()
        for x, y in batches:
            optimizer.zero_grad()
            loss = loss_of(model(x), y)
            loss.backward()
            optimizer.step()
            step += 1
            if step % 50 == 0:
                loss.item()
    return EPOCHS * ROWS / BATCH / (time.perf_counter() - begun)


def dlx() -> float:
    """`dlx train` with logging, progress, an evaluation and a checkpoint every epoch."""
    import csv

    inputs, target = data()
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/table.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*(f"x{i}" for i in range(64)), "y"])
            writer.writerows([*(f"{v:.6g}" for v in row), f"class{label}"] for row, label in zip(inputs, target, strict=True))
        with open(f"{folder}/val.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*(f"x{i}" for i in range(64)), "y"])
            writer.writerows(
                [*(f"{v:.6g}" for v in row), f"class{label}"] for row, label in zip(inputs[:1000], target, strict=False)
            )
        layers = ", ".join(f"{{dense: {{size: {size}, activation: relu}}}}" for size in SIZES[1:-1])
        Path(f"{folder}/mlp.yaml").write_text(
            f"task: classification\n"
            f"data: {{name: csv, train: {folder}/table.csv, val: {folder}/val.csv, test: 0, target: y, batch_size: {BATCH}}}\n"
            f"model: {{name: sequential, layers: [{layers}, dense: num_classes]}}\n"
            f"optimizer: adam\nepochs: {EPOCHS + 1}\ndevice: {{threads: {THREADS}}}\n"
        )
        command = [sys.executable, "-m", "dlx", "train", f"{folder}/mlp.yaml", "--runs", f"{folder}/runs"]
        subprocess.run(command, check=True, capture_output=True)
        rows = [json.loads(line) for line in Path(f"{folder}/runs/mlp/metrics.jsonl").read_text().splitlines()]
        seconds = {row["step"]: row["seconds"] for row in rows}
    per_epoch = ROWS // BATCH
    return EPOCHS * per_epoch / (seconds[per_epoch * (EPOCHS + 1)] - seconds[per_epoch])


def lightning() -> float:
    """Lightning's Trainer as it comes, with its CSV logger and checkpoints."""
    import logging
    import warnings

    import lightning as L
    import torch
    from torch.nn.functional import cross_entropy

    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    times = []

    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = network()

        def training_step(self, batch, _):
            loss = cross_entropy(self.model(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters())

        def on_train_epoch_start(self):
            times.append(time.perf_counter())

        def on_train_end(self):
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*tensors()), BATCH, shuffle=True)
        trainer = L.Trainer(max_epochs=EPOCHS + 1, accelerator="cpu", default_root_dir=folder, enable_model_summary=False)
        trainer.fit(Module(), batches)
    return EPOCHS * ROWS / BATCH / (times[-1] - times[1])


CONTESTANTS = {f.__name__: f for f in (dlx, loader, gather, lightning)}
NEEDS = {"lightning": ["lightning"]}
THREADS = 1


def main() -> None:
    global THREADS, ROWS
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", type=int, default=ROWS, help=f"a multiple of {BATCH}")
    parser.add_argument("--only", nargs="*", choices=list(CONTESTANTS), default=list(CONTESTANTS))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    THREADS, ROWS = options.threads, options.rows
    if options.child:
        import torch

        torch.set_num_threads(THREADS)
        print(CONTESTANTS[options.child]())
        return
    print(contest.machine("torch"))
    names = contest.present(options.only, NEEDS)
    settings = ["--threads", THREADS, "--rows", ROWS]
    contest.table(contest.in_turn(names, options.rounds, lambda name: contest.child(__file__, "--child", name, *settings)))


if __name__ == "__main__":
    main()
