"""Episodes in Minari's format: its own reader has them as the environment gave them, and they come back as a policy sees them."""

import json
import sys

import numpy as np
import pytest
import torch
from tests.helpers.environments import Reach
from tests.helpers.environments import demonstrated as source

from dlx.assembly import planner
from dlx.data.control.minari_folder import read
from dlx.errors import ComponentError, DlxError, UsageError

minari = pytest.importorskip("minari", reason="needs the extra 'minari'")
pytest.importorskip("h5py", reason="needs the extra 'minari'")


def recorded(folder, name="Line", **given):
    made = planner.source_of({"name": "rollouts", "environment": f"dlx/{name}-v0", **given})
    return made, made.record(made.play(None, 3, 0), folder, "minari", {"policy": "by chance"})


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("Line", {}),
        ("Line", {"frame_stack": 3, "settings": {"wide": True}}),
        ("Reach", {}),
        ("Screen", {"grey": True, "resize": 8}),
    ],
)
def test_they_come_back_as_a_policy_sees_and_does_them(tmp_path, name, given):
    _, played = recorded(tmp_path / "some", name, **given)
    words = read(str(tmp_path / "some"), source(tmp_path / "some", name, **given).blueprint)
    assert np.array_equal(words["observation"].numpy(), np.concatenate([one.observations[:-1] for one in played]))
    torch.testing.assert_close(words["action"], torch.from_numpy(np.concatenate([one.actions for one in played])))


def test_minari_reads_them(tmp_path):
    _, played = recorded(tmp_path / "some reach", "Reach")
    found = minari.MinariDataset(tmp_path / "some reach" / "data")
    assert found.spec.dataset_id == "some-reach-v0"
    assert found.total_episodes == 3
    assert found.total_steps == sum(len(one.rewards) for one in played)
    for episode, one in zip(found.iterate_episodes(), played, strict=True):
        assert set(episode.observations) == {"observation", "achieved_goal", "desired_goal"}
        np.testing.assert_allclose(episode.observations["observation"][:, 0], one.observations[:, 0], rtol=1e-6)
        assert episode.rewards.tolist() == one.rewards.tolist()
        assert episode.truncations.tolist() == [False] * (len(one.rewards) - 1) + [True]
        assert not episode.terminations.any()
    assert isinstance(found.recover_environment().unwrapped, Reach)


def test_an_episode_that_does_not_come_out_again_is_not_written(tmp_path):
    with pytest.raises(DlxError, match="does not repeat itself"):
        recorded(tmp_path / "some", "Forgetful")
    assert not list(tmp_path.iterdir())


def test_another_environment_is_refused(tmp_path):
    recorded(tmp_path / "some", "Line")
    with pytest.raises(ComponentError, match="was recorded in another environment: its action_space is Discrete"):
        source(tmp_path / "some", "Line", settings={"wide": True})


def test_an_environment_that_a_folder_describes_is_never_made(tmp_path):
    recorded(tmp_path / "some", "Line")
    file = tmp_path / "some" / "data" / "metadata.json"
    about = json.loads(file.read_text())
    del about["action_space"]
    file.write_text(json.dumps(about))
    with pytest.raises(ComponentError, match="does not say its action_space"):
        source(tmp_path / "some", "Line")
    file.write_text("[")
    with pytest.raises(ComponentError, match="cannot be read as a data set of Minari"):
        source(tmp_path / "some", "Line")


def test_without_the_extra_it_is_told_before_anything_is_played(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)

    def nobody():
        raise AssertionError("played")
        yield

    made = planner.source_of({"name": "rollouts", "environment": "dlx/Line-v0"})
    with pytest.raises(UsageError, match=r"pip install 'dlx\[minari\]'"):
        made.record(nobody(), tmp_path / "x", "minari", {})
    with pytest.raises(UsageError, match="--format hdf5: unknown format"):
        made.record(nobody(), tmp_path / "x", "hdf5", {})
    (tmp_path / "folder").mkdir()
    with pytest.raises(ComponentError, match=r"pip install 'dlx\[minari\]'"):
        source(tmp_path / "folder")
