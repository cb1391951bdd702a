"""Dataclasses of settings that lie flat in the YAML, and of facts."""

from dataclasses import dataclass, field

import pytest
from pydantic import PositiveInt

from dlx import registry
from dlx.errors import ComponentError, UsageError
from dlx.registry.signatures import REQUIRED, check, misdeclared, signature
from dlx.registry.types import FactGroup, OptionGroup


@dataclass(frozen=True)
class Batching(OptionGroup):
    batch_size: PositiveInt = 32
    names: list[str] = field(default_factory=list)
    seed_of_order: int = field(kw_only=True)


@dataclass(frozen=True)
class Sizes(FactGroup):
    input_shape: list[int]
    num_classes: int = 0


class Reader:
    def __init__(self, seed: int, sizes: Sizes, *, file: str, batching: Batching) -> None:
        self.seed, self.sizes, self.file, self.batching = seed, sizes, file, batching


@pytest.fixture
def readers():
    kind = registry.Registry("reader", "dlx.schedules")
    kind.loaded = True
    kind("reader")(Reader)
    return kind


def test_the_settings_of_a_group_lie_flat(readers):
    wanted = readers.signatures["reader"]
    assert list(wanted.facts) == ["seed", "input_shape", "num_classes"]
    assert list(wanted.choices) == ["file", "batch_size", "names", "seed_of_order"]
    assert wanted.choices["seed_of_order"].default is REQUIRED
    assert not any(misdeclared(choice) for choice in wanted.choices.values())


def test_the_constructor_gets_them_as_one(readers):
    choices, faults = check(readers.signatures["reader"], {"file": "x", "batch_size": 4, "seed_of_order": 1})
    assert not faults
    made = readers.build("reader", choices, {"seed": 7, "input_shape": [3], "more": 1})
    assert (made.seed, made.file, made.batching) == (7, "x", Batching(4, [], seed_of_order=1))
    assert made.sizes == Sizes([3], 0)


def test_a_fault_is_told_at_its_flat_key(readers):
    _, faults = check(readers.signatures["reader"], {"file": "x", "batch_size": 0, "bath_size": 3}, ("data",))
    told = {fault.path: fault.message for fault in faults}
    assert told[("data", "batch_size")] == "wants a number greater than 0, not 0"
    assert "did you mean 'batch_size'" in told[("data", "bath_size")]
    assert told[("data", "seed_of_order")].startswith("is missing")


def test_a_fact_that_is_missing_is_still_told(readers):
    choices = {"file": "x", "batch_size": 1, "names": [], "seed_of_order": 2}
    for facts, missing in (({"input_shape": [1]}, "seed"), ({"seed": 1}, "input_shape")):
        with pytest.raises(ComponentError, match=f"needs the fact '{missing}'"):
            readers.build("reader", choices, facts)


class Bare(OptionGroup):
    rate: float = 0.5


@dataclass(frozen=True)
class Small(Batching):
    batch_size: PositiveInt = 4


def grouped_as_fact(batching: Batching) -> None: ...
def facts_as_settings(*, sizes: Sizes) -> None: ...
def without_decorator(*, bare: Bare) -> None: ...
def twice(*, names: list[str], batching: Batching) -> None: ...
def fact_and_setting(names: list[str], *, batching: Batching) -> None: ...


@pytest.mark.parametrize(
    ("constructor", "told"),
    [
        (grouped_as_fact, "Batching stands on the wrong side of the star"),
        (facts_as_settings, "Sizes stands on the wrong side of the star"),
        (without_decorator, "Bare is no dataclass; write @dataclass"),
        (twice, "Batching has 'names', which the constructor takes already"),
        (fact_and_setting, "Batching has 'names', which the constructor takes already"),
    ],
)
def test_a_group_that_cannot_stand_there_is_refused_with_its_place(constructor, told):
    with pytest.raises(UsageError, match=rf"test_option_groups\.py:\d+: {constructor.__name__}: the group {told}"):
        signature(constructor)


def test_a_group_may_give_another_default():
    def small(*, batching: Small) -> Small:
        return batching

    wanted = signature(small)
    assert wanted.choices["batch_size"].default == 4
    assert small(**wanted.arguments({"seed_of_order": 1})) == Small(4, [], seed_of_order=1)
