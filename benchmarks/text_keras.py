"""Contestants of text_speed.py: the same Transformer of Keras's layers, on JAX and on PyTorch."""

from __future__ import annotations

import math
from typing import Any

import text_common as common
from text_common import Words, timed


def network() -> Any:
    """Make the model: norms before the blocks, sinusoids, embeddings tied to the output."""
    import keras
    import numpy as np
    from keras import layers, ops

    keras.utils.set_random_seed(0)

    def sinusoids() -> Any:
        angle = np.arange(common.LONGEST)[:, None] / 10000 ** (np.arange(0, common.SIZE, 2) / common.SIZE)
        return np.stack((np.sin(angle), np.cos(angle)), -1).reshape(common.LONGEST, common.SIZE).astype("float32")

    def heads() -> Any:
        return layers.MultiHeadAttention(common.HEADS, common.SIZE // common.HEADS, dropout=common.DROPOUT)

    class Block(layers.Layer):
        def __init__(self, decodes):
            super().__init__()
            self.norms = [layers.LayerNormalization(epsilon=1e-5) for _ in range(3 if decodes else 2)]
            self.attention, self.to_memory = heads(), heads() if decodes else None
            self.dense = [layers.Dense(common.WIDE, "relu"), layers.Dense(common.SIZE)]
            self.drop = layers.Dropout(common.DROPOUT)

        def call(self, steps, seen, memory=None, training=False):
            own = {"training": training}
            inner = self.norms[0](steps)
            mask = {"use_causal_mask": True} if self.to_memory else {"attention_mask": seen}
            steps = steps + self.drop(self.attention(inner, inner, **mask, **own), **own)
            if self.to_memory:
                inner = self.norms[1](steps)
                steps = steps + self.drop(self.to_memory(inner, memory, attention_mask=seen, **own), **own)
            wide = self.drop(self.dense[0](self.norms[-1](steps)), **own)
            return steps + self.drop(self.dense[1](wide), **own)

    class Translator(keras.Model):
        def __init__(self):
            super().__init__()
            normal = keras.initializers.RandomNormal(stddev=common.SIZE**-0.5)
            self.embedding = layers.Embedding(common.VOCABULARY, common.SIZE, embeddings_initializer=normal)
            self.places, self.drop = ops.convert_to_tensor(sinusoids()), layers.Dropout(common.DROPOUT)
            self.encoder = [Block(False) for _ in range(common.ENCODERS)]
            self.decoder = [Block(True) for _ in range(common.DECODERS)]
            self.ends = [layers.LayerNormalization(epsilon=1e-5) for _ in range(2)]
            self.bias = self.add_weight(shape=(common.VOCABULARY,), initializer="zeros")

        def embed(self, codes, training):
            steps = self.embedding(codes) * common.SIZE**0.5 + self.places[: codes.shape[1]]
            return self.drop(steps, training=training)

        def call(self, words, training=False):
            source, previous = words
            seen = ops.expand_dims(ops.not_equal(source, common.PADDING), 1)
            memory, steps = self.embed(source, training), self.embed(previous, training)
            for block in self.encoder:
                memory = block(memory, seen, training=training)
            memory = self.ends[0](memory)
            for block in self.decoder:
                steps = block(steps, seen, memory, training=training)
            return ops.matmul(self.ends[1](steps), ops.transpose(self.embedding.embeddings)) + self.bias

    return Translator()


def loss_of(logits: Any, wanted: Any) -> Any:
    """Compute the smoothed loss, without writing down a one-hot answer or the log-probabilities."""
    from keras import ops

    inside = ops.cast(ops.not_equal(wanted, common.NOTHING), "float32")
    right = ops.take_along_axis(logits, ops.maximum(wanted, 0)[..., None], axis=-1)[..., 0]
    smooth = (1 - common.SMOOTHING) * right + common.SMOOTHING * ops.mean(logits, axis=-1)
    return ops.sum((ops.logsumexp(logits, axis=-1) - smooth) * inside) / ops.sum(inside)


def words_of(batch: Words) -> tuple[Any, Any, Any]:
    """Return source, pieces before each and pieces wanted."""
    target = batch["target"].astype("int32")
    return batch["input"].astype("int32"), target[:, :-1].clip(0), target[:, 1:]


def built(batches: list[Words]) -> tuple[Any, Any]:
    """Make the model and its optimizer."""
    import keras

    source, previous, _ = words_of(batches[0])
    model, optimizer = network(), keras.optimizers.Adam(common.RATE, *common.BETAS, epsilon=1e-8)
    model((source, previous))
    optimizer.build(model.trainable_variables)
    return model, optimizer


def count(model: Any) -> dict[str, int]:
    """Count the numbers that are trained."""
    return {"parameters": sum(math.prod(variable.shape) for variable in model.trainable_variables)}


def jax(batches: list[Words], epochs: int, threads: int) -> dict[str, float]:
    import jax as j

    model, optimizer = built(batches)

    def loss(weights, others, source, previous, wanted):
        logits, others = model.stateless_call(weights, others, (source, previous), training=True)
        return loss_of(logits, wanted), others

    def step(weights, others, moments, words):
        (value, others), slopes = j.value_and_grad(loss, has_aux=True)(weights, others, *words)
        weights, moments = optimizer.stateless_apply(moments, slopes, weights)
        return weights, others, moments, value

    compiled = j.jit(step, donate_argnums=(0, 1, 2))
    state = [
        [j.numpy.copy(variable.value) for variable in part]
        for part in (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    ]

    def advance(words):
        *state[:], value = compiled(*state, words)
        return value

    return timed(lambda batch: advance(words_of(batch)), batches, epochs) | count(model)


def torch(batches: list[Words], epochs: int, threads: int) -> dict[str, float]:
    import torch as t

    t.set_num_threads(threads)
    model, optimizer = built(batches)

    def step(batch):
        source, previous, wanted = map(t.from_numpy, words_of(batch))
        model.zero_grad()
        loss = loss_of(model((source, previous), training=True), wanted.long())
        loss.backward()
        with t.no_grad():
            optimizer.apply([variable.value.grad for variable in model.trainable_weights], model.trainable_weights)
        return loss.detach()

    return timed(step, batches, epochs) | count(model)
