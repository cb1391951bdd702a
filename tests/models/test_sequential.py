import torch

from dlx.registry import models
from dlx.registry.signatures import check


def build(layers, **facts):
    choices, faults = check(models.signatures["sequential"], {"layers": layers})
    assert faults == []
    return models.build("sequential", choices, facts)


def test_it_runs_and_says_what_shaped_its_output():
    models.names()
    model = build(
        [{"dense": {"size": 8, "activation": "relu"}}, {"dense": "num_classes"}, "softmax"], input_shape=[4], num_classes=3
    )
    assert model(input=torch.rand(2, 4)).shape == (2, 3)
    assert model.output_path == ("layers", 1, "dense")
    assert model.output_activation == "softmax"
    assert build(["relu"], input_shape=[4]).output_path == ("layers", 0, "relu")
    assert build(["flatten"], input_shape=[4]).output_activation == ""
    assert len(model.layout) == 3
