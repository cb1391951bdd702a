"""What all tasks that make images promise: the same noise gives the same image, whatever the batch."""

import numpy as np
import torch
from tests.tasks.generation.test_gan import CLASSES, batches, made

from dlx.tasks.generation.base import STEPS, as_bytes, spherical, standard_normal


def test_an_image_follows_from_seed_and_number_alone():
    task = made().eval()
    together = task.generate(torch.arange(12), seed=3)["image"]
    apart = torch.cat([task.generate(torch.tensor([i]), seed=3)["image"] for i in range(12)])
    assert together.dtype == torch.uint8
    assert together.shape == (12, 1, 4, 4)
    assert (together.int() - apart.int()).abs().max() <= 1
    assert not torch.equal(task.generate(torch.arange(12), seed=4)["image"], together)
    assert len({tuple(image.flatten().tolist()) for image in together}) > 6


def test_noise_is_standard_normal_and_leaves_the_global_state():
    before = torch.get_rng_state()
    noise = standard_normal(0, range(4000), (20,))
    assert torch.equal(torch.get_rng_state(), before)
    assert noise.mean().abs() < 0.01
    assert (noise.std() - 1).abs() < 0.01
    assert np.abs(np.corrcoef(noise[:-1].flatten(), noise[1:].flatten())[0, 1]) < 0.01


def test_a_prediction_has_the_classes_of_the_batch_and_is_made_once():
    task, batch = made(conditional=True).eval(), next(batches())
    prediction = task.predict(batch)
    assert set(prediction) == {"image", "label"}
    assert torch.equal(prediction["label"], batch["target"])
    assert prediction["image"] is prediction["image"]
    assert set(made().predict(batch)) == {"image"}


def test_nothing_is_sampled_unless_it_is_read():
    task, batch = made().eval(), next(batches())
    task.sample = None
    task.predict(batch)


def test_a_conditional_model_takes_the_classes_in_turn_or_the_one_asked_for():
    task = made(conditional=True).eval()
    assert task.generate(torch.arange(7), 0)["label"].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert task.generate(torch.arange(3), 0, label=2)["label"].tolist() == [2, 2, 2]
    assert task.columns() == CLASSES


def test_real_images_are_seen_from_minus_one_to_one():
    task = made()
    pixels = torch.rand(5, 1, 4, 4)
    assert torch.allclose(task.real({"input": (pixels - 0.4) / 0.2}), 2 * pixels - 1, atol=1e-6)
    every = torch.arange(256)
    assert torch.equal(as_bytes(every / 255 * 2 - 1), every.to(torch.uint8))


def test_an_interpolation_starts_and_ends_at_its_noise_and_keeps_its_length():
    start, end = torch.randn(3, 50), torch.randn(3, 50)
    assert torch.allclose(spherical(start, end, 0.0), start, atol=1e-5)
    assert torch.allclose(spherical(start, end, 1.0), end, atol=1e-5)
    same = end * (start.norm(dim=1) / end.norm(dim=1))[:, None]
    assert torch.allclose(spherical(start, same, 0.5).norm(dim=1), start.norm(dim=1), rtol=1e-4)


def test_pictures_show_samples_and_ways_between_them():
    task, batch = made().eval(), next(batches())
    shown = task.show(batch, {})["samples"]
    assert shown.images.shape == (64, 1, 4, 4)
    assert np.array_equal(shown.images, task.show(batch, {})["samples"].images)
    assert task.show_eval(batch, {})["interpolation"].images.shape == (8 * STEPS, 1, 4, 4)
