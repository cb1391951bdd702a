"""Detection: what its loss weighs, what is not learned, its baseline, its picture, and what it refuses."""

import pytest
import torch
from tests.helpers.examples.others import IMAGE, Pixels, finder, with_boxes

from dlx import registry
from dlx.errors import ComponentError
from dlx.testing.common import build, taken


def task(model=None):
    return build(registry.tasks, "detection", {}, {**IMAGE, "model": finder() if model is None else model})


def test_a_batch_costs_what_its_parts_cost():
    made, batch = task().eval(), with_boxes()  # batch statistics would differ
    whole = made(batch)
    parts = [made(taken(batch, slice(start, end))) for start, end in ((0, 1), (1, 4), (4, 12))]
    total = sum(part.value.item() * float(part.weight) for part in parts)
    assert whole.value.item() == pytest.approx(total / sum(float(part.weight) for part in parts), rel=1e-5)


def test_losses_are_named_and_the_score_of_a_prediction_is_the_loss():
    made, batch = task().eval(), with_boxes()
    loss, score = made(batch), made.score(made.predict(batch), batch)
    assert torch.equal(loss.value, score.value)
    assert set(score.scalars) == {"loss_class", "loss_box"}
    assert float(sum(score.scalars.values())) == pytest.approx(score.value.item(), rel=1e-6)


def test_a_crowd_is_not_learned():
    made, batch = task().eval(), with_boxes()
    crowd = torch.zeros_like(batch["box_label"], dtype=torch.bool)
    crowd[:, 0] = True
    without = {**batch, "box_label": batch["box_label"].masked_fill(crowd, -1)}
    assert torch.equal(made({**batch, "crowd": crowd}).value, made(without).value)


def test_it_learns_where_squares_are():
    """A bright square of two sizes on a dark ground: after some steps the surest box is near it."""
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(0)
    facts = {**IMAGE, "num_classes": 2, "input_shape": [1, 32, 32]}
    model = build(registry.models, "center_detector", {"widths": [8, 16], "stride": 4, "levels": 2, "pyramid": 16}, facts)
    made = build(registry.tasks, "detection", {}, {**facts, "model": model})

    def scene():
        label = torch.randint(0, 2, (16,), generator=draw)
        side = 8 + 6 * label
        corner = (torch.rand(16, 2, generator=draw) * (32 - side[:, None])).floor()
        box = torch.cat((corner, corner + side[:, None]), 1)
        grid = torch.arange(32)
        x, y = ((grid >= box[:, n, None]) & (grid < box[:, n + 2, None]) for n in (0, 1))
        image = (y[:, :, None] & x[:, None]).float()[:, None] + 0.1 * torch.randn(16, 1, 32, 32, generator=draw)
        return {"input": image, "box": box[:, None], "box_label": label[:, None]}

    optimizer = torch.optim.Adam(made.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        made(scene()).value.backward()
        optimizer.step()
    metric = build(registry.metrics, "coco_ap", {}, facts)
    batch = scene()
    with torch.no_grad():
        metric.update(made.eval().predict(batch), batch)
    assert metric.compute()["ap50"] > 0.9


def test_the_baseline_finds_nothing():
    batch = with_boxes()
    found = task().baseline(batch)
    assert {word: tuple(value.shape) for word, value in found.items()} == {
        "box": (12, 0, 4), "box_score": (12, 0), "box_label": (12, 0),
    }  # fmt: skip


def test_boxes_are_drawn_beside_the_truth():
    made, batch = task().eval(), with_boxes()
    page = made.show(batch, made.predict(batch))["detection"].array()
    assert page.shape[0] > page.shape[1]  # four rows of two
    coloured = (page.max(-1) != page.min(-1)).any()
    assert coloured


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda batch: {"input": batch["input"], "target": torch.arange(12)}, "learns boxes, and the data gives none"),
        (lambda batch: {**batch, "length": torch.arange(12)}, "does not read 'length'"),
        (lambda batch: {**batch, "box_label": batch["box_label"] + 5}, "has 3 classes"),
    ],
)
def test_data_that_does_not_fit_is_told(change, message):
    with pytest.raises(ComponentError) as caught:
        task().verify(change(with_boxes()))
    assert message in str(caught.value)


def test_a_model_that_finds_no_boxes_is_told():
    with pytest.raises(ComponentError, match="wants a model that finds boxes"):
        task(Pixels())
