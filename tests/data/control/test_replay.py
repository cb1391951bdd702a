"""A memory: what is drawn from it, by which chance, under which goal, and that it goes on exactly."""

import numpy as np
import pytest
import torch
from tests.helpers.players import Run, assert_same_end

from dlx import registry
from dlx.data.control.memory import Memory
from dlx.data.control.priorities import Priorities, PriorityOptions, SumTree
from dlx.errors import ComponentError
from dlx.registry.signatures import check


def replay(environment="dlx/Line-v0", **given):
    choices = {"environment": environment, "capacity": 50, "warmup": 12, "batch_size": 6, "episodes": 2, **given}
    assert "replay" in registry.sources
    checked, faults = check(registry.sources.signatures["replay"], choices)
    assert not faults
    return registry.sources.build("replay", checked, {"seed": 0})


def lived(rows, count, steps, draw):
    """Fill a memory with steps whose every number is known, and give the story of each copy."""
    memory, story = Memory(rows * count, count), [[] for _ in range(count)]
    for step in range(steps):
        ended = draw.random(count) < 0.3
        words = {
            "input": np.array([[step, copy] for copy in range(count)], np.float32),
            "action": np.full(count, step),
            "reward": draw.normal(size=count).astype(np.float32),
            "terminated": ended & (draw.random(count) < 0.5),
            "ended": ended,
            "next_input": np.array([[step + 1, copy] for copy in range(count)], np.float32),
        }
        slots = memory.add(words)
        assert memory.steps(slots).tolist() == [step] * count
        for copy in range(count):
            story[copy].append({word: value[copy] for word, value in words.items()})
    return memory, story


@pytest.mark.parametrize("steps", [1, 5, 7, 8, 30])
@pytest.mark.parametrize("most", [1, 2, 4])
def test_rewards_of_n_steps_end_where_the_episode_ends_or_nothing_more_is_known(steps, most):
    memory, story = lived(7, 3, steps, np.random.default_rng(steps))
    slots = np.arange(len(memory))
    found = memory.transitions(slots, most, 0.9)
    assert len(memory) == min(steps, 7) * 3
    for place, slot in enumerate(slots):
        start, copy = int(memory.steps(slot)), slot % 3
        total, step, factor = 0.0, start, 1.0
        while True:
            total += factor * story[copy][step]["reward"]
            factor *= 0.9
            if story[copy][step]["ended"] or step + 1 == steps or step + 1 == start + most:
                break
            step += 1
        assert found["input"][place].tolist() == [start, copy]
        assert found["reward"][place] == pytest.approx(total, rel=1e-5, abs=1e-6)
        assert found["discount"][place] == pytest.approx(0 if story[copy][step]["terminated"] else factor)
        assert found["next_input"][place].tolist() == [step + 1, copy]


def test_the_end_of_an_episode_is_known_in_all_of_its_frames_that_are_left():
    memory, story = lived(7, 2, 40, np.random.default_rng(1))
    for slot in range(len(memory)):
        start, copy = int(memory.steps(np.array(slot))), slot % 2
        last = next((step for step in range(start, 40) if story[copy][step]["ended"]), -1)
        assert memory.flat["last"][slot] == last


@pytest.mark.parametrize("size", [1, 2, 5, 8, 13])
def test_a_sum_tree_finds_what_the_running_sum_does(size):
    draw = np.random.default_rng(size)
    tree, values = SumTree(size), np.zeros(size)
    for _ in range(30):
        index = draw.integers(size, size=4)
        given = draw.random(4)
        for place, value in zip(index, given, strict=True):
            values[place] = value
        tree.put(index, given)
        assert tree.total == pytest.approx(values.sum())
        reached = draw.random(20) * tree.total * 0.999999
        assert tree.find(reached).tolist() == np.searchsorted(values.cumsum(), reached, side="right").tolist()
        again = SumTree(size)
        again.put(np.arange(size), tree.get(np.arange(size)))
        assert again.sums.tolist() == tree.sums.tolist()
    assert tree.find(np.array([tree.total])).max() < size


def test_frames_are_drawn_by_their_errors_and_weigh_the_less():
    options = PriorityOptions(priority_exponent=0.5, importance_exponent=1.0)
    one = Priorities(4, options)
    one.add(np.arange(4))
    one.hear(np.array([0, 1, 2]), np.array([4.0, -1.0, 0.25], np.float32))
    expected = np.array([2, 1, 0.5, 1]) / 4.5  # the last one is new: as the worst known when it came
    drawn = one.draw(9000, np.random.default_rng(0).random(9000))
    assert np.bincount(drawn, minlength=4) / 9000 == pytest.approx(expected, abs=0.002)
    assert one.weights(np.arange(4), 4, 0) == pytest.approx(0.5 / 4.5 / expected, rel=1e-5)
    one.add(np.array([2]))
    assert one.tree.get(np.array([2]))[0] == pytest.approx(2.0, rel=1e-5)


def test_weights_make_up_the_more_the_longer_training_goes_on():
    options = PriorityOptions(0.5, importance_exponent=0.4, importance_exponent_end=0.9, importance_updates=10)
    assert [options.importance(batches) for batches in (0, 5, 10, 99)] == pytest.approx([0.4, 0.65, 0.9, 0.9])
    assert PriorityOptions(0.5).importance(10**6) == 0.4
    batch = next(replay(priority_exponent=0.6, importance_updates=10).train(None))
    assert batch["weight"].max() == 1


@pytest.mark.parametrize("steps", [3, 9, 10, 40])
@pytest.mark.parametrize("stack", [1, 3])
def test_images_that_are_kept_once_come_back_as_the_stacks_that_they_were(steps, stack):
    draw, count, rows = np.random.default_rng(steps), 2, 7
    once, whole = Memory(rows * count, count, stack), Memory(rows * count, count)
    image = lambda: draw.integers(256, size=(2, 3, 3), dtype=np.uint8)  # noqa: E731
    seen = [[image()] * stack for _ in range(count)]
    for _ in range(steps):
        following = [[*one[1:], image()] for one in seen]
        ended = draw.random(count) < 0.25
        words = {"input": np.stack([np.concatenate(one) for one in seen]), "ended": ended}
        words |= {"next_input": np.stack([np.concatenate(one) for one in following]), "terminated": ended}
        words |= {"action": draw.integers(3, size=count), "reward": draw.normal(size=count).astype(np.float32)}
        for memory in (once, whole):
            memory.add(words)
        seen = [[image()] * stack if end else one for end, one in zip(ended, following, strict=True)]
    again = Memory(rows * count, count, stack)
    again.load_state_dict(once.state_dict(whole=True))
    slots = draw.integers(len(whole), size=200)
    for most in (1, 3):
        expected = whole.transitions(slots, most, 0.9)
        for memory in (once, again):
            found = memory.transitions(slots, most, 0.9)
            assert all(np.array_equal(found[word], value) for word, value in expected.items())
    assert not {"input", "next_input"} & once.words.keys()
    assert once.frames.images.nbytes == (rows + stack - 1) * count * 18


def test_warmup_is_random_and_then_every_batch_stands_for_its_frames():
    asked = []

    def actor(batch, explore):
        asked.append(explore)
        return {"action": torch.ones(len(batch["input"]), dtype=torch.int64)}

    source = replay(copies=2, frames_per_batch=3.0, batch_size=40)
    batches, frames = source.train(actor), []
    for _ in range(5):
        batch = next(batches)
        frames.append(source.numbers()["frames"])
    assert frames == [12, 16, 18, 22, 24]
    assert asked == [True] * 6
    assert source.facts["replay_capacity"] == 50
    assert {word: value.dtype for word, value in batch.items()} == {
        **dict.fromkeys(("input", "next_input", "reward", "discount"), torch.float32), "action": torch.int64,
        "index": torch.int64,
    }  # fmt: skip
    twice = replay(frames_per_batch=0.5)
    batches = twice.train(actor)
    assert [(next(batches), twice.frames)[1] for _ in range(6)] == [12, 13, 13, 14, 14, 15]


def test_what_follows_a_cut_episode_is_its_real_last_observation():
    source = replay(batch_size=200, warmup=40, settings={"max_episode_steps": 2})
    batch = next(source.train(None))
    assert set(batch["next_input"][:, 1].tolist()) == {1, 2}
    assert (batch["discount"] == torch.tensor(0.99)).all()
    assert (batch["reward"] == batch["next_input"][:, 0]).all()


def test_hindsight_gives_goals_that_were_reached_later_in_the_same_episode():
    source = replay("dlx/Reach-v0", batch_size=400, warmup=40, hindsight=4, copies=2)
    batch = next(source.train(None))
    memory, slots = source.memory, batch["index"].numpy()
    own = memory.flat["input"][slots][:, -1]
    changed = batch["input"][:, -1].numpy() != own
    assert changed.mean() == pytest.approx(0.8, abs=0.07)
    reached = memory.flat["achieved"][slots][:, 0]
    goal = batch["input"][:, -1].numpy()
    assert (batch["next_input"][:, -1].numpy() == goal).all()
    assert batch["reward"].tolist() == (-(np.abs(reached - goal) > 0.3).astype(float)).tolist()
    assert (batch["input"][:, :-1].numpy() == memory.flat["input"][slots][:, :-1]).all()
    steps, last = memory.steps(slots), memory.flat["last"][slots]
    for place in np.flatnonzero(changed):
        end = last[place] if last[place] >= 0 else memory.written - 1
        later = memory.slots(np.arange(steps[place], end + 1), slots[place] % 2)
        assert goal[place] in memory.flat["achieved"][later][:, 0]


@pytest.mark.parametrize(
    ("given", "place", "told"),
    [
        ({"hindsight": 4}, "hindsight", "needs an environment with goals"),
        ({"hindsight": 4, "n_step": 2, "environment": "dlx/Reach-v0"}, "hindsight", "n_step: 1"),
        ({"capacity": 2, "n_step": 3}, "capacity", "less than 3 steps"),
    ],
)
def test_what_does_not_go_together_is_refused(given, place, told):
    with pytest.raises(ComponentError, match=told) as error:
        replay(**given)
    assert error.value.path == (place,)


@pytest.mark.parametrize(
    ("environment", "more"),
    [
        ("dlx/Line-v0", {"n_step": 3, "priority_exponent": 0.6}),
        ("dlx/Reach-v0", {"hindsight": 2, "copies": 2, "priority_exponent": 0.6}),
        ("dlx/Screen-v0", {"grey": True, "frame_stack": 3, "capacity": 24, "copies": 2, "n_step": 2}),
        ("Pendulum-v1", {"frames_per_batch": 0.5}),
    ],
)
@pytest.mark.parametrize("cut", [0, 4, 12, 30, 70])
def test_a_memory_saved_in_full_goes_on_exactly_wherever_it_is_cut(environment, more, cut):
    def run(**given):
        return Run(replay(environment, **more), 80, "reward", evaluate_every=33, **given)

    whole = run().fit()
    stopped = run(stops=lambda trainer: trainer.source.frames >= cut + 10 * (cut > 12)).fit()
    stopped = stopped if stopped.trainer.step < 80 else run(stops=lambda trainer: trainer.step >= cut).fit()
    assert_same_end(whole, run().go_on_from(stopped).fit())


def test_a_memory_that_is_filled_again_is_no_part_of_checkpoints():
    def run(**given):
        return Run(replay(saved="refill", priority_exponent=0.6), 20, "reward", **given)

    stopped = run(stops=lambda trainer: trainer.step >= 9).fit()
    on = run().go_on_from(stopped)
    assert len(on.source.memory) == 0
    on.fit()
    assert on.trainer.step == 20
    assert on.source.frames == 12 + 12 + 19
    assert len(on.source.memory) == 12 + 11
