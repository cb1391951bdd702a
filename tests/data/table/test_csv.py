import gzip
import json
import logging
import os

import numpy as np
import pytest
import torch

from dlx.errors import ComponentError
from dlx.registry import processors, sources
from dlx.registry.signatures import check

ROWS = ["age,city,income,sex", *(f"{20 + i},{'PBR'[i % 3]},{i * 1.5},{'mf'[i % 2]}" for i in range(40))]


def write(folder, lines, name="data.csv"):
    file = folder / name
    text = "\n".join(lines) + "\n"
    file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return str(file)


def build(seed=0, **choices):
    sources.names()
    values, faults = check(sources.signatures["csv"], choices)
    assert not faults, faults
    return sources.build("csv", values, {"seed": seed})


def misfit(path, message, **choices):
    with pytest.raises(ComponentError, match=message) as caught:
        build(**choices)
    assert caught.value.path == path
    return str(caught.value)


def same(one, other):
    return all(torch.equal(one.data[s][w], other.data[s][w]) for s in one.data for w in one.data[s])


def test_classes_with_numeric_and_categorical_inputs(tmp_path):
    data = build(train=write(tmp_path, ROWS), target="sex")
    assert data.facts == {
        "input_shape": [5],
        "num_features": 5,
        "num_classes": 2,
        "class_names": ["f", "m"],
        "class_counts": [12, 12],
    }
    assert data.processor.columns == ["age", "city", "income"]
    train = data.data["train"]["input"]
    torch.testing.assert_close(train[:, :2].mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(train[:, :2].std(0, correction=0), torch.ones(2))
    assert train[:, 2:].sum(1).eq(1).all()
    assert {split: len(words["input"]) for split, words in data.data.items()} == {"train": 24, "val": 8, "test": 8}


def test_index_encoding_gives_category(tmp_path):
    data = build(train=write(tmp_path, ROWS), target="sex", categorical_encoding="index", val=0, test=0)
    assert data.facts["category_sizes"] == [4]
    batch = next(data.train(None))
    assert (batch["category"].dtype, batch["category"].shape) == (torch.int64, (32, 1))
    assert data.data["train"]["category"][:3, 0].tolist() == [2, 1, 3]  # P, B, R in the order of the alphabet
    assert data.facts["num_features"] == 2


def test_a_regression_has_its_own_units(tmp_path):
    data = build(train=write(tmp_path, ROWS), target=2, val=0, test=0, drop=["sex"])
    target = data.data["train"]["target"]
    assert target.shape == (40, 1)
    assert target[3].item() == 4.5
    assert data.facts["target_names"] == ["income"]
    assert data.facts["num_outputs"] == 1
    assert data.facts["target_mean"] == [pytest.approx(29.25)]
    assert data.facts["target_std"] == [pytest.approx(np.std([i * 1.5 for i in range(40)]))]


@pytest.mark.parametrize(("count", "kind"), [(20, "num_classes"), (21, "num_outputs")])
def test_what_a_target_of_whole_numbers_is_taken_for(tmp_path, caplog, count, kind):
    lines = ["x,y", *(f"{i},{i % count}" for i in range(200))]
    with caplog.at_level(logging.INFO, "dlx"):
        data = build(train=write(tmp_path, lines), target="y")
    assert kind in data.facts
    assert "target_kind can say otherwise" in caplog.text
    assert "num_outputs" in build(train=write(tmp_path, lines), target="y", target_kind="number").facts
    names = build(train=write(tmp_path, lines), target="y", target_kind="class").facts["class_names"]
    assert names == [str(i) for i in range(count)]  # in the order of numbers, not of text


def test_gzip_blanks_quotes_and_other_delimiters_read_the_same(tmp_path):
    plain = build(train=write(tmp_path, ROWS), target="sex")
    packed = build(train=write(tmp_path, ROWS, "data.csv.gz"), target="sex")
    spaced = build(train=write(tmp_path, [line.replace(",", " , ") for line in ROWS] + ["", ""], "b.csv"), target="sex")
    quoted = build(
        train=write(tmp_path, [line.replace("P", '"P"').replace(",", "\t") for line in ROWS]), target="sex", delimiter="\t"
    )
    marked = build(train=write(tmp_path, ["\ufeff" + ROWS[0], *ROWS[1:]], "c.csv"), target="sex")
    assert all(same(plain, other) for other in (packed, spaced, quoted, marked))


def test_files_for_the_splits_match_by_column_name(tmp_path):
    turned = [",".join(line.split(",")[::-1]) for line in [ROWS[0], *ROWS[5:9]]]
    data = build(train=write(tmp_path, ROWS), test=write(tmp_path, turned, "test.csv"), val=0.1, target="sex")
    assert {split: len(words["input"]) for split, words in data.data.items()} == {"train": 36, "val": 4, "test": 4}
    whole = build(train=write(tmp_path, ROWS), test=write(tmp_path, [ROWS[0], *ROWS[5:9]], "t.csv"), val=0.1, target="sex")
    assert same(data, whole)


def test_a_column_may_give_the_splits(tmp_path):
    parts = ["train"] * 20 + ["validation"] * 10 + ["test"] * 10
    lines = [ROWS[0] + ",part", *(f"{line},{part}" for line, part in zip(ROWS[1:], parts, strict=True))]
    file = write(tmp_path, lines)
    data = build(train=file, target="sex", split_column="part")
    assert {split: len(words["input"]) for split, words in data.data.items()} == {"train": 20, "val": 10, "test": 10}
    assert "part" not in data.processor.columns
    misfit(("val",), "the splits come from the column 'part'", train=file, target="sex", split_column="part", val=0.1)
    bad = write(tmp_path, [*lines, "1,P,2,m,later"])
    misfit(
        ("split_column",), "data.csv:42: column 'part': 'later' is none of train", train=bad, target="sex", split_column="part"
    )


def test_the_drawn_split_depends_on_split_seed_only(tmp_path):
    file = write(tmp_path, ROWS)
    one = build(seed=0, train=file, target="sex")
    assert same(one, build(seed=5, train=file, target="sex"))
    assert not same(one, build(seed=0, train=file, target="sex", split_seed=1))


def test_statistics_come_from_the_training_rows_only(tmp_path):
    file = write(tmp_path, ["x,c,y", *(f"{i},{'ab'[i % 2]},{i % 2}" for i in range(10))])
    far = write(tmp_path, ["x,c,y", "1000,z,0", "2000,z,1"], "far.csv")
    data = build(train=file, test=far, val=0, target="y")
    assert data.processor.numeric.scaler.offset.tolist() == [4.5]
    assert data.processor.categorical.values == {"c": ["a", "b"]}
    assert data.data["test"]["input"][:, 1:].sum() == 0  # 'z' is unseen: no feature is set


@pytest.mark.parametrize("scaling", ["standard", "quantile", "min_max", "none"])
def test_scalings_survive_json_exactly(tmp_path, scaling):
    file = write(tmp_path, ROWS)
    data = build(train=file, target="sex", scaling=scaling, val=0, test=0)
    restored = processors.get("table").from_state(json.loads(json.dumps(data.processor.state_dict())))
    assert torch.equal(restored.encode(list(restored.read([file])))["input"], data.data["train"]["input"])


def test_missing_values(tmp_path):
    lines = ["x,z,c,y", "1,1,a,0", "?,2,b,1", "3,3,NA,0", "5,4,a,1"]
    file = write(tmp_path, lines)
    text = misfit(("train",), "data.csv:3: column 'x': the value is missing", train=file, target="y", val=0, test=0)
    assert "missing: mean" in text
    data = build(train=file, target="y", val=0, test=0, missing="mean", scaling="none")
    assert data.data["train"]["input"].tolist() == [[1, 1, 1, 0], [3, 2, 0, 1], [3, 3, 0, 0], [5, 4, 1, 0]]
    data = build(train=file, target="y", val=0, test=0, missing="indicator", scaling="none")
    assert data.data["train"]["input"][:, 2].tolist() == [0, 1, 0, 0]
    assert data.facts["num_features"] == 5
    with_words = {"missing_values": [""], "categorical": ["x"], "scaling": "none"}
    kept = build(train=file, target="y", val=0, test=0, **with_words)
    assert kept.processor.categorical.values == {"x": ["1", "3", "5", "?"], "c": ["NA", "a", "b"]}


def test_the_first_five_bad_cells_are_told_with_their_rows(tmp_path):
    lines = ["a,b,y", *(f"{i},{i},{i % 2}" for i in range(10)), *(f"x{i},1,0" for i in range(7)), "1,inf,1", "1_0,2,1"]
    text = misfit(("train",), "is no number", train=write(tmp_path, lines), target="y", val=0, test=0, numeric=["a", "b"])
    told = text.splitlines()
    assert told[0].endswith("data.csv:12: column 'a': 'x0' is no number")
    assert len(told) == 6
    assert told[5] == "and 4 more"


def test_one_word_among_numbers_is_told_unless_the_config_says_what_the_column_is(tmp_path):
    file = write(tmp_path, ["a,y", "1,0", "2,1", "x,0", "4,1"])
    text = misfit(
        ("train",), "data.csv:4: column 'a': 'x' is no number, but 3 of 4 values", train=file, target="y", val=0, test=0
    )
    assert all(key in text for key in ("missing_values", "numeric", "categorical", "drop"))
    named = build(train=file, target="y", val=0, test=0, categorical=["a"])
    assert named.processor.categorical.values == {"a": ["1", "2", "4", "x"]}
    misfit(("train",), "data.csv:4: column 'a': 'x' is no number", train=file, target="y", val=0, test=0, numeric=["a"])


def test_a_numeric_column_may_be_categorical(tmp_path):
    data = build(train=write(tmp_path, ROWS), target="sex", categorical=["age"], drop=["income"])
    assert list(data.processor.categorical.values) == ["age", "city"]


@pytest.mark.parametrize(
    ("lines", "choices", "path", "message"),
    [
        ([], {}, ("train",), "data.csv: is empty"),
        (["a,y"], {"header": True}, ("train",), "has a header but no rows"),
        (["a,y", "1,0", "2", "3,0,4"], {}, ("train",), "data.csv:3: has 1 cells, but the header has 2\n.*:4: has 3 cells"),
        (["1,0", "2"], {}, ("train",), "data.csv:2: has 1 cells, but the first row has 2"),
        (["1,0", "2,1"], {"columns": ["a", "b", "y"]}, ("train",), "has 2 cells, but `columns` names 3"),
        (["a,a,y", "1,2,0"], {}, ("train",), "2 columns have the name 'a'"),
        ([",a,y", "1,2,0"], {"header": True}, ("train",), "leaves a column without a name"),
        (["a,y", "b,x"], {}, ("train",), "not clear whether the first row is a header"),
        (["id,2019,y", "1,2,0", "2,3,1"], {}, ("train",), "not clear whether the first row is a header"),
        ([",a,y", "0,1,0", "1,2,1"], {}, ("train",), "leaves a column without a name"),
        (["a,y", "1,0", "2,?"], {}, ("train",), "data.csv:3: column 'y': the target is missing"),
        (["a,y", "1,0", "2,0"], {"val": 0, "test": 0}, ("target",), "holds one class only: '0'"),
        (["a,y", "1,.5", "2,.5"], {"val": 0, "test": 0}, ("target",), "the target is the same in the whole"),
        (
            ["a,y", "1,0", "2,x"],
            {"val": 0, "test": 0, "target_kind": "number"},
            ("train",),
            "csv:3: .* target 'x' is no number",
        ),
        (["a,y", "1,0", "2,1"], {"target": "z"}, ("target",), "'z': unknown column"),
        (["a,y", "1,0", "2,1"], {"target": 2}, ("target",), "there is no column 2; there are 2, counted from 0"),
        (["age,y", "1,0", "2,1"], {"drop": ["agee"]}, ("drop", 0), "unknown column; did you mean 'age'"),
        (["a,b,y", "1,2,0"], {"drop": ["b"], "numeric": ["a", "b"]}, ("numeric", 1), "column 'b' is under drop already"),
        (["a,y", "1,0"], {"numeric": ["y"]}, ("numeric", 0), "column 'y' is under target already"),
        (["a,y", "1,0"], {"drop": ["a"]}, ("train",), "no column is left to be an input"),
        (["a,b,y", "1,,0", "2,,1"], {"val": 0, "test": 0}, ("train",), "column 'b' has no value in the training split"),
        (["a,y", "1,0", "2,0", "3,1"], {"val": 0}, ("test",), "'1' has one row only"),
        (["a,y", '1,"0', "2,1"], {}, ("train",), "is no CSV: unexpected end of data"),
        (["a,y", *(f"k{i},{i % 2}" for i in range(1001))], {"val": 0, "test": 0}, ("train",), "1,001 different values"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path, lines, choices, path, message):
    file = write(tmp_path, lines) if lines else str(tmp_path / "data.csv")
    if not lines:
        (tmp_path / "data.csv").touch()
    misfit(path, message, **({"train": file, "target": "y"} | choices))


def test_a_label_only_in_a_later_split_is_told(tmp_path):
    train = write(tmp_path, ["a,y", *(f"{i},{'uv'[i % 2]}" for i in range(10))])
    test = write(tmp_path, ["a,y", "1,u", "2,w"], "test.csv")
    misfit(("test",), "test.csv:3: column 'y': 'w' is no class of the training split: u, v", train=train, test=test, target="y")


def test_a_later_file_with_other_columns_is_told(tmp_path):
    train = write(tmp_path, ["a,y", *(f"{i},{i % 2}" for i in range(10))])
    test = write(tmp_path, ["b,y", "1,0"], "test.csv")
    misfit(("test",), "lacks the column 'a', has a column 'b' of its own", train=train, test=test, target="y")


def test_what_is_no_text_is_told(tmp_path):
    file = tmp_path / "data.csv"
    file.write_bytes(b"a,y\n\xff\xfe,1\n")
    misfit(("train",), "is no UTF-8 text", train=str(file), target="y")
    file.write_bytes(gzip.compress(b"a,y\n1,2\n" * 100)[:-9])
    misfit(("train",), "cannot be read", train=str(file), target="y")
    misfit(("train",), "is no file", train=str(tmp_path), target="y")


def test_without_a_header_columns_have_numbers_or_given_names(tmp_path):
    lines = ROWS[1:]
    data = build(train=write(tmp_path, lines), target=-1)
    assert data.processor.columns == ["column_0", "column_1", "column_2"]
    named = build(train=write(tmp_path, lines), target="sex", columns=ROWS[0].split(","))
    assert same(data, named)
    assert same(named, build(train=write(tmp_path, ROWS), target="sex", columns=ROWS[0].split(",")))


@pytest.mark.skipif("DLX_DATA" not in os.environ, reason="DLX_DATA does not name the folder of the real data sets")
@pytest.mark.parametrize("encoding", ["one_hot", "index"])
def test_adult(encoding):
    folder = os.path.join(os.environ["DLX_DATA"], "tabular", "adult")
    names = (
        "age workclass fnlwgt education education-num marital-status occupation relationship race sex "
        "capital-gain capital-loss hours-per-week native-country income"
    )
    data = build(
        train=os.path.join(folder, "adult-train.csv.gz"),
        test=os.path.join(folder, "adult-test.csv.gz"),
        columns=names.split(),
        target="income",
        strip_target=".",
        categorical_encoding=encoding,
        scaling="quantile",
    )
    assert data.facts["class_names"] == ["<=50K", ">50K"]
    assert data.data["test"]["target"].bincount().tolist() == [12435, 3846]
    both = data.data["train"]["target"].bincount() + data.data["val"]["target"].bincount()
    assert both.tolist() == [24720, 7841]
    assert data.processor.numeric.names == ["age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
    assert data.facts["num_features"] == (6 if encoding == "index" else 105)
    if encoding == "index":
        assert data.facts["category_sizes"] == [9, 17, 8, 15, 7, 6, 3, 42]
    file = os.path.join(folder, "adult-test.csv.gz")  # without a header, with the target: as in training
    rows = list(data.processor.read([file]))
    assert torch.equal(data.processor.encode(rows)["input"], data.data["test"]["input"])
