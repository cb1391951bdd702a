"""Files of demonstrations: what they hold, what is refused, and that they are learned from while the environment judges."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch
from tests.helpers.environments import demonstrated as source

from dlx.core import Played
from dlx.data.control.demonstration_file import FORMAT, packed, unpacked
from dlx.errors import ComponentError


def episode(steps, seed=3, **changed):
    given = {
        "observations": np.arange(2 * (steps + 1), dtype=np.float32).reshape(-1, 2),
        "actions": np.arange(steps) % 2,
        "rewards": np.ones(steps),
        "terminated": True,
        "success": float("nan"),
        "seed": seed,
    }
    return Played(**(given | changed))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "played.safetensors"
    path.write_bytes(packed([episode(3), episode(2, seed=4, terminated=False)], {"policy": "me"}))
    return path


def test_a_file_holds_episodes_whole(file):
    words, about = unpacked(str(file))
    assert about == {"policy": "me"}
    assert words["length"].tolist() == [3, 2]
    assert words["terminated"].tolist() == [True, False]
    assert words["seed"].tolist() == [3, 4]
    assert words["observation"][:, 0].tolist() == [0, 2, 4, 0, 2]
    assert words["last_observation"].tolist() == [[6, 7], [4, 5]]
    assert words["action"].tolist() == [0, 1, 0, 0, 1]


def test_every_step_comes_once_an_epoch_with_its_action(file):
    made = source(file)
    batches = list(made.train(None))
    assert [len(batch["input"]) for batch in batches] == [2, 2, 1] == [len(b["action"]) for b in batches]
    pairs = [(*seen, action) for b in batches for seen, action in zip(b["input"].tolist(), b["action"].tolist(), strict=True)]
    assert sorted(pairs) == [(0, 1, 0), (0, 1, 0), (2, 3, 1), (2, 3, 1), (4, 5, 0)]


def test_it_is_judged_by_episodes_of_the_environment_without_the_file(file):
    made = source(file, wanted_splits=frozenset({"test"}))
    file.unlink()
    act = lambda batch, explore: {"action": torch.ones(len(batch["input"]), dtype=torch.int64)}  # noqa: E731
    first, _ = made.evaluate(act, "test")
    assert first["episode_return"].item() > 3
    assert "train" not in made.digests
    assert made.splits() == ["val", "test"]


def rewritten(file, **changed):
    with safetensors.safe_open(file, framework="pt") as content:
        words = {word: content.get_tensor(word) for word in content.keys()}  # noqa: SIM118
    words |= changed
    words = {word: value for word, value in words.items() if value is not None}
    file.write_bytes(safetensors.torch.save(words, {"format": FORMAT, "about": json.dumps({"data": "elsewhere"})}))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"reward": None}, "lacks 'reward'"),
        ({"reward": torch.ones(4)}, "'reward' has the shape (4,), but 5 entries belong there"),
        ({"length": torch.tensor([5, 0])}, "holds no episode, or one without a step"),
        ({"observation": torch.full((5, 2), torch.nan)}, "'observation' holds numbers that are not finite"),
        (
            {"observation": torch.ones(5, 3)},
            "has observations [3], but the environment shows [2]; it was recorded in elsewhere",
        ),
        ({"action": torch.tensor([0, 1, 2, 0, 0])}, "has actions that the environment does not take"),
        ({"action": torch.ones(5, 1)}, "has actions that the environment does not take"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(file, changed, told):
    rewritten(file, **changed)
    with pytest.raises(ComponentError) as error:
        source(file)
    assert error.value.message == f"{file}: {told}"
    assert error.value.path == ("file",)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 no such thing", safetensors.torch.save({"x": torch.ones(1)})])
def test_what_is_no_file_of_demonstrations_is_told(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ComponentError, match=r"cannot be read as safetensors|is no file of dlx record"):
        unpacked(str(tmp_path / "file"))
