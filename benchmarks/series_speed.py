"""Windows a second of dlx's series beside a hand-written Dataset with a DataLoader, and the memory of a long series.

python benchmarks/series_speed.py            # speed: medians of paired rounds
python benchmarks/series_speed.py --memory   # the most memory used for look-backs of 96 and 720 on 10 million rows
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from itertools import islice

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from dlx.data.options import Batching, Checkpoint
from dlx.data.series.options import SeriesEncoding, TimeSplits, Windowing
from dlx.data.series.source import SeriesOptions, series_source
from dlx.processors.series.series import Columns, Reading, Series
from dlx.processors.series.steps import Step
from dlx.processors.series.times import SECOND, TimeFormat

HORIZON, BATCH, ROUNDS = 96, 64, 7


class Windowed(Dataset):
    """What everybody writes: a slice of an array a window."""

    def __init__(self, values, look_back):
        self.values, self.look_back = torch.from_numpy(values), look_back

    def __len__(self):
        return len(self.values) - self.look_back - HORIZON + 1

    def __getitem__(self, start):
        middle = start + self.look_back
        return self.values[start:middle], self.values[middle : middle + HORIZON]


def source(rows, columns, look_back):
    form = TimeFormat()
    names = [f"c{n}" for n in range(columns)]
    values = np.random.default_rng(0).standard_normal((rows, columns))
    series = Series("", form.of_instants(np.arange(rows) * SECOND), values, np.zeros((rows, 0)), 0)
    reading = Reading(Columns("time", None, names), ",", [""], None, Step("clock", SECOND), "error")
    options = SeriesOptions(Windowing(look_back=look_back, horizon=HORIZON), TimeSplits(), SeriesEncoding(), Batching(BATCH))
    return series_source(0, Checkpoint(), [series], reading, form, options)


def rate(batches, count):
    begun = time.perf_counter()
    windows = sum(len(batch[0] if isinstance(batch, list) else batch["input"]) for batch in islice(batches, count))
    return windows / (time.perf_counter() - begun)


def speed():
    made = source(20_000, 7, 336)
    loader = DataLoader(Windowed(np.random.default_rng(0).standard_normal((14_000, 7)).astype(np.float32), 336), BATCH, True)
    pairs = []
    for _ in range(ROUNDS):
        made.load_state_dict({"seed": 0, "epoch": 0, "samples": 0})
        pairs.append((rate(made.train(None), 150), rate(loader, 150)))
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    print(f"dlx {ours:,.0f} windows/s, Dataset and DataLoader {theirs:,.0f} windows/s, ratio {ratio:.1f}")


def memory(look_back):
    made = source(10_000_000, 1, look_back)
    for _ in islice(made.train(None), 200):
        pass
    print(f"look_back {look_back}: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB at most")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--look-back", type=int)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.look_back:
        memory(given.look_back)
    elif given.memory:
        for one in (96, 720):
            subprocess.run([sys.executable, __file__, "--look-back", str(one)], check=True)
    else:
        speed()
