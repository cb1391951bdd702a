from pathlib import Path

import pytest

from dlx.config import spec
from dlx.config.spec import Spec, SpecError

BASE = """\
task: classification
data: {name: iris, batch_size: 32}
model:
  name: sequential
  layers:
    - dense: 16
    - relu
    - dense: num_classes
optimizer: adam
epochs: 10
"""


def parse(*overrides: str, text: str = BASE) -> Spec:
    return spec.parse(text, "x.yaml", list(overrides))


def refusal(*overrides: str, text: str = BASE) -> str:
    with pytest.raises(SpecError) as caught:
        parse(*overrides, text=text)
    assert caught.value.code == 2
    return str(caught.value)


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def writing(**files: str) -> None:
        for name, text in files.items():
            Path(f"{name}.yaml").write_text(text)

    return writing


def load_refusal(*overrides: str, file: str = "x.yaml") -> str:
    with pytest.raises(SpecError) as caught:
        spec.load(file, list(overrides))
    return str(caught.value)


# Structure.


def test_every_structural_fault_is_told_in_one_pass_in_the_order_of_the_file(write):
    write(
        x="taks: classification\ndata: 3\nlr: 0.1\nepochs: true\nsteps: -1\nsteps: 2\nseed: -1\nname: a/b\nmetrics: accuracy\n"
    )
    names = ", ".join([*spec.SECTIONS, "extends"])
    assert names.startswith("name, seed")
    assert load_refusal().splitlines() == [
        "x.yaml:1:1 taks: unknown section; did you mean 'task'?",
        "x.yaml:1:1 task: is missing: every experiment names it",
        "x.yaml:1:1 model: is missing: every experiment names it",
        "x.yaml:2:1 data: wants a name or a mapping, not 3",
        "x.yaml:3:1 lr: unknown section; did you mean 'optimizer.lr'?",
        "x.yaml:4:1 epochs: wants a whole number, not true",
        "x.yaml:5:1 steps: give epochs or steps, not both",
        "x.yaml:5:1 steps: wants a number from 0 to 1,000,000,000,000, not -1",
        "x.yaml:6:1 steps: stands twice, first at x.yaml:5:1",
        "x.yaml:7:1 seed: wants a number from 0 to 4,294,967,295, not -1",
        "x.yaml:8:1 name: a run's name is one directory name, without / and \\, that does not begin with a dot, not 'a/b'",
        "x.yaml:9:1 metrics: wants a list, not 'accuracy'",
    ]


@pytest.mark.parametrize("text", ["", "- a\n", "3\n", "null\n", "iris\n"])
def test_what_is_no_mapping_is_refused(write, text):
    write(x=text)
    assert load_refusal().startswith("x.yaml:1:1 an experiment is a mapping of sections: name, seed")
    assert refusal(text=text).startswith("x.yaml an experiment is a mapping of sections")


def test_a_missing_file_is_told():
    assert load_refusal(file="none.yaml") == "none.yaml: No such file or directory"


@pytest.mark.parametrize("name", [".", "..", "-", "a/b", "../a", "a\\b", ".a"])
def test_a_name_that_is_no_folder_is_refused(name):
    assert "name: " in refusal(f"name={name}")


@pytest.mark.parametrize("name", ["a", "v1.2", "größe_3", "a-b", "a" * 100])
def test_a_name_that_is_a_folder_is_taken(name):
    assert parse(f"name={name}").values["name"] == name


# Overrides.


def test_overrides_are_typed_as_yaml():
    given = parse("epochs=3", "data.batch_size=8", "optimizer.lr=1e-3", "optimizer.amsgrad=true", "task=no", "name='1'").values
    assert given["epochs"] == 3
    assert given["data"] == {"name": "iris", "batch_size": 8}
    assert given["optimizer"] == {"name": "adam", "lr": 0.001, "amsgrad": True}
    assert given["task"] == "no"
    assert given["name"] == "1"


def test_overrides_reach_into_lists():
    given = parse("model.layers[0]=tanh", "model.layers[2].dense=3", "+model.layers=relu", "model.layers[4]=elu").values
    assert given["model"]["layers"] == ["tanh", "relu", {"dense": 3}, "relu", "elu"]
    assert parse("model.layers=[relu, {dense: 3}]").values["model"]["layers"] == ["relu", {"dense": 3}]
    assert parse("metrics[0]=accuracy").values["metrics"] == ["accuracy"]
    assert parse("metrics=[top_k]", "metrics[0].k=2").values["metrics"] == [{"name": "top_k", "k": 2}]
    assert parse("~model.layers[0]").values["model"]["layers"] == ["relu", {"dense": "num_classes"}]


def test_overrides_apply_from_left_to_right():
    assert parse("optimizer=sgd", "optimizer.lr=0.1", "optimizer.lr=0.2").values["optimizer"] == {"name": "sgd", "lr": 0.2}
    assert parse("optimizer.lr=0.1", "optimizer=sgd").values["optimizer"] == "sgd"


def test_overrides_make_and_remove():
    assert parse("+seed=3", "trainer.ema=0.9").values["trainer"] == {"ema": 0.9}
    assert "optimizer" not in parse("~optimizer").values
    assert parse("optimizer.lr=").values["optimizer"] == {"name": "adam", "lr": None}
    assert parse("optimizer={a: adam, b: adam}", "optimizer.b.lr=1").values["optimizer"]["b"] == {"name": "adam", "lr": 1}


def test_an_override_may_hold_anything_a_value_may():
    assert parse("data.path=a b=c [d]").values["data"]["path"] == "a b=c [d]"
    assert parse("data.path='🙂\n'").values["data"]["path"] == "🙂 "
    assert parse("data.größe=1").values["data"]["größe"] == 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("=1", "write key=value, +new=value or ~key"),
        ("a.b", "write key=value, +new=value or ~key"),
        ("~", "write key=value, +new=value or ~key"),
        ("~epochs=3", "write key=value, +new=value or ~key"),
        ("a b=1", "write key=value, +new=value or ~key"),
        ("", "write key=value, +new=value or ~key"),
        ("other.yaml", "write key=value, +new=value or ~key"),
        ("model..layers=1", "'model..layers' is no path; write one like model.layers[0].dense"),
        ("model.layers[-1]=relu", "'model.layers[-1]' is no path; write one like model.layers[0].dense"),
        ("model.layers[x]=relu", "'model.layers[x]' is no path; write one like model.layers[0].dense"),
        ("model.layers[99]=relu", "'model.layers' is a list of 3; write an index from 0, such as model.layers[0]"),
        ("model.layers.dense=3", "'model.layers' is a list of 3; write an index from 0, such as model.layers[0]"),
        ("model[0]=3", "'model' is no list; write a key, such as model.name"),
        ("model.layers[0].dense.size.x=3", "'model.layers[0].dense' is 16 and has no keys"),
        ("epochs[0]=3", "'epochs' is 10 and has no keys"),
        ("+epochs=3", "'epochs' is there already; write it without the +"),
        ("~epoch", "epoch: unknown key; did you mean 'epochs'?"),
        ("~model.layer[0]", "model.layer: unknown key; did you mean 'layers'?"),
        ("~model.layers[9]", "'model.layers[9]' is not in the config"),
        ("~task[0]", "'task[0]' is not in the config"),
        ("~optimizer.lr", "'optimizer.lr' is not in the config"),
        ("optimizer.lr=[1", "while parsing a flow sequence, expected ',' or ']', but got '<stream end>'"),
        ("data={name: a, name: b}", "data.name: stands twice"),
        ("epochs=" + "9" * 30, f"epochs: '{'9' * 30}' is no whole number of at most 64 bits"),
        ("task=!!python/name:os.system", "task: the tag !!python/name:os.system is not taken: plain values only"),
        ("task=*a", "found undefined alias 'a'"),
        ("extends=a.yaml", "what a config extends stands in its file"),
        ("task=3", "task: wants a name or a mapping, not 3"),
        ("task=", "task: wants a name or a mapping, not null"),
        ("trainer=null", "trainer: wants a mapping, not null"),
        ("name=-", "name: wants a name, not [null]"),
        ("metrics={a: [true]}", "metrics: wants a list, not {a: [true]}"),
        ("modle.layers=1", "modle: unknown section; did you mean 'model'?"),
        ("modle=a\nb", "modle: unknown section; did you mean 'model'?"),
        ("learning_rate=1", "learning_rate: unknown section; did you mean 'optimizer.lr'?"),
    ],
)  # fmt: skip
def test_a_fault_of_an_override_names_the_override(override, message):
    assert refusal(override) == f"override {override!r}: {message}"


def test_faults_of_all_overrides_and_of_the_file_are_told_in_one_pass(write):
    write(x=BASE.replace("epochs", "epoch"))
    assert load_refusal("a.b", "~c", "seed=-1").splitlines() == [
        "override 'a.b': write key=value, +new=value or ~key",
        "override '~c': c: unknown key; there is task, data, model, optimizer, epoch",
        "override 'seed=-1': seed: wants a number from 0 to 4,294,967,295, not -1",
        "x.yaml:10:1         epoch: unknown section; did you mean 'epochs'?",
    ]


def test_an_override_path_of_any_length_is_refused_and_does_not_recurse():
    assert "is no path" in refusal("a." * 5000 + "b=1")


def test_an_option_is_named_as_it_was_typed():
    typed = spec.Typed("seed=-1", "--seed -1")
    assert refusal(typed) == "--seed -1: seed: wants a number from 0 to 4,294,967,295, not -1"


def test_places_follow_overrides(write):
    write(x=BASE)
    found = spec.load("x.yaml", ["optimizer.lr=1", "model.layers[1]=elu", "~model.layers[0]"])
    assert found.place(("optimizer", "lr")) == "override 'optimizer.lr=1':"
    assert found.place(("optimizer", "name")) == "x.yaml:9:1"
    assert found.place(("model", "layers", 0)) == "override 'model.layers[1]=elu':"
    assert found.place(("model", "layers", 1, "dense")) == "x.yaml:8:7"


# Extending.


def test_mappings_merge_and_all_else_is_replaced(write):
    write(base=BASE, x="extends: base.yaml\ndata: {batch_size: 8}\nmodel: {layers: [{dense: 3}]}\nepochs: 5\n")
    found = spec.load("x.yaml").values
    assert found["data"] == {"name": "iris", "batch_size": 8}
    assert found["model"] == {"name": "sequential", "layers": [{"dense": 3}]}
    assert found["epochs"] == 5
    assert "extends" not in found


def test_a_component_of_another_name_starts_afresh(write):
    write(base=BASE, x="extends: base.yaml\ndata: {name: wine}\nmodel: perceptron\n")
    found = spec.load("x.yaml").values
    assert found["data"] == {"name": "wine"}
    assert found["model"] == "perceptron"


def test_a_short_component_is_written_long_by_its_child(write):
    write(base=BASE, x="extends: base.yaml\noptimizer: {lr: 0.1}\ntask: {name: classification, loss: focal}\n")
    found = spec.load("x.yaml")
    assert found.values["optimizer"] == {"name": "adam", "lr": 0.1}
    assert found.values["task"] == {"name": "classification", "loss": "focal"}
    assert found.place(("optimizer", "name")) == "base.yaml:9:1"
    assert found.place(("optimizer", "lr")) == "x.yaml:2:13"


def test_places_name_the_file_that_says_so(write):
    write(base=BASE, x="extends: base.yaml\ndata: {batch_siz: 8}\n")
    found = spec.load("x.yaml")
    assert found.place(("data", "batch_siz")) == "x.yaml:2:8"
    assert found.place(("data", "name")) == "base.yaml:2:8"
    assert found.place(("model", "layers", 0, "dense")) == "base.yaml:6:7"
    assert found.place(("nothing",)) == "x.yaml:1:1"


def test_faults_of_a_base_are_told_with_those_of_its_child(write):
    write(base="taks: a\ndata: iris\ndata: iris\n", x="extends: base.yaml\nmodle: mlp\n")
    assert load_refusal().splitlines() == [
        "base.yaml:1:1 taks: unknown section; did you mean 'task'?",
        "base.yaml:3:1 data: stands twice, first at base.yaml:2:1",
        "x.yaml:1:1    task: is missing: every experiment names it",
        "x.yaml:1:1    model: is missing: every experiment names it",
        "x.yaml:2:1    modle: unknown section; did you mean 'model'?",
    ]


def test_a_chain_of_files_is_followed_from_folder_to_folder(write):
    Path("inner").mkdir()
    write(base=BASE, x="extends: inner/middle.yaml\nepochs: 3\n")
    Path("inner/middle.yaml").write_text("extends: ../base.yaml\nepochs: 2\nseed: 7\n")
    found = spec.load("x.yaml", ["data.batch_size=1"])
    assert (found.values["epochs"], found.values["seed"]) == (3, 7)
    assert found.place(("seed",)) == "inner/middle.yaml:3:1"


def test_a_file_that_extends_itself_is_refused(write):
    write(x="extends: y.yaml\n", y="extends: ./z.yaml\n", z="extends: x.yaml\n")
    assert load_refusal() == "z.yaml:1:1 extends: the file extends itself: x.yaml -> y.yaml -> z.yaml -> x.yaml"
    write(x="extends: x.yaml\n")
    assert load_refusal() == "x.yaml:1:1 extends: the file extends itself: x.yaml -> x.yaml"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("none.yaml", "none.yaml: No such file or directory"),
        (".", ".: Is a directory"),
        ("[a.yaml]", "wants a file name, not ['a.yaml']"),
        ("", "wants a file name, not null"),
        ("3", "wants a file name, not 3"),
        ("''", "wants a file name, not ''"),
        ('"a\\0b"', "wants a file name, not 'a\\x00b'"),
        ("x" * 300, "x" * 300 + ": File name too long"),
        ("broken.yaml", "broken.yaml:1:6 while parsing a flow sequence, expected ',' or ']', but got '<stream end>'"),
        ("list.yaml", "list.yaml:1:1 an experiment is a mapping of sections: " + ", ".join(spec.SECTIONS)),
    ],
)  # fmt: skip
def test_a_base_that_cannot_be_read_is_told_where_it_is_named(write, value, message):
    write(x=f"{BASE}extends: {value}\n", broken="a: [1", list="- a\n")
    assert load_refusal().removeprefix("x.yaml:11:1 extends: ") == message
