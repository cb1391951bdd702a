"""Small tasks that act in environments, and trainers that can be stopped anywhere."""

import torch
from torch import nn

from dlx.core import Loss, Schedule, Task
from dlx.engine.device import Device
from dlx.engine.options import TrainerOptions
from dlx.engine.saver import pack, unpack
from dlx.engine.trainer import Trainer
from dlx.errors import InterruptedBySignalError


class Player(Task):
    """Acts by a linear layer with noise, and learns to expect what it reads beside its input."""

    predicts = frozenset({"action", "episode_return", "episode_length", "success"})
    default_metrics = ("episode_return",)

    def __init__(self, facts, word="return"):
        size = torch.Size(facts["input_shape"]).numel()
        super().__init__(
            nn.Sequential(nn.Flatten(), nn.Linear(size, 1 + facts.get("action_size", facts.get("num_actions", 0))))
        )
        self.word, self.discrete = word, "num_actions" in facts

    def answers(self, batch):
        answer = self.model(batch["input"].float())
        return answer[:, 0], answer[:, 1:]

    def forward(self, batch):
        value, action = self.answers(batch)
        error = value - batch[self.word]
        return Loss(error.square().mean() + 1e-3 * action.square().mean(), len(value), feedback=error.abs())

    def act(self, batch, explore):
        value, action = self.answers(batch)
        action = action + (torch.randn_like(action) if explore else 0)
        chosen = action.argmax(1) if self.discrete else action
        return {"action": chosen, "log_probability": action.sum(1), "value": value}

    def predict(self, batch):
        return self.act(batch, False) | {word: batch[word] for word in batch if word.startswith(("episode", "success"))}


class Run:
    """A trainer whose states stay in memory; `stops` says when a signal comes."""

    def __init__(self, source, steps, word="return", stops=lambda trainer: False, **options):
        torch.manual_seed(0)
        self.task = Player(source.facts, word)
        self.source, self.states, self.lines, self.stops = source, [], [], stops
        optimizer = torch.optim.Adam(self.task.parameters(), lr=0.01)
        options = TrainerOptions(**{"evaluate_every": 10**9, "log_every": 7, **options})
        self.trainer = Trainer(
            self.task, source, {"": optimizer}, {"": Schedule()}, metrics, Device(name="cpu"), 0, steps, options
        )

    def snapshot(self, trainer, *, resumable):
        return trainer.step, pack(trainer, "", {}, None, resumable=resumable)

    def save(self, trainer, states):
        self.states += states

    def stop_signal(self):
        return 15 if self.stops(self.trainer) else None

    def fit(self):
        from tests.helpers.training import Lines

        log = Lines()
        try:
            self.trainer.fit(log, self)
        except InterruptedBySignalError:
            pass
        finally:
            self.lines += log.rows
        return self

    def go_on_from(self, other):
        step, files = other.states[-1]
        unpack(self.trainer, files)
        self.lines = [line for line in other.lines if line["step"] <= step]
        return self

    def end(self):
        files = self.states[-1][1]
        lines = [{k: v for k, v in line.items() if k not in ("seconds", "train/waiting")} for line in self.lines]
        return {name: files[name] for name in files if name.endswith(".safetensors")} | {"lines": lines}


def metrics():
    from dlx.metrics.control.episodes import EpisodeReturn

    return [EpisodeReturn(lambda: iter(()))]


def assert_same_end(one, other):
    first, second = one.end(), other.end()
    assert first.keys() == second.keys()
    assert not [name for name in first if first[name] != second[name]]
