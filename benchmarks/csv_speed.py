"""How long a CSV file takes until it is ready to train on, and how much memory, beside pandas in the same run.

dlx: the file is read strictly, its columns judged, split, scaled and coded, its digests computed, and one batch taken.
pandas: read_csv alone, and read_csv followed by a standardised float32 array. A process each, in turn; seconds and the
peak of memory count from after the imports. Medians over rounds. Then tables of many columns: linear time is shown by
seconds a thousand columns.

    python benchmarks/csv_speed.py [--rows 300000] [--columns 20] [--rounds 5] [--quoted] [--wide 5000,20000,100000]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

import numpy as np

PEAK = """
import json, resource, sys, time
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
"""
DLX = """
import sklearn.model_selection
from dlx.registry import sources
from dlx.registry.signatures import check
sources.names()
before, begun = peak(), time.perf_counter()
values, faults = check(sources.signatures["csv"], {"train": sys.argv[1], "target": "y"})
data = sources.build("csv", values, {"seed": 0, "task_target": "number"})
next(data.train(None))
"""
PANDAS = """
import numpy as np, pandas as pd
before, begun = peak(), time.perf_counter()
data = pd.read_csv(sys.argv[1])
"""
READY = """
values = data.drop(columns="y").to_numpy(np.float64)
values = ((values - values.mean(0)) / values.std(0)).astype(np.float32)
"""
REPORT = """
print(json.dumps([time.perf_counter() - begun, peak() - before]))
"""
CONTENDERS = {"dlx, ready to train": DLX, "pandas.read_csv": PANDAS, "pandas, standardised float32": PANDAS + READY}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quoted", action="store_true", help="put one column of every row into quotes")
    parser.add_argument("--wide", default="5000,20000,100000", help="columns of the wide tables; empty for none")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        file = write(f"{folder}/tall.csv", options.rows, options.columns, options.quoted)
        contest(file, options.rounds)
        for columns in map(int, filter(None, options.wide.split(","))):
            seconds, _ = measure(DLX, write(f"{folder}/wide.csv", 10, columns, quoted=False))
            print(f"10 rows of {columns:,} columns: {seconds:.1f} s, {1000 * seconds / columns:.3f} s a thousand columns")


def write(file: str, rows: int, columns: int, quoted: bool) -> str:
    """Write a table of numbers with five decimals and a header; the last column is the target."""
    values = np.random.default_rng(0).normal(size=(rows, columns))
    form = ["%.5f"] * columns
    form[0] = '"%.5f"' if quoted else form[0]
    header = ",".join([*(f"x{i}" for i in range(columns - 1)), "y"])
    np.savetxt(file, values, fmt=form, delimiter=",", header=header, comments="")
    return file


def contest(file: str, rounds: int) -> None:
    """Print medians of seconds and memory, and both beside pandas.read_csv and the file's size."""
    found: dict[str, list] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, code in CONTENDERS.items():
            found[name].append(measure(code, file))
    size = os.path.getsize(file)
    median = {name: [statistics.median(column) for column in zip(*each, strict=True)] for name, each in found.items()}
    base = median["pandas.read_csv"]
    print(f"{size / 1e6:.1f} MB, medians of {rounds} rounds")
    print(f"{'':30}{'seconds':>9}{'ratio':>7}{'memory':>10}{'ratio':>7}{'x file':>8}")
    for name, (seconds, memory) in median.items():
        ratios = seconds / base[0], memory / base[1], memory / size
        print(f"{name:30}{seconds:9.2f}{ratios[0]:7.2f}{memory / 1e6:7.0f} MB{ratios[1]:7.2f}{ratios[2]:8.2f}")


def measure(code: str, file: str) -> tuple[float, float]:
    """Run code on a file in a process of its own: seconds, and bytes of memory at the peak."""
    done = subprocess.run([sys.executable, "-c", PEAK + code + REPORT, file], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-1000:] + "\n(pandas is in the extra: pip install -e '.[bench]')")
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return seconds, memory


if __name__ == "__main__":
    main()
