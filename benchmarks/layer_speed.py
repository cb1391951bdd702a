"""Layers that dlx writes out on a CPU beside torch's own: forward and backward, one thread, milliseconds.

python benchmarks/layer_speed.py [--rounds 8]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from dlx.engine.device import keep_pages
from dlx.layers import recurrence
from dlx.layers.dropout import dropout

BATCH, STEPS, FEATURES, SIZE, CALLS = 32, 50, 8, 128, 20


def milliseconds(call: Callable[[], torch.Tensor]) -> float:
    """Return the time of one call and its gradients, a mean over some."""
    start = time.perf_counter()
    for _ in range(CALLS):
        call().sum().backward()
    return (time.perf_counter() - start) / CALLS * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    keep_pages()
    steps, values = torch.randn(BATCH, STEPS, FEATURES), torch.randn(4000, 256, requires_grad=True)
    simple, gated = nn.RNN(FEATURES, SIZE, batch_first=True), nn.GRU(FEATURES, SIZE, batch_first=True)
    pairs = {
        "simple_rnn": (lambda: recurrence.run("RNN_TANH", steps, simple.all_weights[0]), lambda: simple(steps)[0]),
        "gru": (lambda: recurrence.run("GRU", steps, gated.all_weights[0]), lambda: gated(steps)[0]),
        "dropout of a million values": (lambda: dropout(values, 0.1, True), lambda: F.dropout(values, 0.1, True)),
    }
    for name, (own, other) in pairs.items():
        milliseconds(own), milliseconds(other)
        found = [(milliseconds(own), milliseconds(other)) for _ in range(rounds)]
        mine, theirs = (statistics.median(one) for one in zip(*found, strict=True))
        ratios = [b / a for a, b in found]
        print(
            f"{name}: dlx {mine:.2f}, torch {theirs:.2f}: {statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
