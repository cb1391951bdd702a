"""Any model as the body of those that act: its features are read, its weights are its own, and what does not fit is refused."""

import pytest
import torch

from dlx.errors import ComponentError
from dlx.models.control.bodies import OfLayersOrModel
from dlx.registry import models
from dlx.testing.common import build

VECTORS = {"input_shape": [4], "num_actions": 3, "seed": 0}
IMAGES = {"input_shape": [2, 8, 8], "in_channels": 2, "num_actions": 3, "seed": 0}
CHECK = OfLayersOrModel().check


def made(name, facts, body, **choices):
    torch.manual_seed(0)
    return build(models, name, {"body": body, **choices}, facts)


def test_features_of_a_model_are_read_after_their_activation():
    model = made("q_network", VECTORS, {"name": "mlp", "hidden": [8], "features": 6})
    given = torch.randn(5, 4)
    expected = model.advantage(model.body.body_mlp(given).relu())
    torch.testing.assert_close(model(given), expected)
    plain = made("q_network", VECTORS, {"name": "mlp", "features_activation": None})
    torch.testing.assert_close(plain(given), plain.advantage(plain.body.body_mlp(given)))
    assert plain.advantage.output.in_features == 64


def test_its_weights_are_its_own_and_those_of_layers_orthogonal():
    model = made("actor_critic", VECTORS, {"name": "mlp", "hidden": [16]}, actor=[{"dense": 8}])
    torch.manual_seed(0)
    alone = build(models, "mlp", {"hidden": [16]}, {"num_features": 4, "num_outputs": 64})
    torch.testing.assert_close(model.actor.body_mlp.layers[0].weight, alone.layers[0].weight)
    weight = model.actor.actor_0_dense.weight
    torch.testing.assert_close(weight @ weight.T, 2 * torch.eye(8), atol=1e-5, rtol=0)


def test_each_network_has_one_and_pixels_are_read():
    body = {"name": "simple_cnn", "channels": [4], "features": 5, "dropout": 0.0}
    model = made("actor_and_twin_critics", {**IMAGES, "action_size": 2}, body)
    names = {name.rpartition(".body_simple_cnn")[0] for name, _ in model.named_modules() if name.endswith("body_simple_cnn")}
    assert names == {"actor", "critic.first.body", "critic.second.body"}
    pixels = torch.randint(0, 256, (3, 2, 8, 8), dtype=torch.uint8)
    assert model.critic(model.see(pixels), torch.zeros(3, 2)).shape == (2, 3)


@pytest.mark.parametrize(
    ("facts", "body", "told", "path"),
    [
        (VECTORS, "simple_cnn", "wants", ("body",)),
        (IMAGES, {"name": "mlp"}, "needs the fact 'num_features'; the environment offers", ("body",)),
        (VECTORS, {"name": "actor_critic"}, "cannot read observations|gives", ("body",)),
        (VECTORS, "q_network", r"gives \(3,\) of observations \(4,\), and features \(64,\) are wanted", ("body",)),
        (VECTORS, {"name": "sequential", "layers": [{"conv2d": 3}]}, "wants", ("body", "layers", 0, "conv2d")),
    ],
)
def test_what_does_not_fit_is_refused(facts, body, told, path):
    with pytest.raises(ComponentError, match=told) as caught:
        made("q_network", facts, body)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("written", "told", "path"),
    [
        ("mpl", "did you mean 'mlp'?", ("body",)),
        ({"name": "mlp", "hiden": [3]}, "did you mean 'hidden'?", ("body", "hiden")),
        ({"name": "mlp", "features": 0}, "greater than 0", ("body", "features")),
        ({"hidden": [3]}, "wants a list of layers, or a model by its name", ("body",)),
        ([{"dens": 3}], "did you mean 'dense'?", ("body", 0, "dens")),
    ],
)
def test_faults_of_writing_are_told_at_their_place(written, told, path):
    _, (fault,) = CHECK(written, ("body",))
    assert told in fault.message
    assert fault.path == path


def test_a_checked_one_has_every_setting_and_stays():
    checked, faults = CHECK("mlp", ())
    assert not faults
    assert checked["features"] == 64
    assert CHECK(checked, ()) == (checked, [])
