"""Foreign weights of any content: one message, or weights; never another exception, and never numbers of another kind."""

import io
import pickle
import random
import zipfile

import pytest
import safetensors.torch
import torch
from torch import nn

from dlx.errors import ComponentError
from dlx.storage.weights import Weights, load, read

INPUTS = 400


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def saved(tmp_path):
    """Save one network in all the ways there are; gives the files' names and bytes."""
    state = network().state_dict()
    torch.save(state, tmp_path / "zip.pt")
    torch.save({"state_dict": state, "epoch": 1}, tmp_path / "nested.pth")
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(state, tmp_path / "a.safetensors")
    return {path.name: path.read_bytes() for path in sorted(tmp_path.iterdir())}


def mutated(dice, content):
    changed = bytearray(content)
    for _ in range(dice.choice((1, 1, 1, 2, 5))):
        place, kind = dice.randrange(len(changed)), dice.randrange(4)
        if kind < 2:
            changed[place] = dice.choice((0, 255, dice.randrange(256)))
        elif kind == 2:
            del changed[place : place + dice.choice((1, 4, 50))]
        else:
            changed[place:place] = dice.randbytes(dice.choice((1, 4, 20)))
        changed = changed or bytearray(b"x")
    return bytes(changed)


def repacked(dice, content):
    """Change the pickle inside an archive whose sums are right."""
    archive, result = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(result, "w") as written:
        for name in archive.namelist():
            part = archive.read(name)
            written.writestr(name, mutated(dice, part) if name.endswith("data.pkl") else part)
    return result.getvalue()


def test_a_fuzzed_file_is_one_message_or_weights(tmp_path):
    files, dice, told = saved(tmp_path), random.Random(0), 0
    for number in range(INPUTS):
        name = dice.choice(sorted(files))
        archive = name in ("zip.pt", "nested.pth") and number % 2
        path = tmp_path / f"fuzzed.{name.rpartition('.')[2]}"
        path.write_bytes((repacked if archive else mutated)(dice, files[name]))
        try:
            load(network().state_dict(), read(str(path)))
        except ComponentError as error:
            told += "\n" not in str(error) and str(path) in str(error)
        else:
            told += 1
    assert told == INPUTS


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\x80\x02.", b"PK\x03\x04", pickle.dumps(3), pickle.dumps([{}] * 3), b"\x80\x04\x95" + b"\xff" * 40]
)
@pytest.mark.parametrize("ending", ["pt", "pth", "safetensors"])
def test_what_is_no_file_of_weights_is_told(tmp_path, content, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    with pytest.raises(ComponentError, match=str(path)):
        read(str(path))


class Attack:
    def __reduce__(self):
        return print, ("run",)


def test_code_in_a_pickle_is_not_run(tmp_path, capsys):
    torch.save({"weight": Attack()}, tmp_path / "a.pt")
    with pytest.raises(ComponentError, match="holds more than tensors"):
        read(str(tmp_path / "a.pt"))
    assert capsys.readouterr().out == ""


KINDS = [torch.int64, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_numbers_of_another_kind_are_refused(kind):
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    given = {name: value.to(kind) if name == "2.weight" else value + 1 for name, value in before.items()}
    with pytest.raises(ComponentError, match=f"'2.weight' holds numbers of another kind .*: {str(kind)[6:]} for float32"):
        load(model.state_dict(), Weights("a.pt", given))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_floats_of_another_width_are_taken(kind):
    model = network()
    given = {name: value.to(kind) if value.is_floating_point() else value for name, value in model.state_dict().items()}
    assert load(network().state_dict(), Weights("a.pt", given)).how == "name"


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda weight: weight.to_sparse(), "sparse_coo"),
        (lambda weight: weight.to("meta"), "strided on 'meta'"),
    ],
)
def test_what_is_no_plain_tensor_is_refused(tmp_path, make, kind):
    torch.save({"0.weight": make(torch.eye(3, 4))}, tmp_path / "a.pt")
    with pytest.raises(ComponentError, match=r"'0\.weight' is no plain tensor but " + kind):
        read(str(tmp_path / "a.pt"))
