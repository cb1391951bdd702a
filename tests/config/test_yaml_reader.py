import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlx.config import yaml_reader
from dlx.config.yaml_reader import MAX_BYTES, MAX_DEPTH, MAX_NODES, YamlError


def read(tmp_path: Path, text: str | bytes):
    file = tmp_path / "x.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return yaml_reader.read(file)


def refusal(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises(YamlError) as caught:
        read(tmp_path, text)
    return str(caught.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E3", 1000.0), ("1.", 1.0), (".5", 0.5), ("-0.0", -0.0), ("+12", 12), ("-7", -7),
        ("0o17", 15), ("0x1F", 31), ("0755", 755), ("12e03", 12000.0), (".inf", math.inf), ("-.INF", -math.inf),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("Null", None),
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("y", "y"), ("n", "n"), ("tRUE", "tRUE"),
        ("1_000", "1_000"), ("0b11", "0b11"), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("-0x1F", "-0x1F"),
        ("0o8", "0o8"), ("e3", "e3"), ("1e", "1e"), (".", "."), ("-", [None]), ("=", "="), ("'1'", "1"), ('"no"', "no"),
        ("!!str 1", "1"), ("!!float 1", 1.0), ("nan", "nan"), ("inf", "inf"), ("1 2", "1 2"), ("🙂", "🙂"),
    ],
)  # fmt: skip
def test_scalars_are_read_by_the_core_rules_of_yaml_1_2(text, value):
    found, _ = yaml_reader.parse(text, "here:")
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_read():
    assert math.isnan(yaml_reader.parse(".NaN", "here:")[0])


def test_every_value_knows_its_place(tmp_path):
    values, places = read(tmp_path, "a: 1\nb:\n  - x\n  - {c: 2}\n")
    assert values == {"a": 1, "b": ["x", {"c": 2}]}
    here = {path: place.removeprefix(f"{tmp_path}/") for path, place in places.items()}
    assert here == {
        (): "x.yaml:1:1", ("a",): "x.yaml:1:1", ("b",): "x.yaml:2:1", ("b", 0): "x.yaml:3:5",
        ("b", 1): "x.yaml:4:5", ("b", 1, "c"): "x.yaml:4:6",
    }  # fmt: skip


def test_all_faults_of_values_are_told_in_one_pass(tmp_path):
    text = "a: 1\na: 2\nb:\n  c: !!python/object/apply:os.system [echo]\n  ? [1]\n  : 2\n  c: 3\n<<: 4\n!mine d: 5\n"
    assert refusal(tmp_path, text).splitlines() == [
        "x.yaml:2:1 a: stands twice, first at x.yaml:1:1",
        "x.yaml:4:6 b.c: the tag !!python/object/apply:os.system is not taken: plain values only",
        "x.yaml:5:5 b: a key is one word",
        "x.yaml:7:3 b.c: stands twice, first at x.yaml:4:3",
        "x.yaml:8:1 <<: YAML 1.2 has no merge key; write the keys out, or let the file extend another",
        "x.yaml:9:1 d: the tag !mine is not taken: plain values only",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "x.yaml:1:6 while parsing a flow sequence, expected ',' or ']', but got '<stream end>'"),
        ("a: b: c", "x.yaml:1:5 mapping values are not allowed here"),
        ("\ta: 1", "x.yaml:1:1 while scanning for the next token, found character '\\t' that cannot start any token"),
        ("a: 1\n---\na: 2\n", "x.yaml:2:1 expected a single document in the stream, but found another document"),
        ("a: *b", "x.yaml:1:4 found undefined alias 'b'"),
        ("a: &b [*b]", "x.yaml:1:4 nested deeper than 40 (does an alias hold itself?)"),
        ("a: b\nc: \x07", "x.yaml:2:4 the character '\\x07' is not allowed"),
        (b"a: \xff", "x.yaml: not UTF-8 at byte 3"),
        ("a: 1".encode("utf-16"), "x.yaml: not UTF-8 at byte 0"),
        ("a: " + "9" * 10_000, f"x.yaml:1:4 a: '{'9' * 40}' is no whole number of at most 64 bits"),
        ("a: 0x" + "f" * 10_000, f"x.yaml:1:4 a: '0x{'f' * 38}' is no whole number of at most 64 bits"),
        ("a: !!int x", "x.yaml:1:4 a: 'x' is no whole number of at most 64 bits"),
        ("a: !!bool yes", "x.yaml:1:4 a: 'yes' is no true or false"),
        ("a: !!null x", "x.yaml:1:4 a: 'x' is no null"),
        ("a: !!set {b}", "x.yaml:1:4 a: the tag !!set is not taken: plain values only"),
        ("'': 1", "x.yaml:1:1 a key is one word"),
    ],
)  # fmt: skip
def test_what_is_no_plain_yaml_is_refused_at_its_place(tmp_path, text, message):
    assert refusal(tmp_path, text) == message


def test_depth_is_bounded(tmp_path):
    assert read(tmp_path, "[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for depth in (MAX_DEPTH + 2, 100_000):
        assert "nested deeper than 40" in refusal(tmp_path, "[" * depth + "]" * depth)


def test_aliases_are_bounded(tmp_path):
    levels = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 10))
    assert f"more than {MAX_NODES:,} values" in refusal(tmp_path, f"l0: &l0 x\n{levels}\n")


def test_an_alias_stands_for_its_value(tmp_path):
    values, places = read(tmp_path, "a: &x {b: 1}\nc: *x\n")
    assert values == {"a": {"b": 1}, "c": {"b": 1}}
    assert values["a"] is not values["c"]
    assert places["c", "b"].endswith(":1:8")


def test_size_is_bounded(tmp_path):
    assert refusal(tmp_path, "#" * (MAX_BYTES + 1)) == "x.yaml: more than 1,000,000 bytes, the most a config may have"
    with pytest.raises(YamlError, match="/dev/zero: more than"):
        yaml_reader.read(Path("/dev/zero"))


def test_a_byte_order_mark_and_windows_line_ends_are_taken(tmp_path):
    assert read(tmp_path, "\ufeffa: 1\r\nb: 2\r\n".encode())[0] == {"a": 1, "b": 2}


def test_an_empty_file_is_null(tmp_path):
    assert read(tmp_path, "")[0] is None
    assert read(tmp_path, "# nothing\n---\n")[0] is None


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    for file, reason in {tmp_path / "none": "No such file or directory", tmp_path: "Is a directory"}.items():
        with pytest.raises(YamlError, match=f"^{file}: {reason}$"):
            yaml_reader.read(file)
    with pytest.raises(YamlError, match="File name too long"):
        yaml_reader.read(tmp_path / ("x" * 300))


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t:#'\"-"), max_size=12) | st.sampled_from(
    [
        "no",
        "1e-3",
        "0x1f",
        "",
        "~",
        "null",
        "1_0",
        "0o7",
        "<<",
        "=",
        " a ",
        "a: b",
        "# a",
        "- a",
        "'",
        ".inf",
        "1.",
        "true",
        "!!str x",
    ]
)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | texts
keys = texts.filter(lambda key: key and "\n" not in key and key != "<<")
plain = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


@given(plain)
def test_what_is_dumped_is_read_back_the_same(values):
    found, _ = yaml_reader.parse(yaml_reader.dump(values), "here:")
    assert repr(found) == repr(values)


def test_shared_values_are_dumped_without_aliases():
    shared = {"b": 1}
    assert yaml_reader.dump({"a": shared, "c": shared}) == "a:\n  b: 1\nc:\n  b: 1\n"
