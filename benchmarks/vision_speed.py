"""Images a second in training: dlx beside torchvision's reference loop with the same model on the same files.

    boxes      ssdlite320_mobilenet_v3_large on BCCD, flipped: the network is what takes the time
    masks      lraspp_mobilenet_v3_large on CamVid at 360x480, cut out, scaled and flipped
    light      a small network on CamVid at 120x160: the data are much of what takes the time

Both train in processes of their own, in turn, round by round; the first steps are not timed, and neither is the decoding of
the files that dlx does once before. Beside images a second stand the processor's milliseconds an image, which a busy machine
changes less; with `--workers 0` they are those of the whole loop.

    python benchmarks/vision_speed.py [--data $DLX_DATA] [--rounds 3] [--threads 2] [--workers 2] [--only boxes masks light]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import contest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

BCCD, CAMVID = "object_detection/bccd/BCCD", "semantic_segmentation/camvid"
WARMUP = 3
LIGHT = {"widths": [16, 32, 64], "depth": 1, "stride": 4, "decoder": 16}
CROP = "{random_resized_crop: {scale: [0.3, 1.0]}}, horizontal_flip"
MASKS = """
task: semantic_segmentation
data: {{name: image_masks, path: {path}, image_size: {size}, ignored: [11], batch_size: {batch}, drop_last: true,
  class_names: [a, b, c, d, e, f, g, h, i, j, k], augment: [{augment}]}}
model: {model}
"""
BOXES = """
task: detection
data: {{name: voc_boxes, path: {path}, image_size: 320, on_bad: skip, batch_size: {batch}, drop_last: true,
  augment: [horizontal_flip]}}
model: ssdlite320_mobilenet_v3_large
"""
COMMON = """
optimizer: {{name: sgd, lr: 0.005, momentum: 0.9, weight_decay: 0.0001}}
trainer: {{evaluate_every: 1000000, log_every: 1}}
steps: {steps}
device: {{threads: {threads}}}
"""
SIZES = {"masks": (360, 480), "light": (120, 160)}


def config(given: argparse.Namespace) -> str:
    """Write the config of a contest."""
    if given.contest == "boxes":
        text = BOXES.format(path=given.data / BCCD, batch=given.batch)
    else:
        light = given.contest == "light"
        model = json.dumps({"name": "segmentation_resnet", **LIGHT}) if light else "lraspp_mobilenet_v3_large"
        size = list(SIZES[given.contest])
        text = MASKS.format(path=given.data / CAMVID, batch=given.batch, size=size, augment=CROP, model=model)
    return text + COMMON.format(steps=WARMUP + given.steps + 1, threads=given.threads)


def dlx(given: argparse.Namespace) -> dict[str, float]:
    """Train as `dlx train` does; the evaluation at the end and the checkpoint lie outside the clock."""
    from dlx.assembly.experiment import prepare
    from dlx.config import spec

    return contest.timed(prepare(spec.parse(config(given), "vision_speed")), WARMUP, WARMUP + given.steps)


def torchvision(given: argparse.Namespace) -> dict[str, float]:
    """Train as torchvision's reference does."""
    from torchvision.models import get_model

    import vision_loops

    common = (given.batch, given.workers, WARMUP, given.steps)
    if given.contest == "boxes":
        return vision_loops.boxes(str(given.data / BCCD), "ssdlite320_mobilenet_v3_large", *common)
    if given.contest == "masks":
        model = get_model("lraspp_mobilenet_v3_large", weights=None, weights_backbone=None, num_classes=11)
    else:
        from dlx.models.segmentation.residual import SegmentationResNet

        model = SegmentationResNet(11, [3, *SIZES["light"]], **LIGHT)  # type: ignore[arg-type]
    return vision_loops.masks(str(given.data / CAMVID), model, SIZES[given.contest], *common)


CONTESTANTS = {"dlx": dlx, "torchvision": torchvision}


def compare(name: str, given: argparse.Namespace) -> None:
    """Run one contest, and print its table."""
    names = ("data", "threads", "workers", "batch", "steps")
    choices = [word for key in names for word in (f"--{key}", getattr(given, key))]

    def run(contestant: str) -> dict[str, float]:
        return contest.child(__file__, "--contest", name, "--child", contestant, *choices)  # type: ignore[no-any-return]

    found = contest.in_turn(list(CONTESTANTS), given.rounds, run, swap=True)
    assert len({one["parameters"] for rows in found.values() for one in rows}) == 1, "the models differ"
    print(f"\n{name}: {found['dlx'][0]['parameters']:,.0f} parameters, batches of {given.batch}, images a second")
    contest.table({who: [given.batch * one["rate"] for one in rows] for who, rows in found.items()}, "8.1f")
    work = {who: [1000 * one["work"] / given.batch for one in rows] for who, rows in found.items()}
    ratio = contest.spread(contest.paired(work["torchvision"], work["dlx"]))
    told = ", ".join(f"{who} {contest.spread(rows, '.1f')}" for who, rows in work.items())
    print(f"processor milliseconds an image in the process itself: {told}; dlx takes less by {ratio}", flush=True)


def main() -> None:
    """Run the contests, or be one contestant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("DLX_DATA", "data")))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="processes that read files in torchvision's loop")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--only", nargs="+", choices=["boxes", "masks", "light"], default=["boxes", "masks", "light"])
    parser.add_argument("--contest", help=argparse.SUPPRESS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        import torch

        torch.set_num_threads(given.threads)
        print(json.dumps(CONTESTANTS[given.child](given)))
        return
    print(contest.machine("torch", "torchvision"))
    for name in given.only:
        compare(name, given)


if __name__ == "__main__":
    main()
