"""Test numbers of a config over several seeds: `dlx train` and `dlx eval` for each, and their mean and deviation.

python benchmarks/seeds.py configs/tabular/iris_mlp.yaml --seeds 5 [KEY=VALUE ...] [--split test]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time


def run(*arguments: str) -> dict:
    output = subprocess.run([sys.executable, "-m", "dlx", *arguments, "--json"], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(output.stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--split", default="test")
    options = parser.parse_args()
    rows, seconds = [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            begun = time.perf_counter()
            trained = run(
                "train", options.config, *options.overrides, "--seed", str(seed), "--runs", folder, "--name", f"seed-{seed}"
            )
            seconds.append(time.perf_counter() - begun)
            rows.append(run("eval", trained["run"], "--split", options.split))
            print(
                f"seed {seed}: "
                + "  ".join(
                    f"{k} {v:.4f}" for k, v in rows[-1].items() if k.startswith(options.split + "/") and k.count("/") == 1
                )
            )
    for name in [key for key in rows[0] if key.startswith((f"{options.split}/", "baseline/")) and key.count("/") == 1]:
        values = [row[name] for row in rows]
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        spread = f"deviation {deviation:.4f}  least {min(values):.4f}  most {max(values):.4f}"
        print(f"{name:28} mean {statistics.mean(values):.4f}  {spread}")
    print(f"seconds a training, start and all: median {statistics.median(seconds):.1f}")


if __name__ == "__main__":
    main()
