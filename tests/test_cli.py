import os
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest
from tests.helpers.command_line import typed

IRIS = """\
task: classification
data:
  name: iris
  batch_size: 32
model:
  name: sequential
  layers:
    - dense: 16
    - relu
    - dense: num_classes
optimizer: {name: adam, lr: 0.01}
epochs: 2
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("iris.yaml").write_text(IRIS)


@pytest.fixture
def dlx(monkeypatch, capsys):
    """Run a command in this process: its exit code, standard output and standard error."""

    return partial(typed, monkeypatch, capsys)


# What must not cost an import of torch.


def test_help_and_faults_of_structure_do_not_import_torch():
    files = {
        "syntax": "a: [1",
        "duplicate": IRIS + "epochs: 3\n",
        "section": IRIS + "optimzer: adam\n",
        "extending": "extends: none.yaml\n",
        "depth": "[" * 5000,
    }
    for name, text in files.items():
        Path(f"{name}.yaml").write_text(text)
    commands = {
        0: [["--help"], ["train", "--help"], ["schema", "--help"], ["--version"], ["--show-completion", "bash"]],
        2: [["trian"], ["train"], ["train", "--nope"], ["train", "none.yaml"], ["check", "none.yaml"], ["show", "none.yaml"]]
        + [["train", f"{name}.yaml"] for name in files]
        + [["train", "iris.yaml", "stray"], ["train", "iris.yaml", "modle.x=1"], ["check", "iris.yaml", "--device"]]
        + [["eval", "none"], ["predict", "none", "1,2"], ["train", "."]],
    }
    script = f"""
        import sys
        import dlx
        assert not {{"torch", "yaml", "typer"}} & set(sys.modules)
        from dlx.cli import main
        for code, lines in {commands!r}.items():
            for line in lines:
                sys.argv = ["dlx", *line]
                try:
                    main()
                except SystemExit as error:
                    assert (error.code or 0) == code, (line, error.code)
                heavy = {{"torch", "numpy", "sklearn", "matplotlib", "torchvision"}} & set(sys.modules)
                assert not heavy, (line, heavy)
        print("all is well")
    """
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.endswith("all is well\n")
    assert "Traceback" not in done.stderr


def test_module_and_command_are_the_same():
    assert (
        subprocess.run([sys.executable, "-m", "dlx", "--version"], capture_output=True, text=True, check=True).stdout[:4]
        == "dlx "
    )


def test_help_names_every_command_and_completion(dlx):
    code, out, _ = dlx("--help")
    assert code == 0
    for word in ("train", "eval", "predict", "check", "show", "list-models", "list-datasets", "list-tasks", "schema"):
        assert f"  {word} " in out
    assert "--install-completion" in out
    assert "--show-completion" in out


# Typical mistakes, word for word.

RELU, LAST = "    - relu\n", "    - dense: num_classes\n"


def edited(old: str, new: str) -> str:
    assert old in IRIS
    return IRIS.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (edited("batch_size", "batchsize"), "iris.yaml:4:3 data.batchsize: unknown key; did you mean 'batch_size'?"),
        (edited("lr: 0.01", "learning_rate: 1"), "iris.yaml:11:25 optimizer.learning_rate: unknown key; did you mean 'lr'?"),
        (edited("0.01", "'0.01'"), "iris.yaml:11:25 optimizer.lr: wants a number, not '0.01'"),
        (edited("name: iris", "name: irs"), "iris.yaml:3:3 data.name: 'irs': unknown data set; did you mean 'iris'?"),
        (edited("task: classification\n", ""), "iris.yaml:1:1 task: is missing: every experiment names it"),
        (edited(LAST, ""), "iris.yaml:8:7 model.layers[0].dense: gives 16 values, but the data has 3 classes"),
        (edited("num_classes", "64"), "iris.yaml:10:7 model.layers[2].dense: gives 64 values, but the data has 3 classes"),
        (edited("epochs: 2\n", ""), "iris.yaml:1:1 epochs: is missing: say how long to train, in epochs or in steps"),
        (edited("sequential", "sequental"), "iris.yaml:6:3 model.name: 'sequental': unknown model; did you mean 'sequential'?"),
        (edited(RELU, "    - rellu\n"), "iris.yaml:9:7 model.layers[1].rellu: unknown layer; did you mean 'relu'?"),
        (edited("lr: 0.01", "lr: -1"), "iris.yaml:11:25 optimizer.lr: Invalid learning rate: -1.0"),
        (IRIS + "schedule: {nme: cosine}\n", None),
        (edited("iris", "digits"), None),
        (edited("iris", "diabetes"), None),
        (IRIS + "metrics: [mae]\n", None),
    ],
)  # fmt: skip
def test_a_mistake_is_one_message(dlx, text, message):
    Path("iris.yaml").write_text(text)
    code, out, err = dlx("train", "iris.yaml")
    assert (code, out) == (2, "")
    if message is not None:
        assert err == message + "\n"
    assert not Path("runs").exists()


def test_a_metric_that_does_not_fit_the_task_is_told_with_those_that_do(dlx):
    _, _, err = dlx("train", "iris.yaml", "metrics=[accuracy, mae]")
    words = (
        "'mae' reads 'value', which the task 'classification' does not predict; metrics that fit: accuracy, balanced_accuracy, "
    )
    assert err.startswith(f"override 'metrics=[accuracy, mae]': metrics[1]: {words}")


def test_data_that_does_not_fit_is_told_once_and_not_again_by_every_metric(dlx):
    _, _, err = dlx("train", "iris.yaml", "data=diabetes")
    assert err == "iris.yaml:10:7 model.layers[2].dense: 'num_classes': unknown fact; there is num_features, num_outputs\n"


def test_all_faults_of_the_components_are_told_in_one_pass(dlx):
    text = edited("batch_size: 32", "batch_size: 0").replace("lr:", "lrr:").replace("relu", "rlu") + "trainer: {kep: 1}\n"
    Path("iris.yaml").write_text(text)
    _, _, err = dlx("check", "iris.yaml", "device.threads=0", "metrics=[1, acuracy]")
    assert [line.split(" unknown")[0].split(" wants")[0] for line in err.splitlines()] == [
        "iris.yaml:4:3                    data.batch_size:",
        "iris.yaml:9:7                    model.layers[1].rlu:",
        "iris.yaml:11:25                  optimizer.lrr:",
        "iris.yaml:13:11                  trainer.kep:",
        "override 'device.threads=0':     device.threads:",
        "override 'metrics=[1, acuracy]': metrics[0]:",
        "override 'metrics=[1, acuracy]': metrics[1]: 'acuracy':",
    ]


NAMES = "a run's name is one directory name, without / and \\, that does not begin with a dot"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "none.yaml"], "none.yaml: No such file or directory"),
        (["train", "iris.yaml", "other.yaml"], "override 'other.yaml': write key=value, +new=value or ~key"),
        (["train", "iris.yaml", "--device", "gqu"], "--device gqu: device.name: 'gqu' is no device; there is auto, cpu"),
        (["train", "iris.yaml", "--device", "a: b"], "--device a: b: device.name: 'a: b' is no device; there is auto, cpu"),
        (["train", "iris.yaml", "--seed", "-1"], "--seed -1: seed: wants a number from 0 to 4,294,967,295, not -1"),
        (["train", "iris.yaml", "--plugin", "none.py"], "--plugin: no Python file none.py"),
        (["train", "x" * 300], f"'{'x' * 76}...: File name too long"),
        (["eval", "x" * 300], f"'{'x' * 76}...: File name too long"),
        (["train", "iris.yaml", "--name", "a/b"], f"--name a/b: name: {NAMES}, not 'a/b'"),
        (["train", "iris.yaml", "--name", "."], f"--name .: name: {NAMES}, not '.'"),
        (["show", "none.yaml"], "none.yaml: no such file"),
        (["show", "sequental"], "sequental: no file, no run, and no component has that name; did you mean 'sequential'?"),
        (["show", "mlp", "a=1"], "only a config takes overrides such as a=1, and mlp is no file"),
    ],
)  # fmt: skip
def test_a_mistake_on_the_command_line_is_one_message(dlx, arguments, message):
    if torch_has_a_device() and "device" in message:
        pytest.skip("the message lists the devices of the machine")
    assert dlx(*arguments) == (2, "", message + "\n")


def torch_has_a_device() -> bool:
    import torch

    return torch.accelerator.is_available()


@pytest.mark.parametrize(
    "override",
    [
        "metrics=[1]", "metrics=[[accuracy]]", "metrics=[{accuracy: 1}]", "metrics=[{}]", "metrics=[null]", "metrics=accuracy",
        "task={}", "task={name: 3}", "task={name: [a]}", "data={batch_size: 3}", "data={batch_siz: 3}", "model={name: null}",
        "optimizer={}", "optimizer={generator: {name: adam}}", "optimizer={generator: adam}", "optimizer={generator: {}}",
        "optimizer={generator: {nme: adam}}", "optimizer={0: adam}", "optimizer.groups={x: 1}", "optimizer.groups=[1]",
        "optimizer.groups={x: {lr: 1}}", "optimizer.groups={'*': {lr: a}}", "optimizer.betas=[0.9]", "optimizer.betas=[0.9, 2]",
        "optimizer.lr=.nan", "optimizer.lr=.inf", "optimizer.lr=", "optimizer.lr=true", "optimizer.lr=[1]",
        "optimizer.lr={a: 1}",
        "schedule={nme: cosine}", "schedule={a: cosine}", "schedule={name: step}", "schedule={name: cosine, warmup: -1}",
        "trainer=null", "trainer.keep=0", "trainer.ema=1", "trainer.x.y=1", "device=[cpu]", "device.threads=x", "device={}x",
        "model.layers=[]", "model.layers=relu", "model.layers=[[relu]]", "model.layers=[{dense: 3, relu: 1}]",
        "model.layers=null",
        "model.layers[0]={}", "model.layers[0]=null", "model.layers[0]={3: 4}", "model.layers[0]={dense: []}",
        "model.layers[0]={relu: 1}",
        "model.layers[0]={dense: {size: 0x10000000000}}", "model.layers=[{residual: [{residual: []}]}]", "model.x.y.z=1",
        "data.batch_size=0", "data.batch_size=1e400", "data.val=0.99", "data.name=os.system", "+data._target_=os.system",
        "data={name: csv, train: 3, target: 0}", "data={name: csv, train: /, target: 0}", "epochs=1.5", "epochs=-1", "steps=3",
        "loggers=[tensorbord]", "größe=1", "model.größe=1", "task.loss=🙂", "name=a/b", "seed=" + "9" * 5000,
    ],
)  # fmt: skip
def test_whatever_is_typed_is_refused_without_a_traceback(dlx, override):
    code, out, err = dlx("train", "iris.yaml", override)
    assert (code, out) == (2, "")
    assert override[:20] in err or "iris.yaml:" in err


def test_no_yaml_can_import_anything(dlx, monkeypatch):
    marker = Path("imported")
    Path("evil.py").write_text(f"open({str(marker)!r}, 'w')\n")
    monkeypatch.syspath_prepend(".")
    for model in (
        "evil.Model",
        "{name: evil}",
        "{_target_: evil.Model}",
        "!!python/object:evil.Model {}",
        "!!python/module:evil ''",
    ):
        Path("x.yaml").write_text(IRIS.partition("model:")[0] + f"model: {model}\nepochs: 1\nplugin: evil.py\n")
        assert dlx("train", "x.yaml")[0] == 2
    assert not marker.exists()
    assert "evil" not in sys.modules
