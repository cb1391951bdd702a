"""dlx as a library: the same as the commands, without a process."""

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

import dlx
from dlx.storage import snapshot

ROOT = Path(__file__).parents[2]
CONFIG = {
    "task": "classification",
    "data": {"name": "iris", "batch_size": 16},
    "model": {"name": "mlp", "hidden": [8]},
    "optimizer": {"name": "adam", "lr": 0.01},
    "epochs": 3,
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def weights(run):
    return snapshot.unpack_tensors((Path(run) / "checkpoints/last/model.safetensors").read_bytes())


def test_importing_dlx_imports_no_torch():
    code = "import sys, dlx; dlx.train, dlx.Run, dlx.load, dlx.DlxError; print('torch' in sys.modules, dir(dlx) != [])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False True\n"


def test_neither_training_nor_looking_for_a_compiled_step_imports_the_compiler():
    code = f"""import sys, dlx
dlx.train({CONFIG!r}, name="lean")
import torch
from dlx.engine.compiling.recording import operations
operations(lambda one: one * 2, [torch.ones(2)])
print("torch._dynamo" in sys.modules)"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_what_is_not_offered_is_told():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        dlx.trian  # noqa: B018


def test_a_run_equals_that_of_the_command(capfd):
    Path("same.yaml").write_text(json.dumps(CONFIG))
    run = dlx.train(CONFIG, {"optimizer.lr": 0.02}, name="library")
    assert capfd.readouterr() == ("", "")  # quiet unless asked
    command = [sys.executable, "-m", "dlx", "train", "same.yaml", "optimizer.lr=0.02", "--json"]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    ours, theirs = weights(run.path), weights(said["run"])
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert run.step == said["step"]
    assert run.best == said["best"]
    assert run.numbers == {key: value for key, value in said.items() if key.startswith("val/")}
    assert [row["step"] for row in run.metrics()][-1] == run.step


def test_a_run_can_be_evaluated_and_asked():
    run = dlx.train(CONFIG, name="iris")
    assert run.checkpoint.resolve().name.startswith("step-")
    found = run.evaluate(split="val")
    assert found["val/accuracy"] == pytest.approx(run.numbers["val/accuracy"])
    assert dlx.evaluate(run.path)["split"] == "test"
    answers = run.predict(["5.1,3.5,1.4,0.2", "6.7,3.0,5.2,2.3"])
    model, processor = dlx.load(run.path)
    assert not model.training
    batch = processor.encode(list(processor.read(["5.1,3.5,1.4,0.2", "6.7,3.0,5.2,2.3"])))
    with torch.no_grad():
        labels = model(batch["input"]).argmax(-1).tolist()
    names = processor.target.names
    assert [answer["label"] for answer in answers] == [names[label] for label in labels]


def test_a_run_goes_on():
    whole = dlx.train(CONFIG, {"epochs": 4}, name="whole")
    part = dlx.train(CONFIG, {"epochs": 2}, name="part")
    again = dlx.train(part.path, ["epochs=4"], resume=True)
    assert again.step == whole.step
    assert all(torch.equal(weights(whole.path)[name], value) for name, value in weights(again.path).items())


def test_it_works_in_a_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(dlx.train(CONFIG, name="thread")))
    thread.start()
    thread.join()
    assert found[0].step == 18


def test_faults_are_those_of_the_command():
    with pytest.raises(dlx.DlxError, match=re.escape("optimizer.lrr: unknown key; did you mean 'lr'?")):
        dlx.train({**CONFIG, "optimizer": {"name": "adam", "lrr": 0.1}}, name="x")
    with pytest.raises(dlx.DlxError, match=r"model\.hiden: unknown key"):
        dlx.train(CONFIG, {"model.hiden": [3]}, name="x")
    with pytest.raises(dlx.DlxError, match="give the run one"):
        dlx.train(CONFIG)
    with pytest.raises(TypeError, match="not one string"):
        dlx.train(CONFIG, "epochs=3", name="x")
    with pytest.raises(dlx.DlxError, match="no run or checkpoint is there"):
        dlx.evaluate("runs/nothing")
    assert not Path("runs").exists()


def test_the_page_about_it_tells_the_truth():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/library.md").read_text(), re.DOTALL)
    assert len(blocks) >= 5
    done = subprocess.run([sys.executable, "-c", "\n".join(blocks)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
