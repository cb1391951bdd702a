"""Contestants of gan_speed.py: Keras on JAX and on PyTorch."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

from gan_common import BATCH, BETAS, LATENT, RATE, WARM, WIDTH, Clock, indices, read_images, timed


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
