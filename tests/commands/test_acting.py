"""What a trained policy answers, plays and demonstrates, by the commands."""

import json
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from tests.helpers.command_line import typed

pytest.importorskip("gymnasium", reason="needs the extra 'control'")

CONFIG = """
task: ppo
data: {name: rollouts, environment: CartPole-v1, copies: 2, steps: 16, passes: 1, batch_size: 32, episodes: 2}
model: {name: actor_critic, body: [{dense: 8}, tanh]}
epochs: 2
"""
CLONING = """
task: behaviour_cloning
data: {name: demonstrations, environment: CartPole-v1, file: played.safetensors, episodes: 2}
model: {name: sequential, layers: [{dense: {size: 8, activation: tanh}}, {dense: num_actions}]}
epochs: 2
"""


ADVISED = """
task: {name: dagger, expert: runs/cart}
data: {name: SOURCE, environment: CartPole-v1, copies: 2, batch_size: 16, episodes: 2}
model: {name: sequential, layers: [{dense: {size: 8, activation: tanh}}, {dense: num_actions}]}
steps: 4
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Train for a moment, in a folder that the tests share."""
    folder = tmp_path_factory.mktemp("acting")
    (folder / "cart.yaml").write_text(CONFIG)
    (folder / "cloning.yaml").write_text(CLONING)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        from dlx.commands.train import train

        train("cart.yaml", [], name="cart", resume=False, runs=Path("runs"), quiet=True)
    return folder


@pytest.fixture
def dlx(run, monkeypatch, capsys):
    """Run a command in this process: its exit code, standard output and standard error."""
    monkeypatch.chdir(run)

    return partial(typed, monkeypatch, capsys)


def test_an_observation_is_answered_with_an_action(dlx):
    code, out, _ = dlx("predict", "runs/cart", "0.1,0,0.02,0", "-0.1,1,0,0")
    assert code == 0
    header, *rows = out.splitlines()
    assert header == "action,probability 0,probability 1"
    assert {row.split(",")[0] for row in rows} <= {"0", "1"}
    assert len(rows) == 2
    found = json.loads(dlx("predict", "runs/cart", "--json", "0.1,0,0.02,0")[1])
    assert sum(found["probability"].values()) == pytest.approx(1)


def test_numbers_stand_beside_chance_and_the_script_of_the_environment(dlx):
    code, out, _ = dlx("eval", "runs/cart", "data.settings={max_episode_steps: 30}", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["scripted/episode_return"] == found["scripted/episode_length"] == 30  # it never lets the pole fall
    assert found["baseline/episode_return"] < 30
    assert "scripted/loss" not in found
    table = dlx("eval", "runs/cart", "data.settings={max_episode_steps: 30}")[1].splitlines()
    assert table[1].split() == ["model", "baseline", "scripted"]
    assert table[2].split()[-1] == "30.0000"


def test_episodes_are_played_the_same_each_time(dlx):
    code, out, _ = dlx("predict", "runs/cart", "--episodes", "2", "--json")
    assert code == 0
    first, second = map(json.loads, out.splitlines())
    assert first["return"] == first["length"] > 5
    assert second["episode"] == 1
    assert dlx("predict", "runs/cart", "--episodes", "2", "--json")[1] == out
    assert dlx("predict", "runs/cart", "--episodes", "2", "--seed", "1", "--json")[1] != out


def test_episodes_are_filmed(dlx):
    pytest.importorskip("pygame", reason="CartPole draws by it")
    code, out, _ = dlx("predict", "runs/cart", "--episodes", "1", "--video", "--output", "films", "--json")
    assert code == 0
    with Image.open(json.loads(out)["file"]) as image:
        assert image.n_frames > 5
        assert image.size == (300, 200)
    pytest.importorskip("av", reason="needs the extra 'video'")
    code, out, _ = dlx("predict", "runs/cart", "--episodes", "1", "--video", "--format", "mp4", "--output", "films", "--json")
    assert code == 2  # the folder holds films already
    code, out, _ = dlx("predict", "runs/cart", "--episodes", "1", "--video", "--format", "mp4", "--output", "videos", "--json")
    assert code == 0
    assert Path(json.loads(out)["file"]).name == "episode-000.mp4"
    assert Path("videos/episode-000.mp4").read_bytes()[4:8] == b"ftyp"
    code, out, _ = dlx("eval", "runs/cart")
    assert code == 0
    assert "test_best_episode.png" in out
    assert Path("runs/cart/plots/test_worst_episode.png").is_file()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--video"], "--video films what --episodes N plays"),
        (["--episodes", "1", "0,0,0,0"], "leave out inputs"),
        (["--episodes", "1", "--output", "x"], "--output is the folder of what --video films"),
        (["--episodes", "1", "--format", "mp4"], "--format is that of the films of --video"),
        (["--episodes", "1", "--video", "--format", "mp5"], "unknown format; did you mean 'mp4'?"),
        (["0,0"], "'0,0': has 2 cells, not the 4 numbers of an observation"),
        ([], "--episodes N for one that acts"),
    ],
)
def test_what_makes_no_sense_is_told(dlx, given, told):
    code, _, err = dlx("predict", "runs/cart", *given)
    assert code == 2
    assert told in err


def test_a_policy_is_cloned_from_what_it_demonstrates(dlx):
    code, out, _ = dlx("record", "runs/cart", "-o", "played.safetensors", "--episodes", "3")
    assert code == 0
    assert out.startswith("wrote played.safetensors: 3 episodes, ")
    code, _, err = dlx("record", "runs/cart", "-o", "played.safetensors")
    assert code == 2
    assert "nothing is overwritten" in err
    assert dlx("train", "cloning.yaml", "--name", "clone")[0] == 0
    assert dlx("predict", "runs/clone", "0,0,0,0")[0] == 0
    Path("played.safetensors").unlink()
    code, out, err = dlx("eval", "runs/clone")
    assert code == 0, err
    assert "episode_return" in out


@pytest.mark.parametrize("source", ["rollouts, steps: 16", "replay, warmup: 16, warmup_actions: policy"])
def test_a_policy_is_learned_from_a_trained_one_and_works_without_it(dlx, source):
    Path("advised.yaml").write_text(ADVISED.replace("SOURCE", source))
    name = source.partition(",")[0]
    code, _, err = dlx("train", "advised.yaml", "--name", name)
    assert code == 0, err
    Path("runs/cart").rename("runs/away")
    try:
        assert dlx("predict", f"runs/{name}", "0,0,0,0")[0] == 0
        assert dlx("eval", f"runs/{name}")[0] == 0
        code, _, err = dlx("train", "advised.yaml", "--name", "other")
        assert code == 2
        assert "task.expert: no file or folder" in err
    finally:
        Path("runs/away").rename("runs/cart")


def test_a_run_goes_on_only_with_the_expert_that_it_began_with(dlx):
    assert dlx("train", "cart.yaml", "--name", "teacher")[0] == 0
    Path("advised.yaml").write_text(ADVISED.replace("SOURCE", "replay").replace("runs/cart", "runs/teacher"))
    assert dlx("train", "advised.yaml", "--name", "pupil")[0] == 0
    assert dlx("train", "advised.yaml", "--name", "pupil", "--resume", "steps=5")[0] == 0
    Path("runs/teacher").rename("runs/former")
    assert dlx("train", "cart.yaml", "seed=1", "--name", "teacher")[0] == 0
    code, _, err = dlx("train", "advised.yaml", "--name", "pupil", "--resume", "steps=6")
    assert code == 2
    assert "teacher: is not the checkpoint that this run began with; bring the old one back, or begin another run" in err


def test_an_expert_of_something_else_is_refused(dlx):
    Path("advised.yaml").write_text(ADVISED.replace("SOURCE", "replay"))
    code, _, err = dlx("check", "advised.yaml", "data.environment=MountainCar-v0")
    assert code == 2
    assert "task.expert: " in err
    assert "shows or takes something else: its input_shape is [4], and that of the data [2]" in err
    Path("flowers.yaml").write_text("{task: classification, data: iris, model: mlp, epochs: 0}")
    assert dlx("train", "flowers.yaml")[0] == 0
    code, _, err = dlx("check", "advised.yaml", "task.expert=runs/flowers")
    assert code == 2
    assert "its task 'classification' does not act" in err


def test_demonstrations_may_be_minaris(dlx):
    for package in ("minari", "h5py"):
        pytest.importorskip(package, reason="needs the extra 'minari'")
    code, out, _ = dlx("record", "scripted", "CartPole-v1", "-o", "cart-v0", "--format", "minari", "--episodes", "2")
    assert code == 0
    assert out.startswith("wrote cart-v0: 2 episodes, ")
    code, out, err = dlx("check", "cloning.yaml", "data.file=cart-v0")
    assert code == 0, err
    code, _, err = dlx("record", "random", "CartPole-v1", "-o", "cart-v0", "--format", "minari")
    assert code == 2
    assert "nothing is overwritten" in err


def test_random_and_scripted_actions_are_recorded(dlx):
    for kind in ("random", "scripted"):
        code, out, _ = dlx("record", kind, "CartPole-v1", "-o", f"{kind}.safetensors", "--episodes", "2")
        assert code == 0
        assert "2 episodes" in out
    assert "return 500 " in out
    for given, told in (
        (["random", "-o", "x"], "say in which environment"),
        (["scripted", "Acrobot-v1", "-o", "x"], "no scripted policy; give a run"),
        (["random", "CartPole-v1"], "-o FILE names the file"),
        (["runs/cart", "CartPole-v1", "-o", "x"], "--set data.environment=CartPole-v1"),
        (["random", "CartPol-v1", "-o", "x"], "did you mean 'CartPole-v1'?"),
    ):
        code, _, err = dlx("record", *given)
        assert code == 2
        assert told in err
