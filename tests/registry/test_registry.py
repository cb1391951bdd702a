import inspect
import itertools
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, Field, PositiveInt
from typing_extensions import TypedDict

from dlx import registry
from dlx.errors import FOREIGN, ComponentError, Fault, nearest, unknown
from dlx.registry import REGISTRIES, Registry
from dlx.registry.signatures import REQUIRED, check, check_value, describe, signature
from dlx.registry.types import DataPath

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"
COMPONENTS = [(kind, name) for kind, known in REGISTRIES.items() for name in known.names()]
# What a constructor is given beside the facts of the data.
GIVEN = {"model", "params", "run", "quiet", "total_steps", "steps_per_epoch", "facts", "input_shape"}


class Point(TypedDict):
    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")  # type: ignore[misc]

    x: float
    label: str


def build(
    num_features: int,
    num_classes: int = 2,
    *,
    size: PositiveInt,
    rate: Annotated[float, Field(ge=0, lt=1)] = 0.5,
    kind: Literal["plain", "fancy"] = "plain",
    flags: list[bool] = (),  # type: ignore[assignment]
    points: dict[str, Point] | None = None,
) -> Any:
    """Build something."""
    return num_features, num_classes, size, rate, kind, flags, points


@pytest.fixture
def things() -> Registry:
    made = Registry("thing", "dlx.loggers")
    made.loaded = True
    made("built")(build)
    return made


# Signatures.


def test_facts_stand_before_the_star_and_choices_after_it():
    found = signature(build)
    assert list(found.facts) == ["num_features", "num_classes"]
    assert list(found.choices) == ["size", "rate", "kind", "flags", "points"]


def test_a_foreign_constructor_names_its_facts_and_hides_what_is_not_to_be_chosen():
    def foreign(params, lr=0.1, fused=None, *args, **more): ...

    found = signature(foreign, facts=("params",), hidden=("fused",))
    assert (list(found.facts), list(found.choices)) == (["params"], ["lr"])


def test_checked_choices_have_all_their_defaults():
    assert check(signature(build), {"size": 3, "rate": 0}) == (
        {"size": 3, "rate": 0.0, "kind": "plain", "flags": [], "points": None},
        [],
    )


def test_every_fault_of_a_mapping_is_found_in_one_pass():
    given = {"siz": 3, "rate": "0.1", "kind": "fanzy", "flags": [True, 1, "no"], "points": {"a": {"why": 1, "x": True}}}
    _, faults = check(signature(build), given, ("model",))
    assert faults == [
        Fault(("model", "siz"), "unknown key; did you mean 'size'?"),
        Fault(("model", "size"), "is missing: wants whole number greater than 0"),
        Fault(("model", "rate"), "wants a number, not '0.1'"),
        Fault(("model", "kind"), "wants 'plain' or 'fancy', not 'fanzy'; did you mean 'fancy'?"),
        Fault(("model", "flags", 1), "wants true or false, not 1"),
        Fault(("model", "flags", 2), "wants true or false, not 'no'"),
        Fault(("model", "points", "a", "x"), "wants a number, not true"),
        Fault(("model", "points", "a", "label"), "is missing"),
        Fault(("model", "points", "a", "why"), "unknown key; there is x, label"),
    ]


@pytest.mark.parametrize(
    ("annotation", "value", "path", "message"),
    [
        (int, "3", (), "wants a whole number, not '3'"),
        (int, True, (), "wants a whole number, not true"),
        (int, 3.0, (), "wants a whole number, not 3.0"),
        (int, None, (), "wants a whole number, not null"),
        (float, "1e-3", (), "wants a number, not '1e-3'"),
        (float, False, (), "wants a number, not false"),
        (float, float("nan"), (), "wants a finite number, not nan"),
        (float, float("-inf"), (), "wants a finite number, not -inf"),
        (str, 3, (), "wants text, not 3"),
        (bool, 1, (), "wants true or false, not 1"),
        (bool, "true", (), "wants true or false, not 'true'"),
        (PositiveInt, 0, (), "wants a number greater than 0, not 0"),
        (Annotated[float, Field(ge=0, lt=1)], 1, (), "wants a number less than 1, not 1"),
        (PositiveInt | None, "x", (), "wants a whole number, not 'x'"),
        (list[int], 3, (), "wants a list, not 3"),
        (list[int], {"a": None}, (), "wants a list, not {a: null}"),
        (list[list[int]], [[1], [2, "x"]], (1, 1), "wants a whole number, not 'x'"),
        (dict[str, int], [1], (), "wants a mapping, not [1]"),
        (dict[str, int], {"a": 1, "b": "x"}, ("b",), "wants a whole number, not 'x'"),
        (tuple[float, float], [0.9], (1,), "is missing"),
        (tuple[float, float], [0.9, "x"], (1,), "wants a number, not 'x'"),
        (tuple[float, float], [1, 2, 3], (), "wants at most 2 items, not [1, 2, 3]"),
        (Literal["relu", "selu"], "eelu", (), "wants 'relu' or 'selu', not 'eelu'; did you mean 'relu' or 'selu'?"),
        (Literal["a"] | list[int], "b", (), "wants 'a' or a list, not 'b'; did you mean 'a'?"),
        (Literal["a"] | list[int], ["b"], (0,), "wants a whole number, not 'b'"),
        (list[Point], [{"x": 1, "labl": "a"}], (0, "labl"), "unknown key; did you mean 'label'?"),
        (list[Point] | None, [{"x": 1, "label": "a", "labl": "a"}], (0, "labl"), "unknown key; did you mean 'label'?"),
        (DataPath, "/none/x", (), "no file or folder /none/x"),
        (DataPath, "$DLX_NONE/x", (), "$DLX_NONE/x: the environment variable is not set"),
        (DataPath, 3, (), "wants file or folder, not 3"),
        (str, "x", (), None),
        (float, 3, (), None),
        (tuple[float, float], [1, 2], (), None),
        (DataPath, "/tmp", (), None),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_told_at_its_place(annotation, value, path, message):
    _, faults = check_value(annotation, value, ("k",))
    wanted = [] if message is None else [(("k", *path), message)]
    assert [(f.path, f.message) for f in faults if f.message != "is missing" or len(faults) == 1] == wanted


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "whole number"),
        (PositiveInt | None, "whole number greater than 0 or null"),
        (Annotated[float, Field(ge=0, lt=1)], "number of at least 0 and less than 1"),
        (list[str], "list of text"),
        (dict[str, int], "mapping"),
        (Literal["a", "b"], "a, b"),
        (DataPath, "file or folder"),
    ],
)
def test_types_are_described_in_words(annotation, words):
    assert describe(annotation) == words


def test_a_default_is_written_as_its_type():
    def foreign(*, weight_decay: float = 0, sizes: list[int] = (1, 2), odd: int = "x"): ...

    assert repr(check(signature(foreign), {})[0]) == "{'weight_decay': 0.0, 'sizes': [1, 2], 'odd': 'x'}"


# Registries.


def test_a_component_is_built_from_facts_and_choices(things):
    facts = {"num_features": 4, "vocab_size": 7}
    assert things.build("built", {"size": 3, "rate": 0.1, "kind": "plain", "flags": [], "points": None}, facts)[:3] == (4, 2, 3)


def test_a_missing_fact_is_told_with_those_there_are(things):
    with pytest.raises(ComponentError) as caught:
        things.build("built", {"size": 3}, {"seed": 0, "vocab_size": 7, "model": None}, "data 'iris'")
    assert caught.value.message == "thing 'built' needs the fact 'num_features'; data 'iris' offers vocab_size"


def test_duplicates_are_refused(things):
    with pytest.raises(ValueError, match="thing 'built' is already registered"):
        things("built")(build)


def test_an_unknown_name_is_told_with_the_nearest(things):
    with pytest.raises(ComponentError, match="'bilt': unknown thing; did you mean 'built'\\?"):
        things.get("bilt")


def test_what_is_entered_in_a_scratch_is_forgotten_and_nothing_else():
    before = registry.metrics.names()
    with registry.metrics.scratch() as metrics:
        metrics.adopt("passing", build)
        assert "passing" in registry.metrics
    assert registry.metrics.names() == before
    assert "passing" not in registry.metrics.signatures
    assert "sliced_wasserstein" in before


# Nearest words.

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"


@st.composite
def edits(draw, word: str) -> str:
    """Insert, delete, replace or swap neighbours, once."""
    kind = draw(st.sampled_from(["insert", "delete", "replace", "swap"]))
    at = draw(st.integers(0, len(word) - (kind != "insert")))
    letter = draw(st.sampled_from(LETTERS))
    if kind == "insert":
        return word[:at] + letter + word[at:]
    if kind == "delete":
        return word[:at] + word[at + 1 :]
    if kind == "replace":
        return word[:at] + letter + word[at + 1 :]
    return word[:at] + word[at : at + 2][::-1] + word[at + 2 :]


@given(
    st.data(), st.lists(st.text(LETTERS, min_size=1, max_size=12) | st.sampled_from([*FOREIGN, *FOREIGN.values()]), min_size=1)
)
def test_a_word_with_one_edit_is_always_among_the_nearest(data, words):
    word = data.draw(st.sampled_from(words))
    edited = data.draw(edits(word))
    if edited not in words:
        assert word in nearest(edited, words)


@pytest.mark.parametrize(
    ("word", "choices", "found"),
    [
        ("lx", ["lr", "eps"], ["lr"]),
        ("l", ["lr", "ls", "eps"], ["lr", "ls"]),
        ("learning_rate", ["lr", "rate"], ["lr"]),
        ("Dropout", ["dropout"], ["dropout"]),
        ("hidden_sizes", ["hidden", "size"], ["hidden"]),
        ("num_classes", ["num_features", "num_outputs"], []),
        ("zzz", ["lr", "eps"], []),
    ],
)
def test_nearest(word, choices, found):
    assert nearest(word, choices) == found


def test_unknown_lists_all_where_none_is_near():
    assert unknown("key", "zzz", ["lr", "eps"]) == "unknown key; there is lr, eps"
    assert unknown("key", "zzz", []) == "unknown key; none is taken here"


# Contracts: every registered component, with no new test for a new one.


def glossary_facts() -> set[str]:
    rows = GLOSSARY.read_text().partition("## Facts")[2].splitlines()
    return {word for row in rows if row.startswith("|") for word in re.findall(r"`(\w+)`", row.split("|")[1])}


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_component_says_in_a_sentence_what_it_is(kind, name):
    summary = REGISTRIES[kind].summary(name)
    assert len(summary) > 9
    assert summary[0].isupper() or summary[0].isdigit()
    assert summary.endswith((".", ":")), summary


# Data sets make processors, not the config: these take no facts.
@pytest.mark.parametrize(("kind", "name"), [c for c in COMPONENTS if c[0] != "processor"])
def test_every_fact_stands_in_the_glossary(kind, name):
    assert set(REGISTRIES[kind].signatures[name].facts) <= glossary_facts() | GIVEN


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_choice_has_a_type_and_a_default_of_that_type(kind, name):
    for choice in REGISTRIES[kind].signatures[name].choices.values():
        assert choice.annotation is not Any, choice
        assert describe(choice.annotation)
        if choice.default is not REQUIRED:
            default = list(choice.default) if isinstance(choice.default, tuple) else choice.default
            assert check_value(choice.annotation, default, ())[1] == []


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_name_is_a_word_in_small_letters(kind, name):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)


def test_components_of_one_file_need_no_other_file():
    for known, name in itertools.chain.from_iterable(((r, n) for n in r.names()) for r in REGISTRIES.values()):
        module = inspect.getmodule(known.entries[name])
        assert module is not None
        assert module.__name__.startswith((known.package, "torch.optim")), (known.kind, name, module)
