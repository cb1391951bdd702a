"""What a set of a million images costs before the first batch, and in memory while it is read.

`python benchmarks/million_images.py` lists images of 8x8 that nobody has to draw: names, stamps and a whole cache are those of
dlx, its file of pixels is a hole. So small a set would be held in memory; here, as with large images, it stays in its file.

- start: from names to the first batch (classes, cache, splits, duplicates, statistics), for more and more images.
- memory: resident and anonymous, after each epoch of reading every training image.
- listing: finding real, empty files below a folder, which are removed afterwards.

Every line is a process of its own; of starts, the medians: by the clock, and of the processor's time, which a busy machine
changes less.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

CLASSES = 1000
SIZE = 8
BATCH = 256
SIZES = (125_000, 250_000, 500_000, 1_000_000)
LISTED = (50_000, 100_000, 200_000)


def resident() -> dict[str, float]:
    """Read how much of the process is in memory, and how much of that is no file's, in MB."""
    with open("/proc/self/status", encoding="ascii") as status:
        lines = dict(line.split(":", 1) for line in status)
    return {name: int(lines[name].split()[0]) / 1000 for name in ("VmRSS", "RssAnon")}


def hollow(files: Any, decoding: Any, place: str, num_workers: int, plain: Any) -> None:
    """Stand in for decoding: a whole cache whose pixels are a hole."""
    from dlx.data.image import cache as image_cache

    count = len(files.names)
    with open(os.path.join(place, "pixels"), "wb") as pixels:
        pixels.truncate(count * int(np.prod(decoding.shape)))
    np.arange(count, dtype=np.uint64).tofile(os.path.join(place, "digests"))
    index = {"shape": [count, *decoding.shape], "faults": {}, "boot": image_cache._boot()}
    Path(place, "index.json").write_text(json.dumps(index))
    Path(place, image_cache.SYNCED).touch()


def simulate(count: int, cache: str, epochs: int) -> dict[str, Any]:
    """Make the source of so many images twice, the second time from its cache, and read it."""
    import torch

    from dlx.data import in_memory
    from dlx.data.image import cache as image_cache
    from dlx.data.image import listing as image_listing
    from dlx.data.image import names as image_names
    from dlx.data.image import pixels as image_pixels
    from dlx.data.image import preparation as image_assembly

    torch.set_num_threads(1)
    image_cache._build = hollow  # type: ignore[assignment]
    image_pixels.SMALL = in_memory.SMALL = 0
    names = [f"{n % CLASSES:04}/{n:07}.jpg" for n in range(count)]

    def make() -> Any:
        files = image_names.Names("simulated")
        for number, name in enumerate(names):
            files.add(name, (number, number, number, -1))
        wanted = image_assembly.preparation(
            None, None, image_size=SIZE, cache_size=None, channels=3, resize="squash", max_pixels=10**6, check_endings=True,
            on_bad="error", cache=cache, workers=0,
        )  # fmt: skip
        listing = image_listing.by_folders(files, "classes")
        choices: dict[str, Any] = {"augment": None, "batch_size": BATCH, "drop_last": False}
        return image_assembly.assemble(0, listing, wanted, val=None, test=None, split_seed=0, **choices)

    make()
    gc.collect()
    begun = clocks()
    source = make()
    next(iter(source.train(None)))
    found: dict[str, Any] = {"start": clocks() - begun, "memory": [resident()]}
    found["start"] = found["start"].tolist()
    source.load_state_dict({"seed": 0, "epoch": 0, "samples": 0})
    for _ in range(epochs):
        begun = time.perf_counter()
        images = sum(len(batch["index"]) for batch in source.train(None))
        found["memory"].append({**resident(), "images": images, "seconds": time.perf_counter() - begun})
    return found


def listed(count: int) -> dict[str, Any]:
    """Find real files: names, stamps, classes, and the digest that names their cache."""
    from dlx.data.image.listing import by_folders
    from dlx.data.image.names import walk
    from dlx.processors.image.decoding import ENDINGS

    with tempfile.TemporaryDirectory(prefix="dlx-listing-") as folder:
        for name in range(CLASSES):
            os.mkdir(os.path.join(folder, f"{name:04}"))
        for n in range(count):
            os.close(os.open(os.path.join(folder, f"{n % CLASSES:04}", f"{n:07}.jpg"), os.O_WRONLY | os.O_CREAT))
        begun = clocks()
        listing = by_folders(walk(folder, ENDINGS), "auto")
        listing.files.digest()
        assert len(listing.labels) == count
        return {"start": (clocks() - begun).tolist()}


def clocks() -> np.ndarray:
    """Read the clock and this process's own time, in seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def run(*arguments: str) -> dict[str, Any]:
    """Run one line's work in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def starts(kind: str, sizes: tuple[int, ...], repeats: int, *more: str) -> None:
    """Print the medians of a kind of start."""
    for count in sizes:
        rows = [run(f"--{kind}", str(count), *more)["start"] for _ in range(repeats)]
        seconds, busy = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{count:>10,}  {seconds:7.2f}  {busy:9.2f}  {1e6 * busy / count:11.2f}", flush=True)


def main() -> None:
    """Run all, or, as a child, one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--simulate", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--list", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--cache", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.simulate:
        print(json.dumps(simulate(given.simulate, given.cache, given.epochs)))
        return
    if given.list:
        print(json.dumps(listed(given.list)))
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="dlx-million-") as cache:
        print("start, from names to the first batch\n    images  seconds  processor  us an image", flush=True)
        starts("simulate", SIZES, given.repeats, "--cache", cache, "--epochs", "0")
        print("listing, of real files\n     files  seconds  processor  us a file", flush=True)
        starts("list", LISTED, given.repeats)
        print(f"memory, {SIZES[-1]:,} images in batches of {BATCH}")
        print("     epoch  VmRSS MB  RssAnon MB  images a second", flush=True)
        found = run("--simulate", str(SIZES[-1]), "--cache", cache, "--epochs", str(given.epochs))
        for epoch, row in enumerate(found["memory"]):
            rate = f"{row['images'] / row['seconds']:15,.0f}" if epoch else ""
            print(f"{epoch or 'start':>10}  {row['VmRSS']:8.1f}  {row['RssAnon']:10.1f}  {rate}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
