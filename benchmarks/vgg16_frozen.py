"""VGG16 without its top, frozen, 224x224, beside Keras: seconds for 100 epochs over 256 images in batches of 32.

dlx runs the whole program, from JPEG files to the last step, and computes the features of an image once. Keras, with the
backend that KERAS_BACKEND names, is given the decoded images as an array; its epochs after the first, which compiles, are
timed and scaled to 100. Both learn global average pooling, Dense(256) and Dense(classes) with Adam, from random weights
(dlx from a file in the published format): the time does not depend on their values. Each is a process of its own.

    python benchmarks/vgg16_frozen.py [--images 256] [--epochs 100] [--keras-epochs 2] [--only dlx]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import contest

SIDE, CLASSES, BATCH = 224, 4, 32

CONFIG = """
task: classification
data: {{name: image_folder, path: {folder}, image_size: 224, batch_size: 32, val: 0.0, test: 0.0, cache: {cache}}}
model: {{name: vgg16, weights: {weights}, freeze: backbone, pooling: average, hidden: [256]}}
optimizer: {{name: adam, lr: 0.001}}
epochs: {epochs}
"""


def write_images(folder: Path, count: int) -> None:
    """Write noisy images whose mean colour tells the class."""
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    for index in range(count):
        label = index % CLASSES
        pixels = generator.integers(0, 128, (SIDE, SIDE, 3)) + np.array([label * 30, 0, 90 - label * 30])
        (folder / f"class{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"class{label}" / f"{index:04}.jpg")


def dlx(count: int, epochs: int) -> dict[str, float]:
    """Time the whole program: reading files, building, computing features, training, in seconds after the imports."""
    import torch
    import torchvision

    from dlx.assembly.experiment import prepare
    from dlx.assembly.trainer import build_trainer
    from dlx.config import spec

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "images", count)
        state = torchvision.models.vgg16(init_weights=False).features.state_dict()
        torch.save({f"features.{key}": value for key, value in state.items()}, folder / "vgg16.pth")
        text = CONFIG.format(folder=folder / "images", cache=folder / "cache", weights=folder / "vgg16.pth", epochs=epochs)
        begun = time.perf_counter()
        built = prepare(spec.parse(text, "vgg16_frozen.yaml", []))
        trainer = build_trainer(built)
        prepared = time.perf_counter()
        trainer.fit()
        ended = time.perf_counter()
    once = hasattr(trainer.source, "kept")
    return {"seconds": ended - begun, "prepare": prepared - begun, "steps": trainer.step, "features_once": once}


def keras(count: int, epochs: int) -> dict[str, float]:
    """Time a few epochs of Keras's fit after the first."""
    import keras
    import numpy as np

    generator = np.random.default_rng(0)
    images = generator.standard_normal((count, SIDE, SIDE, 3), dtype=np.float32)
    labels = generator.integers(0, CLASSES, count)
    backbone = keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))
    backbone.trainable = False
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(256, "relu"), keras.layers.Dense(CLASSES)]
    model = keras.Sequential([backbone, *head])
    model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images[: 2 * BATCH], labels[: 2 * BATCH], batch_size=BATCH, epochs=1, verbose=0)
    begun = time.perf_counter()
    model.fit(images, labels, batch_size=BATCH, epochs=epochs, verbose=0)
    return {"seconds": time.perf_counter() - begun}


CONTESTANTS = {"dlx": dlx, "keras": keras}


def run(name: str, count: int, epochs: int) -> dict[str, float]:
    """Run one contestant in a process of its own."""
    return contest.child(__file__, "--contestant", name, "--images", count, "--epochs", epochs)


def main() -> None:
    """Run the contestants and tell their seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--keras-epochs", type=int, default=2)
    parser.add_argument("--only", choices=list(CONTESTANTS))
    parser.add_argument("--contestant", choices=list(CONTESTANTS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contestant:
        print(json.dumps(CONTESTANTS[given.contestant](given.images, given.epochs)))
        return
    found = {}
    print(contest.machine("torch"))
    names = contest.present([given.only] if given.only else list(CONTESTANTS), {"keras": ["keras"]})
    if "dlx" in names:
        found["dlx"] = run("dlx", given.images, given.epochs)["seconds"]
        print(f"dlx    {found['dlx']:9.1f} s for {given.epochs} epochs, measured")
    if "keras" in names:
        seconds = run("keras", given.images, given.keras_epochs)["seconds"]
        found["keras"] = seconds / given.keras_epochs * given.epochs
        print(f"keras  {found['keras']:9.1f} s for {given.epochs} epochs, scaled from {given.keras_epochs}")
    if len(found) == 2:
        print(f"dlx takes 1/{found['keras'] / found['dlx']:.0f} of Keras's time")


if __name__ == "__main__":
    main()
