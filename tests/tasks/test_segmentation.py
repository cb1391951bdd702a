"""Segmentation: its losses, what counts, its baseline, its picture, and what it refuses."""

import pytest
import torch
import torch.nn.functional as F
from tests.helpers.examples.others import IMAGE, Pixels, masked

from dlx import registry
from dlx.core import Task
from dlx.errors import ComponentError
from dlx.pictures.overlays import colours, painted
from dlx.tasks.pixel_losses import dice, lovasz
from dlx.testing.common import build, taken


def task(model=None, facts=IMAGE, **choices):
    torch.manual_seed(0)
    return build(registry.tasks, "semantic_segmentation", choices, {**facts, "model": model or Pixels(auxiliary=False)})


@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0]])
def test_cross_entropy_is_torch_s_without_void(weights):
    made, batch = task(class_weights=weights), masked()
    expected = F.cross_entropy(
        made.model(batch["input"]), batch["target"], weights and torch.tensor(weights), ignore_index=-1, reduction="mean"
    )
    loss = made(batch)
    assert torch.allclose(loss.value, expected)
    counted = batch["target"][batch["target"] >= 0]
    assert float(loss.weight) == pytest.approx(float(torch.tensor(weights)[counted].sum()) if weights else len(counted))


def test_dice_is_one_less_the_mean_overlap_of_the_classes_that_are_there():
    draw = torch.Generator().manual_seed(3)
    logits, target = torch.randn(4, 500, generator=draw), torch.randint(3, (500,), generator=draw)  # none is of the fourth
    shares, truth = logits.double().softmax(0), F.one_hot(target, 4).T.double()
    overlaps = [2 * (shares[c] * truth[c]).sum() / (shares[c].sum() + truth[c].sum()) for c in range(3)]
    assert dice(logits, target).item() == pytest.approx(1 - float(sum(overlaps)) / 3, rel=1e-6)


@pytest.mark.parametrize(
    "choices",
    [{}, {"loss": "focal"}, {"loss": "none", "dice": 1.0}, {"lovasz": 0.5, "class_weights": [1.0, 2.0, 3.0]}],
    ids=str,
)
def test_a_batch_costs_what_its_parts_cost(choices):
    made, batch = task(Pixels(), **choices), masked()
    batch["target"][3] = -1
    whole = made(batch)
    parts = [made(taken(batch, slice(start, end))) for start, end in ((0, 3), (3, 4), (4, 12))]
    total = sum(part.value.item() * float(part.weight) for part in parts)
    assert whole.value.item() == pytest.approx(total / sum(float(part.weight) for part in parts), rel=1e-5)


def test_the_score_of_a_prediction_is_the_loss_with_its_names():
    made, batch = task(Pixels(), dice=0.5, lovasz=0.25), masked()
    loss, score = made(batch), made.score(made.predict(batch), batch)
    assert torch.equal(loss.value, score.value)
    assert set(score.scalars) == {"loss_pixel", "loss_dice", "loss_lovasz", "loss_auxiliary"}
    assert float(sum(score.scalars.values())) == pytest.approx(loss.value.item(), rel=1e-6)


def test_mirrored_views_answer_an_image_and_its_mirror_image_alike():
    class Leaning(Pixels):
        """It adds to the right what it does not see on the left."""

        def forward(self, input):
            return {name: out + torch.linspace(0, 3, out.shape[3]) for name, out in super().forward(input).items()}

    made, batch = task(Leaning(), views="mirror").eval(), masked()
    turned = {"input": batch["input"].flip(-1), "target": batch["target"].flip(-1)}
    one, other = made.predict(batch), made.predict(turned)
    assert torch.allclose(one["pixel_probability"], other["pixel_probability"].flip(-1), atol=1e-6)
    assert made.score(one, batch).value.item() == pytest.approx(made.score(other, turned).value.item(), rel=1e-6)
    plain = task(Leaning(), views="one").eval()
    both = [plain.outputs(batch)["out"], plain.outputs(turned)["out"].flip(-1)]
    assert torch.allclose(one["outputs"]["out"], torch.stack(both).mean(0), atol=1e-6)
    assert torch.equal(made(batch).value, plain(batch).value)  # training sees one view


def test_lovasz_of_a_wholly_right_answer_is_0_and_of_a_wholly_wrong_one_1():
    target = torch.tensor([0, 0, 1, 1, 1])
    right = F.one_hot(target, 2).T.float() * 100
    assert float(lovasz(right, target)) == pytest.approx(0, abs=1e-6)
    assert float(lovasz(right.flip(0), target)) == pytest.approx(1, abs=1e-6)


def test_lovasz_of_sure_answers_is_the_jaccard_loss():
    target, said = torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([0, 0, 1, 1, 2, 2])
    expected = 1 - (2 / 3 + 1 / 3 + 1 / 2) / 3
    assert float(lovasz(F.one_hot(said, 3).T.float() * 100, target)) == pytest.approx(expected, abs=1e-6)


def test_focal_loss_is_the_paper_s():
    made, batch = task(loss="focal"), masked()
    share = made.model(batch["input"]).softmax(1).gather(1, batch["target"].clamp_min(0)[:, None])[:, 0]
    value = -((1 - share) ** 2) * share.log()
    assert torch.allclose(made(batch).value, value[batch["target"] >= 0].mean())


def test_an_image_that_counts_for_nothing_is_no_fault():
    made, batch = task(dice=1.0, lovasz=1.0), masked()
    batch["target"][:] = -1
    loss = made(batch)
    assert loss.value.item() == 0
    loss.value.backward()
    assert all(p.grad.isfinite().all() for p in made.parameters() if p.grad is not None)


def test_the_baseline_is_the_most_frequent_class():
    batch = masked()
    batch["target"] = torch.tensor([[[0, 0, 1]], [[-1, -1, 2]]])
    assert (task(facts={**IMAGE, "class_counts": [3, 9, 1]}).baseline(batch)["label"] == 1).all()
    assert task().baseline(batch)["label"][:, 0, 0].tolist() == [0, 2]


def test_images_stand_beside_their_truth_and_their_answer():
    made, batch = task(), masked()
    picture = made.show(batch, made.predict(batch))["segmentation"].array()
    assert picture.shape[0] > picture.shape[1]  # four rows of three
    truth = painted(torch.zeros(1, 1, 3, 3).numpy(), torch.tensor([[[-1, 0, 2]]]).numpy())
    wheel = colours(3)
    assert [tuple(p) for p in truth[0, 0]] == [
        tuple((0.6 * c).round()) for c in (torch.tensor([40.0] * 3).numpy(), wheel[0], wheel[2])
    ]


@pytest.mark.parametrize(
    ("batch", "model", "message"),
    [
        ({"target": torch.zeros(12)}, None, "wants images with masks"),
        ({"target": torch.zeros(12, 4, 4, dtype=torch.int64)}, None, "an output of shape (3, 8, 8) for masks of 4x4"),
        ({"box": torch.zeros(12, 1, 4)}, None, "does not read 'box'"),
        ({}, torch.nn.Conv2d(1, 5, 1), "gives 5 values a pixel, but the data has 3 classes"),
    ],
)
def test_misfits_are_told(batch, model, message):
    with pytest.raises(ComponentError) as caught:
        task(model).verify({**masked(), **batch})
    assert message in str(caught.value)


def test_settings_that_make_no_sense_are_told():
    with pytest.raises(ComponentError, match="leaves nothing to learn by"):
        task(loss="none")
    with pytest.raises(ComponentError, match="does not count its classes"):
        task(class_weights="balanced")


def test_a_classifier_refuses_masks():
    made: Task = build(registry.tasks, "classification", {}, {**IMAGE, "model": Pixels(auxiliary=False)})
    with pytest.raises(ComponentError, match="one class of a whole sample"):
        made.verify(masked())
