"""YAML and messages from strangers: every limit at every door, and no message without end."""

import pytest
import yaml

from dlx.assembly import planner
from dlx.config import spec, yaml_reader
from dlx.config.values import SpecError
from dlx.config.yaml_reader import MAX_BYTES, MAX_NODES, YamlError
from dlx.errors import MAX_TOLD

BASE = "task: classification\ndata: iris\nmodel: mlp\nepochs: 1\n"


@pytest.mark.parametrize("text", ["- a\n" * 240_000, f"[{'1,' * 480_000}]", "-\n" * 480_000, f"{{{'a: 1, ' * 150_000}}}"])
def test_a_text_of_too_many_values_is_not_read_to_its_end(text, monkeypatch):
    events = []
    original = yaml.SafeLoader.get_event
    monkeypatch.setattr(yaml.SafeLoader, "get_event", lambda self: events.append(0) or original(self))
    with pytest.raises(YamlError, match=f"more than {MAX_NODES:,} values$"):
        yaml_reader.parse(text, "here:")
    assert len(events) <= 2 * MAX_NODES + 10


def test_a_text_within_the_limit_is_read():
    assert len(yaml_reader.parse(f"[{'1,' * (MAX_NODES - 1)}]", "here:")[0]) == MAX_NODES - 1


def test_the_size_is_bounded_at_every_door(tmp_path):
    text = BASE + "#" * MAX_BYTES
    (tmp_path / "x.yaml").write_text(text)
    (tmp_path / "y.yaml").write_text("extends: x.yaml\n")
    for read in (
        lambda: spec.load(tmp_path / "x.yaml"),
        lambda: spec.load(tmp_path / "y.yaml"),
        lambda: spec.parse(text, "runs/x/checkpoints/step-1/config.yaml"),
        lambda: spec.parse(BASE, "x.yaml", [f"name={'a' * (MAX_BYTES + 1)}"]),
    ):
        with pytest.raises(SpecError, match="more than 1,000,000 bytes, the most a config may have"):
            read()


def keys(count: int, value: str = "1", indent: str = "  ") -> str:
    return "".join(f"{indent}k{i}: {value}\n" for i in range(count))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BASE + keys(3000, indent=""), "and 2,950 more of this kind"),
        (BASE.replace("mlp", "\n  name: mlp\n" + keys(900)), "model: and 850 more of this kind"),
        (BASE.replace("mlp", "\n" + keys(900)), "model: and 850 more of this kind"),
        (BASE.replace("mlp", "\n  name: mlp\n" + keys(3000)), "model: has 3,001 entries, more than the 1000"),
        (BASE + "metrics:\n" + "- acuracy\n" * 3000, "metrics: has 3,000 entries"),
        (BASE + "optimizer:\n  name: adam\n  groups:\n" + keys(3000, indent="    "), "optimizer.groups: and 2,950 more"),
        (
            BASE.replace("mlp", "\n  name: sequential\n  layers:\n" + "   - rellu\n" * 3000),
            "model.layers: and more of this kind",
        ),
        (BASE + "trainer:\n" + keys(900), "trainer: and 850 more of this kind"),
        (BASE + "name: x\n" * 3000, "and 2,949 more faults"),
        (BASE + "metrics:\n" + "- !a 1\n" * 900, "and 850 more faults"),
    ],
)
def test_a_message_has_an_end(text, message, tmp_path):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(SpecError) as told:
        planner.plan(spec.load(tmp_path / "x.yaml"))
    assert message in str(told.value)
    assert len(str(told.value).splitlines()) <= MAX_TOLD + 5


def test_extending_with_many_keys_keeps_the_places_of_both(tmp_path):
    (tmp_path / "base.yaml").write_text(BASE + "optimizer:\n  name: adam\n" + keys(500))
    (tmp_path / "x.yaml").write_text("extends: base.yaml\noptimizer:\n" + keys(500, "2").replace("k1:", "j1:"))
    found = spec.load(tmp_path / "x.yaml")
    assert found.values["optimizer"]["k1"] == 1
    assert found.values["optimizer"]["k2"] == 2
    assert found.place(("optimizer", "k1")).endswith("base.yaml:8:3")
    assert found.place(("optimizer", "k2")).endswith("x.yaml:5:3")
