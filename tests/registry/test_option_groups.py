"""A dataclass of settings that lie flat in the YAML."""

from dataclasses import dataclass, field

import pytest
from pydantic import PositiveInt

from dlx import registry
from dlx.errors import Misfit
from dlx.registry.signatures import REQUIRED, check, misdeclared
from dlx.registry.types import OptionGroup


@dataclass(frozen=True)
class Batching(OptionGroup):
    batch_size: PositiveInt = 32
    names: list[str] = field(default_factory=list)
    seed_of_order: int = field(kw_only=True)


class Reader:
    def __init__(self, seed: int, *, file: str, batching: Batching) -> None:
        self.seed, self.file, self.batching = seed, file, batching


@pytest.fixture
def readers():
    kind = registry.Registry("reader", "dlx.schedules")
    kind.loaded = True
    kind("reader")(Reader)
    return kind


def test_the_settings_of_a_group_lie_flat(readers):
    wanted = readers.signatures["reader"]
    assert list(wanted.choices) == ["file", "batch_size", "names", "seed_of_order"]
    assert wanted.choices["seed_of_order"].default is REQUIRED
    assert not any(misdeclared(choice) for choice in wanted.choices.values())


def test_the_constructor_gets_them_as_one(readers):
    choices, faults = check(readers.signatures["reader"], {"file": "x", "batch_size": 4, "seed_of_order": 1})
    assert not faults
    made = readers.build("reader", choices, {"seed": 7})
    assert (made.seed, made.file, made.batching) == (7, "x", Batching(4, [], seed_of_order=1))


def test_a_fault_is_told_at_its_flat_key(readers):
    _, faults = check(readers.signatures["reader"], {"file": "x", "batch_size": 0, "bath_size": 3}, ("data",))
    told = {fault.path: fault.message for fault in faults}
    assert told[("data", "batch_size")] == "wants a number greater than 0, not 0"
    assert "did you mean 'batch_size'" in told[("data", "bath_size")]
    assert told[("data", "seed_of_order")].startswith("is missing")


def test_a_fact_that_is_missing_is_still_told(readers):
    with pytest.raises(Misfit, match="needs the fact 'seed'"):
        readers.build("reader", {"file": "x", "batch_size": 1, "names": [], "seed_of_order": 2}, {})
