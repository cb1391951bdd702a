"""Stand-ins for environments: sources that give drawn batches of every word a task may read, each the same in every run."""

from __future__ import annotations

from tests.helpers.examples import others

from dlx.core import Source
from dlx.registry import Registry

STEPS = 20


class Drawn(Source):
    """Twenty batches, whatever the task does when it is asked to act."""

    batches_per_epoch = STEPS

    def __init__(self, facts):
        self.facts, self.position = facts, 0

    def train(self, actor):
        if self.position == STEPS:
            self.position = 0
        while self.position < STEPS:
            self.position += 1
            batch = others.played(self.facts, seed=self.position)
            if actor:
                actor({"input": batch["input"]}, True)  # so that acting draws, counts and settles as in an environment
            yield batch

    def evaluate(self, actor, split):
        return iter(())

    def example(self):
        return {"input": others.played(self.facts)["input"]}

    def expert(self):
        return others.advice

    def splits(self):
        return []

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position = state["position"]


def offering(facts):
    """Make the constructor of a stand-in that knows some facts."""

    def make(seed: int) -> Drawn:
        return Drawn(facts)

    return make


def enter(registry: Registry) -> None:
    """Register the stand-ins: what is played by the present policy, and what is remembered, with either kind of action."""
    for actions, facts in (("discrete", others.DISCRETE), ("continuous", others.CONTINUOUS)):
        for kind, own in (("rollouts", others.ROLLOUTS), ("replay", others.REPLAY)):
            registry.adopt(f"{actions}_{kind}", offering({**facts, **own}))
