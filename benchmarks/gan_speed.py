"""Steps per second of a DCGAN on 28x28 grey images beside hand-written loops and Keras, in one run.

Every step of every contestant does the same: one batch of 64 noises through the generator, the discriminator's update on 64
real images and those 64, the generator's update through the discriminator; two Adams (2e-4, betas 0.5 and 0.999), the
non-saturating loss, layers of the same sizes. (Keras's own example makes images twice a step, which would cost it more.)
Each is a process of its own, bound to as many cores as it has threads, in turn, several times; medians count, and ratios
are taken round by round. Steps before the timed ones warm up, or compile. Evaluation and checkpoints lie outside the timed
steps of dlx, for none of the others has any. Before all that, dlx and both loops train from one seed, on one thread, and
must come to the same parameters, bit for bit.

    dlx        `dlx train` with its data pipeline from uint8, its check for non-finite numbers, a log line every 10 steps
    compiled   the same by `device.compile: true`, both updates in one call
    tutorial   the loop of PyTorch's DCGAN tutorial on dlx's networks, with a DataLoader over float32 images in memory
    kept       the same where the C library keeps memory given back, as dlx has it (`keep_pages`)
    gathered   a loop at its best: batches gathered by index, fused Adam, channels_last, one backward pass for both sides of
               the discriminator's loss, none for its weights in the generator's update, memory kept, numbers rarely read
    jax        Keras's networks and optimizers on JAX, the whole step one compiled function, memory kept
    torch      keras.Model with a train_step of its own on PyTorch, trained by fit, memory kept

    python benchmarks/gan_speed.py [--data FOLDER] [--rounds 5] [--steps 100] [--threads 1 2] [--only dlx gathered]

FOLDER holds MNIST's or Fashion-MNIST's idx files; without it the images are random.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import contest
import gan_keras
from gan_common import LINE, WARM, write_random
from gan_loops import gathered, gathered_step, networks, tutorial, tutorial_step

COMPARED = 20  # steps after which parameters are compared
KEEP = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=2147483647"  # what dlx.device.keep_pages asks for

CONFIG = """
task: gan
data: {{name: fashion_mnist, path: {data}, val: 0.0, batch_size: 64, drop_last: true}}
model: {{name: dcgan, width: 64, latent_size: 100}}
optimizer: {{name: adam, lr: 0.0002, betas: [0.5, 0.999]}}
steps: {steps}
trainer: {{evaluate_every: 1000000, log_every: 10}}
device: {{threads: {threads}, compile: {compiled}}}
"""


def built(data: Path, steps: int, threads: int, compiled: bool = False) -> Any:
    from dlx.assembly.experiment import prepare
    from dlx.config import spec

    config = CONFIG.format(data=data, steps=steps, threads=threads, compiled=str(compiled).lower())
    return prepare(spec.parse(config, "gan_speed"))


def dlx(data: Path, steps: int, threads: int, compiled: bool = False) -> dict[str, float]:
    experiment = built(data, WARM + steps + 1, threads, compiled)  # the last step is followed by a checkpoint
    return contest.timed(experiment, WARM, WARM + steps)


def compiled(data: Path, steps: int, threads: int) -> dict[str, float]:
    return dlx(data, steps, threads, compiled=True)


def compare(data: Path, steps: int, threads: int) -> dict[str, float]:
    """Train dlx and both loops from one seed on the same batches; the loops' networks must come out as dlx's, bit for bit."""
    import torch

    from dlx.assembly.trainer import build_trainer

    experiment = built(data, COMPARED, threads)
    build_trainer(experiment).fit()
    wanted = experiment.task.model.state_dict()
    makers = {"tutorial": lambda model: tutorial_step(model, fused=True), "gathered": gathered_step}
    for name, make in makers.items():
        source = built(data, COMPARED, threads)
        batches = [source.task.real(batch) for batch in itertools.islice(source.source.train(None), COMPARED)]
        model = networks().to(memory_format=torch.channels_last)  # as dlx has it: the order of sums depends on the layout
        before = {key: value.clone() for key, value in model.state_dict().items()}
        step = make(model)
        for batch in batches:
            step(batch)
        found = model.state_dict()
        if stray := [key for key, value in wanted.items() if not torch.equal(value, found[key])]:
            far = max(float((found[key] - wanted[key]).abs().max()) for key in stray)
            raise SystemExit(f"{name}: {len(stray)} of {len(wanted)} tensors differ from dlx's, by up to {far:.1e}")
        if unmoved := [key for key, value in found.items() if torch.equal(value, before[key])]:
            raise SystemExit(f"{name}: {unmoved[0]} was not trained")
    return {"steps": COMPARED, "parameters": sum(p.numel() for p in model.parameters())}


CONTESTANTS = {
    "dlx": dlx, "compiled": compiled, "tutorial": tutorial, "kept": tutorial, "gathered": gathered,
    "jax": gan_keras.jax, "torch": gan_keras.torch,
}  # fmt: skip
NEEDS = {"jax": ["keras", "jax"], "torch": ["keras"]}


def child(name: str, data: Path, steps: int, threads: int) -> None:
    """Be one contestant, on as many cores as it has threads."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    if name not in NEEDS:
        import torch

        torch.set_num_threads(threads)
    print(json.dumps({"compare": compare, **CONTESTANTS}[name](data, steps, threads)))


def run(name: str, data: Path, steps: int, threads: int) -> dict[str, float]:
    """Run one contestant in a process of its own."""
    settings = {"OMP_NUM_THREADS": str(threads)}
    if name in NEEDS:
        settings["KERAS_BACKEND"] = name
    if name in ("kept", "gathered", *NEEDS):
        settings["GLIBC_TUNABLES"] = KEEP
    return contest.child(__file__, "--child", name, "--data", data, "--steps", steps, "--threads", threads, settings=settings)


def table(found: dict[str, list[dict[str, float]]], threads: int) -> None:
    """Print the medians of a number of threads."""
    print(f"\n{threads} thread{'s' * (threads > 1)}: steps a second; of a step, CPU milliseconds and new pages of memory")
    middle = {key: {n: statistics.median(row[key] for row in rows) for n, rows in found.items()} for key in ("work", "pages")}
    more = {
        "CPU ms": {name: f"{1000 * work:8.1f}" for name, work in middle["work"].items()},
        "pages": {name: f"{pages:8.0f}" for name, pages in middle["pages"].items()},
    }
    contest.table({name: [row["rate"] for row in rows] for name, rows in found.items()}, "8.2f", more)


def race(names: list[str], data: Path, given: argparse.Namespace) -> None:
    """See that all train the same, then run the rounds."""
    same = run("compare", data, given.steps, 1)
    numbers = f"{same['parameters']:,} parameters and the running means"
    print(f"after {same['steps']} steps from one seed, dlx's {numbers} equal both loops', bit for bit", flush=True)

    def checked(name: str, threads: int) -> dict[str, float]:
        found = run(name, data, given.steps, threads)
        if found.get("parameters", same["parameters"]) != same["parameters"]:
            raise SystemExit(f"{name}: its networks are of another size")
        return found

    for threads in given.threads:
        table(contest.in_turn(names, given.rounds, lambda name, threads=threads: checked(name, threads)), threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of idx files (default: random images)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100, help=f"timed steps, a multiple of {LINE}")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", nargs="+", choices=list(CONTESTANTS), default=list(CONTESTANTS))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.steps % LINE or given.steps < LINE:
        parser.error(f"--steps must be a multiple of {LINE}")
    if given.child:
        child(given.child, given.data, given.steps, given.threads[0])
        return
    if max(given.threads) > len(os.sched_getaffinity(0)):
        parser.error(f"--threads: this process may use {len(os.sched_getaffinity(0))} cores only")
    print(contest.machine("torch"))
    names = contest.present(given.only, NEEDS)
    with tempfile.TemporaryDirectory() as folder:
        data = (given.data or Path(folder)).absolute()
        if given.data is None:
            write_random(data)
        race(names, data, given)


if __name__ == "__main__":
    main()
