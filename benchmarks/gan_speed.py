"""Steps per second of a DCGAN on 28x28 grey images beside hand-written loops and Keras, in one run.

Every step of every contestant does the same: one batch of 64 noises through the generator, the discriminator's update on 64
real images and those 64, the generator's update through the discriminator; two Adams (2e-4, betas 0.5 and 0.999), the
non-saturating loss, layers of the same sizes. (Keras's own example makes images twice a step, which would cost it more.)
Each is a process of its own, bound to as many cores as it has threads, in turn, several times; medians count, and ratios
are taken round by round. Steps before the timed ones warm up, or compile. Evaluation and checkpoints lie outside the timed
steps of dlx, for none of the others has any. Before all that, dlx and both loops train from one seed, on one thread, and
must come to the same parameters, bit for bit.

    dlx        `dlx train` with its data pipeline from uint8, its check for non-finite numbers, a log line every 10 steps
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
import gzip
import itertools
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BATCH, LATENT, WIDTH = 64, 100, 64
RATE, BETAS = 2e-4, (0.5, 0.999)
WARM, LINE = 10, 10  # steps before the clock starts, and from one line of the log to the next
COMPARED = 20  # steps after which parameters are compared
KEEP = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=2147483647"  # what dlx.device.keep_pages asks for

CONFIG = """
task: gan
data: {{name: fashion_mnist, path: {data}, val: 0.0, batch_size: 64, drop_last: true}}
model: {{name: dcgan, width: 64, latent_size: 100}}
optimizer: {{name: adam, lr: 0.0002, betas: [0.5, 0.999]}}
steps: {steps}
trainer: {{evaluate_every: 1000000, log_every: 10}}
device: {{threads: {threads}}}
"""


def write_random(folder: Path) -> None:
    """Write random images as idx files, as many as Fashion-MNIST has to train on."""
    import numpy as np

    generator = np.random.default_rng(0)
    for part, count in (("train", 60_000), ("t10k", 100)):
        images = generator.integers(0, 256, (count, 28, 28), np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", np.arange(count, dtype=np.uint8) % 10)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (folder / f"{part}-{kind}-ubyte").write_bytes(head + array.tobytes())


def read_images(folder: Path) -> Any:
    """Read the training images as float32 (N, 28, 28) from -1 to 1."""
    import numpy as np

    file = next(folder.glob("train-images-idx3-ubyte*"))
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28).astype(np.float32) / 127.5 - 1


class Clock:
    """Steps a second between two moments; and, a step, processor seconds and pages of memory asked of the system."""

    def read(self) -> tuple[float, float, int]:
        """Read the clocks."""
        return time.perf_counter(), time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    def start(self) -> None:
        """Begin the timed steps."""
        self.begun = self.read()

    def stop(self, steps: int) -> dict[str, float]:
        """End them."""
        seconds, work, pages = (now - then for now, then in zip(self.read(), self.begun, strict=True))
        return {"rate": steps / seconds, "work": work / steps, "pages": pages / steps}


def timed(step: Callable[[], Any], steps: int) -> dict[str, float]:
    """Time a function called once a step; it gives back what must be there before the clock stops."""
    clock = Clock()
    for _ in range(WARM):
        ready = step()
    if hasattr(ready, "block_until_ready"):
        ready.block_until_ready()
    clock.start()
    for _ in range(steps):
        ready = step()
    if hasattr(ready, "block_until_ready"):
        ready.block_until_ready()
    return clock.stop(steps)


# dlx. ----------------------------------------------------------------------------------------------------------------


def built(data: Path, steps: int, threads: int) -> Any:
    from dlx import build, planning, spec

    return build.experiment(planning.plan(spec.parse(CONFIG.format(data=data, steps=steps, threads=threads), "gan_speed")))


def dlx(data: Path, steps: int, threads: int) -> dict[str, float]:
    from dlx import build
    from dlx.commands.train import Session
    from dlx.core import Logger
    from dlx.run import Run

    clock, found = Clock(), dict[str, float]()

    class Watch(Logger):
        def log(self, step, scalars):
            if step == WARM:
                clock.start()
            elif step == WARM + steps:
                found.update(clock.stop(steps))

    experiment = built(data, WARM + steps + 1, threads)  # the last step is followed by a checkpoint
    trainer = build.trainer(experiment)
    with tempfile.TemporaryDirectory() as folder, Run.create(Path(folder), "run", exact=True) as run:
        session = Session(run, experiment, trainer, True, quiet=True)
        session.prepare()
        trainer.loggers = [*trainer.loggers, Watch()]
        trainer.fit()
        trainer.tell("close")
    return found


# PyTorch by hand. ----------------------------------------------------------------------------------------------------


def networks() -> Any:
    """Make dlx's DCGAN by itself."""
    import torch

    from dlx.models.dcgan import DCGAN

    torch.manual_seed(0)
    return DCGAN([1, 28, 28], latent_size=LATENT, width=WIDTH).train()


def adams(model: Any, fused: bool) -> tuple[Any, Any]:
    """Make the optimizers of discriminator and generator."""
    import torch

    def adam(part):
        return torch.optim.Adam(part.parameters(), lr=RATE, betas=BETAS, fused=fused or None)

    return adam(model.discriminator), adam(model.generator)


def tutorial_step(model: Any, fused: bool = False) -> Callable[[Any], None]:
    """Make a step as PyTorch's tutorial has it, with all the numbers it reads."""
    import torch

    discriminator, generator = model.discriminator, model.generator
    of_discriminator, of_generator = adams(model, fused)
    criterion = torch.nn.BCEWithLogitsLoss()
    losses: list[tuple[float, float]] = []

    def step(real):
        discriminator.zero_grad()
        label = torch.full((len(real),), 1.0)
        output = discriminator(real).view(-1)
        loss_real = criterion(output, label)
        loss_real.backward()
        output.mean().item()
        noise = torch.randn(len(real), LATENT)
        fake = generator(noise)
        label.fill_(0.0)
        output = discriminator(fake.detach()).view(-1)
        loss_fake = criterion(output, label)
        loss_fake.backward()
        output.mean().item()
        loss_discriminator = loss_real + loss_fake
        of_discriminator.step()
        generator.zero_grad()
        label.fill_(1.0)
        output = discriminator(fake).view(-1)
        loss_generator = criterion(output, label)
        loss_generator.backward()
        output.mean().item()
        of_generator.step()
        losses.append((loss_generator.item(), loss_discriminator.item()))

    return step


def gathered_step(model: Any) -> Callable[[Any], None]:
    """Make a step with no more work than the algorithm asks for."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as entropy

    discriminator, generator = model.discriminator, model.generator
    of_discriminator, of_generator = adams(model, fused=True)
    parameters = list(generator.parameters())
    ones, zeros = torch.ones(BATCH), torch.zeros(BATCH)
    count = itertools.count(1)

    def step(real):
        fake = generator(torch.randn(BATCH, LATENT))
        of_discriminator.zero_grad()
        loss = entropy(discriminator(real), ones) + entropy(discriminator(fake.detach()), zeros)
        loss.backward()
        of_discriminator.step()
        of_generator.zero_grad()
        deceived = entropy(discriminator(fake), ones)
        deceived.backward(inputs=parameters)
        of_generator.step()
        if next(count) % LINE == 0:
            loss.item(), deceived.item()

    return step


def tutorial(data: Path, steps: int, threads: int) -> dict[str, float]:
    import torch

    images = torch.from_numpy(read_images(data))[:, None]
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images), BATCH, shuffle=True, drop_last=True)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    step = tutorial_step(networks())
    return timed(lambda: step(next(batches)[0]), steps)


def gathered(data: Path, steps: int, threads: int) -> dict[str, float]:
    import torch

    images = torch.from_numpy(read_images(data))[:, None]
    batches = (images[torch.from_numpy(index)] for index in indices(len(images)))
    step = gathered_step(networks().to(memory_format=torch.channels_last))
    return timed(lambda: step(next(batches)), steps)


def indices(size: int) -> Iterator[Any]:
    """Yield the numbers of the images of batch after batch, shuffled anew every epoch."""
    import numpy as np

    generator = np.random.default_rng(0)
    while True:
        order = generator.permutation(size)
        for start in range(0, size - BATCH + 1, BATCH):
            yield order[start : start + BATCH]


# Keras. --------------------------------------------------------------------------------------------------------------


def keras_networks(layout: str) -> tuple[Any, Any]:
    """Make the same generator and discriminator of Keras's layers."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    keras.config.set_image_data_format(layout)
    first = layout == "channels_first"
    axis, image, small = (1, (1, 28, 28), (2 * WIDTH, 7, 7)) if first else (-1, (28, 28, 1), (7, 7, 2 * WIDTH))
    normal = keras.initializers.RandomNormal(stddev=0.02)
    halve = {"kernel_size": 4, "strides": 2, "padding": "same", "kernel_initializer": normal}

    def mean():
        return layers.BatchNormalization(axis, momentum=0.9, epsilon=1e-5)

    generator = [
        keras.Input((LATENT,)), layers.Dense(2 * WIDTH * 49, use_bias=False, kernel_initializer=normal), layers.Reshape(small),
        mean(), layers.ReLU(), layers.Conv2DTranspose(WIDTH, use_bias=False, **halve),
        mean(), layers.ReLU(), layers.Conv2DTranspose(1, activation="tanh", **halve),
    ]  # fmt: skip
    discriminator = [
        keras.Input(image), layers.Conv2D(WIDTH, **halve), layers.LeakyReLU(0.2),
        layers.Conv2D(2 * WIDTH, use_bias=False, **halve), mean(), layers.LeakyReLU(0.2),
        layers.Flatten(), layers.Dense(1, kernel_initializer=normal),
    ]  # fmt: skip
    return keras.Sequential(generator), keras.Sequential(discriminator)


def keras_adams(generator: Any, discriminator: Any) -> tuple[Any, Any]:
    """Make the optimizers of discriminator and generator."""
    import keras

    found = keras.optimizers.Adam(RATE, *BETAS, epsilon=1e-8), keras.optimizers.Adam(RATE, *BETAS, epsilon=1e-8)
    for optimizer, part in zip(found, (discriminator, generator), strict=True):
        optimizer.build(part.trainable_variables)
    return found


def count(*parts: Any) -> int:
    """Count the numbers that are trained."""
    return sum(math.prod(variable.shape) for part in parts for variable in part.trainable_variables)


def jax(data: Path, steps: int, threads: int) -> dict[str, float]:
    import jax as j
    import keras

    generator, discriminator = keras_networks("channels_last")  # faster on JAX
    of_discriminator, of_generator = keras_adams(generator, discriminator)
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    def judge(weights, means, images, answer):
        logits, means = discriminator.stateless_call(weights, means, images, training=True)
        return entropy(j.numpy.full_like(logits, answer), logits), means

    def step(state, real):
        key, draw = j.random.split(state["key"])
        noise = j.random.normal(draw, (BATCH, LATENT))
        fake, back, g_means = j.vjp(
            lambda weights: generator.stateless_call(weights, state["g_means"], noise, training=True), state["g"], has_aux=True
        )

        def loss(weights):
            of_real, means = judge(weights, state["d_means"], real, 1.0)
            of_fake, means = judge(weights, means, fake, 0.0)
            return of_real + of_fake, means

        (value, d_means), slopes = j.value_and_grad(loss, has_aux=True)(state["d"])
        d, d_adam = of_discriminator.stateless_apply(state["d_adam"], slopes, state["d"])
        (deceived, d_means), slope = j.value_and_grad(lambda images: judge(d, d_means, images, 1.0), has_aux=True)(fake)
        g, g_adam = of_generator.stateless_apply(state["g_adam"], back(slope)[0], state["g"])
        names = {"key": key, "g": g, "d": d, "g_means": g_means, "d_means": d_means, "g_adam": g_adam, "d_adam": d_adam}
        return names, value + deceived

    def values(variables):
        return [j.numpy.copy(variable.value) for variable in variables]

    state = {
        "key": j.random.key(0), "g": values(generator.trainable_variables), "d": values(discriminator.trainable_variables),
        "g_means": values(generator.non_trainable_variables), "d_means": values(discriminator.non_trainable_variables),
        "g_adam": values(of_generator.variables), "d_adam": values(of_discriminator.variables),
    }  # fmt: skip
    images = read_images(data)[..., None]
    batches = (images[index] for index in indices(len(images)))
    compiled = j.jit(step, donate_argnums=0)

    def advance():
        nonlocal state
        state, value = compiled(state, next(batches))
        return value

    return timed(advance, steps) | {"parameters": count(generator, discriminator)}


def torch(data: Path, steps: int, threads: int) -> dict[str, float]:
    import keras
    import torch as t

    t.set_num_threads(threads)
    generator, discriminator = keras_networks("channels_first")  # PyTorch's own order: nothing is turned around
    of_discriminator, of_generator = keras_adams(generator, discriminator)
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    clock, found = Clock(), dict[str, float]()

    class GAN(keras.Model):
        def __init__(self):
            super().__init__()
            self.generator, self.discriminator, self.built = generator, discriminator, True
            self.trackers = [keras.metrics.Mean("discriminator_loss"), keras.metrics.Mean("generator_loss")]
            self.seeds = keras.random.SeedGenerator(0)

        @property
        def metrics(self):
            return self.trackers

        def descend(self, loss, optimizer, part):
            self.zero_grad()
            loss.backward()
            with t.no_grad():
                optimizer.apply([variable.value.grad for variable in part.trainable_weights], part.trainable_weights)

        def train_step(self, real):
            (real,) = real
            if len(real) != BATCH:
                raise ValueError(f"a batch of {len(real)}")
            fake = self.generator(keras.random.normal((len(real), LATENT), seed=self.seeds), training=True)
            of_real, of_fake = (self.discriminator(images, training=True) for images in (real, fake.detach()))
            loss = entropy(t.ones_like(of_real), of_real) + entropy(t.zeros_like(of_fake), of_fake)
            self.descend(loss, of_discriminator, self.discriminator)
            of_fake = self.discriminator(fake, training=True)
            deceived = entropy(t.ones_like(of_fake), of_fake)
            self.descend(deceived, of_generator, self.generator)
            for tracker, value in zip(self.trackers, (loss, deceived), strict=True):
                tracker.update_state(value)
            return {tracker.name: tracker.result() for tracker in self.trackers}

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch + 1 == WARM:
                clock.start()
            elif batch + 1 == WARM + steps:
                found.update(clock.stop(steps))

    images = t.from_numpy(read_images(data))[:, None]
    batches = ((images[t.from_numpy(index)],) for index in itertools.islice(indices(len(images)), WARM + steps))
    model = GAN()
    model.compile()
    model.fit(batches, steps_per_epoch=WARM + steps, epochs=1, verbose=0, callbacks=[Watch()])
    return found | {"parameters": count(generator, discriminator)}


# The run. ------------------------------------------------------------------------------------------------------------


def compare(data: Path, steps: int, threads: int) -> dict[str, float]:
    """Train dlx and both loops from one seed on the same batches; the loops' networks must come out as dlx's, bit for bit."""
    import torch

    from dlx import build

    experiment = built(data, COMPARED, threads)
    build.trainer(experiment).fit()
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


CONTESTANTS = {f.__name__: f for f in (dlx, tutorial, gathered, jax, torch)} | {"kept": tutorial}
ORDER = ["dlx", "tutorial", "kept", "gathered", "jax", "torch"]
BACKENDS = ("jax", "torch")


def child(name: str, data: Path, steps: int, threads: int) -> None:
    """Be one contestant, on as many cores as it has threads."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    if name not in BACKENDS:
        import torch

        torch.set_num_threads(threads)
    print(json.dumps({"compare": compare, **CONTESTANTS}[name](data, steps, threads)))


def run(name: str, data: Path, steps: int, threads: int) -> dict[str, float]:
    """Run one contestant in a process of its own."""
    settings = {"OMP_NUM_THREADS": str(threads)}
    if name in BACKENDS:
        settings["KERAS_BACKEND"] = name
    if name in ("kept", "gathered", *BACKENDS):
        settings["GLIBC_TUNABLES"] = KEEP
    command = [sys.executable, __file__, "--child", name, "--data", str(data), "--steps", str(steps), "--threads", str(threads)]
    made = subprocess.run(command, capture_output=True, text=True, env=os.environ | settings)
    if made.returncode:
        raise SystemExit(f"{name} failed:\n{made.stderr}")
    return json.loads(made.stdout.splitlines()[-1])


def table(found: dict[str, list[dict[str, float]]], threads: int) -> None:
    """Print the medians of a number of threads."""
    print(f"\n{threads} thread{'s' * (threads > 1)}: steps a second; of a step, CPU milliseconds and new pages of memory")
    print(f"{'':10} {'median':>8} {'least':>8} {'most':>8} {'CPU ms':>8} {'pages':>8}   dlx is faster by")
    for name, rows in found.items():
        rates = [row["rate"] for row in rows]
        ratios = [ours["rate"] / rate for ours, rate in zip(found.get("dlx", rows), rates, strict=True)]
        work, pages = (statistics.median(row[key] for row in rows) for key in ("work", "pages"))
        line = f"{name:10} {statistics.median(rates):8.2f} {min(rates):8.2f} {max(rates):8.2f} {1000 * work:8.1f} {pages:8.0f}"
        print(f"{line}   {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of idx files (default: random images)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100, help=f"timed steps, a multiple of {LINE}")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", nargs="+", choices=ORDER, default=ORDER)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.steps % LINE or given.steps < LINE:
        parser.error(f"--steps must be a multiple of {LINE}")
    if given.child:
        child(given.child, given.data, given.steps, given.threads[0])
        return
    if max(given.threads) > len(os.sched_getaffinity(0)):
        parser.error(f"--threads: this process may use {len(os.sched_getaffinity(0))} cores only")
    with tempfile.TemporaryDirectory() as folder:
        data = (given.data or Path(folder)).absolute()
        if given.data is None:
            write_random(data)
        same = run("compare", data, given.steps, 1)
        numbers = f"{same['parameters']:,} parameters and the running means"
        print(f"after {same['steps']} steps from one seed, dlx's {numbers} equal both loops', bit for bit", flush=True)
        for threads in given.threads:
            found: dict[str, list[dict[str, float]]] = {name: [] for name in given.only}
            for _ in range(given.rounds):
                for name in given.only:
                    found[name].append(run(name, data, given.steps, threads))
                    if found[name][-1].get("parameters", same["parameters"]) != same["parameters"]:
                        raise SystemExit(f"{name}: its networks are of another size")
            table(found, threads)


if __name__ == "__main__":
    main()
