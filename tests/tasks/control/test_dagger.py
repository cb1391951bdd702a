"""DAgger: whose actions lead on, whose are learned, and which experts and data are refused."""

import pytest
import torch
import torch.nn.functional as F
from tests.helpers.examples import others

from dlx.errors import ComponentError
from dlx.registry import tasks
from dlx.testing.common import build

DISCRETE = {**others.DISCRETE, **others.REPLAY, **others.ADVISED}
FAR = {"policies": lambda name: lambda batch, explore: {"action": 3 * batch["input"][:, :2]}}


def made(facts=DISCRETE, outputs=3, **choices):
    return build(tasks, "dagger", {"expert": "scripted", **choices}, {**facts, "model": others.Named(outputs)})


def test_the_expert_labels_what_is_learned_from():
    task, batch = made(), others.played(DISCRETE)
    loss = task({"input": batch["input"]})
    wanted = (batch["input"][:, 0] > 0).long()
    torch.testing.assert_close(loss.value, F.cross_entropy(task.model(batch["input"]), wanted))
    continuous = made({**others.CONTINUOUS, **others.ROLLOUTS, **FAR}, 2)
    errors = continuous.model(batch["input"]) - (3 * batch["input"][:, :2]).clamp(-1, 1)
    torch.testing.assert_close(continuous({"input": batch["input"]}).value, errors.square().mean())


def test_the_share_of_the_experts_actions_falls_with_the_updates():
    task, batch = made(beta_start=0.8, beta_end=0.2, beta_updates=4), others.played(DISCRETE)
    betas = []
    for _ in range(6):
        betas += [loss.scalars["beta"] for loss in task.losses(batch)]
    assert betas == pytest.approx([0.8, 0.65, 0.5, 0.35, 0.2, 0.2])


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_acting_mixes_the_learners_best_actions_with_the_experts(beta):
    torch.manual_seed(0)
    task = made(beta_start=beta, beta_end=beta)
    with torch.no_grad():
        task.model.body[-1].bias.copy_(torch.tensor([-100.0, -100.0, 100.0]))  # the expert never does the third
    seen = {"input": torch.randn(3000, 4)}
    share = (task.act(seen, explore=True)["action"] != 2).float().mean().item()
    assert share == pytest.approx(beta, abs=0.03)
    assert (task.act(seen, explore=False)["action"] == 2).all()


def test_it_answers_without_the_expert():
    task = made({**others.DISCRETE, **others.REPLAY})
    batch = others.played(DISCRETE)
    task.verify(batch)
    assert task.score(task.predict(batch), batch) is None


def test_what_does_not_fit_is_refused():
    with pytest.raises(ComponentError, match="what its own actions lead to: data replay or rollouts"):
        made({**others.DISCRETE, **others.ADVISED})

    def nobody(name):
        raise ComponentError("nothing there")

    with pytest.raises(ComponentError, match="nothing there") as caught:
        made({**DISCRETE, "policies": nobody})
    assert caught.value.path == ("expert",)
