"""Transfer from ImageNet: a folder of 1,000 small images learnt with published weights and without, by `dlx train` alone.

The images are 100 of each class of the CIFAR-10 JPEG copies under DLX_DATA; the weights a file of MobileNetV2's.

    python benchmarks/transfer.py --weights mobilenet_v2.pt
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path

EACH = 100
CONFIG = Path(__file__).parents[1] / "configs" / "image_classification" / "folder_mobilenet_transfer.yaml"


def extract(folder: Path) -> None:
    """Write the first images of every class in one folder a class."""
    seen: Counter[str] = Counter()
    with tarfile.open(Path(os.environ["DLX_DATA"]) / "image_classification" / "cifar10_jpeg" / "train.tar.gz") as archive:
        for member in archive:
            label = Path(member.name).parent.name
            if member.isfile() and member.name.endswith((".jpg", ".jpeg")) and seen[label] < EACH:
                seen[label] += 1
                (folder / label).mkdir(parents=True, exist_ok=True)
                (folder / label / Path(member.name).name).write_bytes(archive.extractfile(member).read())


def dlx(*arguments: str) -> dict:
    output = subprocess.run([sys.executable, "-m", "dlx", *arguments, "--json"], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(output.stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", required=True)
    weights = parser.parse_args().weights
    with tempfile.TemporaryDirectory() as name:
        extract(Path(name) / "images")
        shared = (f"data.path={name}/images", f"data.cache={name}/cache", "--runs", f"{name}/runs")
        for title, changes in (
            ("published weights, frozen", [f"model.weights={weights}"]),
            ("random weights, all trained", ["model.weights=none", "model.freeze=none"]),
        ):
            trained = dlx("train", str(CONFIG), *changes, *shared, "--name", title.replace(" ", "-").replace(",", ""))
            found = dlx("eval", trained["run"])
            print(
                f"{title:28} test accuracy {found['test/accuracy']:.3f}, baseline {found['baseline/accuracy']:.3f}", flush=True
            )


if __name__ == "__main__":
    main()
