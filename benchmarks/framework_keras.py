"""Contestants of framework_speed.py: Keras, by its own fit, on JAX, TensorFlow or PyTorch."""

from __future__ import annotations

import math

from contest import Clock
from framework_common import Race, data, is_image
from framework_networks import in_keras


def fit(race: Race, steps_per_execution: int) -> dict[str, float]:
    """Train by Model.fit; the first epoch compiles."""
    import keras

    _set_threads(keras.backend.backend(), race.threads)
    model, clock, found = in_keras(race.network), Clock(), dict[str, float]()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(), loss, steps_per_execution=steps_per_execution)

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # what fit logs has been read by now: nothing is still being computed
            if epoch == 0:
                clock.start()
            elif epoch == race.epochs:
                found.update(clock.stop(race.epochs * race.steps))

    inputs, target = data(race)
    if is_image(race):
        inputs = inputs.transpose(0, 2, 3, 1).copy()
    model.fit(inputs, target, batch_size=race.batch, epochs=1 + race.epochs, verbose=0, callbacks=[Watch()])
    return found | {"parameters": sum(math.prod(variable.shape) for variable in model.trainable_variables)}


def _set_threads(backend: str, threads: int) -> None:
    """JAX has as many threads as the process has cores; the others are told."""
    if backend == "torch":
        import torch

        torch.set_num_threads(threads)
    elif backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
