"""What a source, a task and a processor may ask of the loop and be asked by it, each tried by a stub."""

import json
import signal

import pytest
import torch
from tests.helpers.training import Lines
from torch import nn

from dlx.core import Loss, Schedule, Source, Table, Task, shortened, to_device
from dlx.engine.actor import Actor
from dlx.engine.device import Device
from dlx.engine.evaluator import evaluate
from dlx.engine.options import TrainerOptions
from dlx.engine.saver import pack, unpack
from dlx.engine.trainer import Trainer
from dlx.errors import InterruptedBySignalError


class Wishing(Task):
    """Acts by a linear layer, whose sign is the action, and learns towards zero."""

    predicts = frozenset({"value"})

    def forward(self, batch):
        return Loss(self.model(batch["observation"]).square().mean(), len(batch["observation"]))

    def predict(self, batch):
        return {"value": self.model(batch["observation"])}

    def score(self, prediction, batch):
        value = prediction["value"]
        return Loss(value.square().mean(), len(value), scalars={"loss_size": value.abs().mean()})

    def act(self, batch, explore):
        noise = torch.randn(len(batch["observation"])) if explore else 0
        return {"action": self.model(batch["observation"]).squeeze(-1) + noise, "log_probability": torch.zeros(1)}

    def show(self, batch, prediction):
        return {"examples": Table(["seen", "answered"], [["a", f"{prediction['value'][0].item():.1f}"]])}


class Room(Source):
    """An environment without end: a memory is filled with what the actor did before the first batch."""

    keeps_tensors = True
    facts = {}

    def __init__(self, warm=3):
        self.warm, self.seen, self.closed = warm, 0, False
        self.memory = torch.zeros(0, 4)

    def prepare(self, actor):
        while self.seen < self.warm:
            self.live(actor)
            yield

    def live(self, actor):
        observation = torch.full((1, 3), float(self.seen))
        done = actor({"observation": observation}, explore=True)
        self.memory = torch.cat([self.memory, torch.cat([observation, done["action"][None].detach()], 1)])
        self.seen += 1

    def train(self, actor):
        while True:
            self.live(actor)
            yield {"observation": self.memory[-2:, :3]}

    def evaluate(self, actor, split):
        raise AssertionError("an environment is never evaluated to see whether the task fits")

    def example(self):
        return {"observation": torch.zeros(2, 3)}

    def splits(self):
        return []

    def numbers(self):
        return {"frames": self.seen}

    def state_dict(self):
        return {"seen": self.seen, "memory": self.memory}

    def load_state_dict(self, state):
        self.seen, self.memory = state["seen"], state["memory"]


class Keeper:
    def __init__(self, stop=lambda: None):
        self.states, self.stop_signal = [], stop

    def snapshot(self, trainer, *, resumable):
        return pack(trainer, "", {}, None, resumable=resumable)

    def save(self, trainer, states):
        self.states += states


def trainer(source, steps=6):
    torch.manual_seed(0)
    task = Wishing(nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.5)))
    optimizer = torch.optim.SGD(task.parameters(), lr=0.1)
    device = Device(name="cpu")
    return Trainer(task, source, {"": optimizer}, {"": Schedule()}, list, device, 0, steps, TrainerOptions(evaluate_every=2))


def test_a_source_prepares_before_its_first_batch_and_its_numbers_are_in_the_log():
    lines, keeper = Lines(), Keeper()
    trainer(Room()).fit(lines, keeper)
    assert [row["frames"] for row in lines.rows] == [5, 7, 9]
    assert all("train/loss" in row for row in lines.rows)


class Telling(Wishing):
    """Says of each sample how wrong it was, in two losses of a step."""

    def losses(self, batch):
        for _ in range(2):
            error = self.model(batch["observation"]).squeeze(-1)
            yield Loss(error.square().mean(), len(error), feedback=error.abs())


class Listening(Room):
    """A room that remembers what it heard."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def train(self, actor):
        for batch in super().train(actor):
            yield batch | {"index": torch.arange(self.seen - 2, self.seen)}

    def hear(self, index, feedback):
        self.heard.append((index.tolist(), feedback.tolist()))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_source_hears_after_the_step_what_the_task_says_of_its_samples(accumulate):
    source = Listening()
    task = Telling(nn.Linear(3, 1))
    optimizer = torch.optim.SGD(task.parameters(), lr=0.1)
    options = TrainerOptions(accumulate=accumulate)
    one = Trainer(task, source, {"": optimizer}, {"": Schedule()}, list, Device(name="cpu"), 0, 2, options)
    seen, expected = [], []
    for group in one.groups():
        expected.append([task.model(batch["observation"]).squeeze(-1).abs().tolist() for batch in group])
        one.descend(group)
        seen.append(len(source.heard))
    assert seen == [2 * accumulate, 4 * accumulate]
    assert [index for index, _ in source.heard[:accumulate]] == [[n + 2, n + 3] for n in range(accumulate)]
    assert [told for _, told in source.heard[:accumulate]] == [pytest.approx(values) for values in expected[0]]


def test_signals_are_seen_between_the_pieces_of_a_preparation():
    source = Room(warm=100)
    keeper = Keeper(lambda: signal.SIGTERM if source.seen == 7 else None)
    with pytest.raises(InterruptedBySignalError):
        trainer(source).fit(Lines(), keeper)
    assert source.seen == 7
    assert json.loads(keeper.states[-1]["state.json"])["source"] == {"seen": 0}  # all of it comes again


def test_tensors_of_a_source_lie_beside_its_state_and_resuming_with_them_is_exact():
    whole, keeper = trainer(Room()), Keeper()
    whole.fit(Lines(), keeper)
    cut, at = trainer(Room()), Keeper()
    at.stop_signal = lambda: signal.SIGINT if cut.step == 3 else None
    with pytest.raises(InterruptedBySignalError):
        cut.fit(Lines(), at)
    files = at.states[-1]
    assert "source.safetensors" in files
    on, kept = trainer(Room()), Keeper()
    unpack(on, files)
    on.fit(Lines(), kept)
    for name in ("model.safetensors", "source.safetensors", "optimizer.safetensors"):
        assert kept.states[-1][name] == keeper.states[-1][name], name


def test_a_state_for_evaluating_alone_leaves_them_out_and_says_so():
    one = trainer(Room())
    files = pack(one, "", {}, None, resumable=False)
    assert "source.safetensors" not in files
    assert json.loads(files["state.json"])["resumable"] is False
    assert json.loads(pack(one, "", {}, None)["state.json"])["resumable"] is True


def test_an_actor_acts_in_evaluation_mode_without_gradients_and_leaves_every_flag_as_it_was():
    task = Wishing(nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.5), nn.BatchNorm1d(1)))
    task.train()
    task.model[2].eval()
    seen = []
    task.model[1].register_forward_hook(lambda module, given, output: seen.append(module.training))
    answer = Actor(task, Device(name="cpu"))({"observation": torch.ones(1, 3)}, explore=False)
    assert seen == [False]
    assert not answer["action"].requires_grad
    assert [module.training for module in task.modules()] == [True, True, True, True, False]


def test_further_numbers_of_a_score_are_means_by_weight_beside_the_loss():
    task = Wishing(nn.Linear(3, 1))
    batches = [{"observation": torch.randn(size, 3)} for size in (4, 4, 1)]
    found = evaluate(task, batches, list, Device(name="cpu"), 0, show=task.show)
    values = torch.cat([task.model(batch["observation"]) for batch in batches])
    assert found.scalars["loss"] == pytest.approx(values.square().mean().item(), rel=1e-5)
    assert found.scalars["loss_size"] == pytest.approx(values.abs().mean().item(), rel=1e-5)
    assert found.higher_is_better["loss_size"] is False
    assert found.shown["examples"].text().splitlines()[0] == "seen  answered"


def test_batches_may_hold_lists_and_mappings():
    batch = {"image": [torch.ones(2), torch.ones(3)], "answer": {"box": torch.ones(1)}, "reference": ["a", "b"]}
    moved = to_device(batch, torch.device("meta"))
    assert [value.device.type for value in moved["image"]] == ["meta", "meta"]
    assert moved["answer"]["box"].device.type == "meta"
    assert moved["reference"] == ["a", "b"]
    assert shortened(batch, 1)["reference"] == ["a"]
    assert len(shortened(batch, 1)["image"]) == 1
