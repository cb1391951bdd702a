"""Metrics of generated images equal their formulas, for any batch size, and what is the same is told to be the same."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.stats import wasserstein_distance

from dlx import registry
from dlx.errors import ComponentError
from dlx.metrics.generation import inception
from dlx.metrics.generation.classifier_score import Said
from dlx.metrics.generation.comparison import restored, sample
from dlx.metrics.generation.fid import frechet
from dlx.metrics.generation.nearest import search
from dlx.metrics.generation.sliced_wasserstein import wasserstein

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


def images(count, seed, low=0, high=256, shape=(3, 4, 5)):
    return torch.randint(low, high, (count, *shape), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def standardized(pixels):
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (MEAN, STD))
    return (pixels / 255 - mean) / std


def batches(pixels, size=7, classes=3):
    """Lay images out as the batches of a split, whose classes come in turn."""
    target = torch.arange(len(pixels)) % classes
    words = {"input": standardized(pixels), "target": target, "index": torch.arange(len(pixels))}
    return [{k: v[start : start + size] for k, v in words.items()} for start in range(0, len(pixels), size)]


TRAINING = images(50, 99)


class Toy:
    """A network whose features are whole sums of pixels: the same in any batch."""

    name, class_names = "toy", ["a", "b", "c"]

    def __init__(self):
        self.weights = torch.randint(-3, 4, (60, 6), generator=torch.Generator().manual_seed(0)).double()

    def features(self, images):
        return (images.flatten(1).double() @ self.weights / 255).float()

    def logits(self, images):
        return self.features(images)[:, :3]


def trained(path):
    if path != "runs/toy":
        raise ComponentError(f"{path}: no run or checkpoint is there")
    return Toy()


FACTS = {
    "trained": trained,
    "input_shape": [3, 4, 5],
    "num_classes": 3,
    "class_names": ["a", "b", "c"],
    "channel_mean": MEAN,
    "channel_std": STD,
    "seed": 5,
    "training": lambda: iter(batches(TRAINING, 8)),
}


def build(name, facts=None, **choices):
    return registry.metrics.build(name, choices, FACTS | (facts or {}))


def feed(metric, generated, real, size=1000, label=None):
    for start, batch in zip(range(0, len(real), size), batches(real, size), strict=True):
        prediction = {"image": generated[start : start + size]}
        metric.update(prediction if label is None else prediction | {"label": label[start : start + size]}, batch)
    return metric


def number(name, generated, real, size=1000, **choices):
    return next(iter(feed(build(name, **choices), generated, real, size).compute().values()))


# Two sets of images.


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_real_images_are_as_their_files_had_them(dtype):
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, -1, -1)
    found = restored(standardized(pixels).to(dtype), MEAN, STD)
    assert found.dtype == torch.uint8
    assert (found.int() - pixels.int()).abs().max() <= (0 if dtype == torch.float32 else 2)


@given(st.integers(1, 60), st.integers(1, 20), st.booleans())
@settings(max_examples=30)
def test_training_images_are_taken_at_even_strides(count, size, counted):
    counts = [20, 30] if counted else None
    taken = [batch["index"] for batch in sample(lambda: iter(batches(TRAINING, size)), count, counts)]
    numbers = torch.cat(taken)
    assert len(numbers) == min(count, 50)
    strides = numbers.diff()
    assert len(strides) == 0 or strides.max() - strides.min() <= 1
    assert numbers[0] <= 50 / len(numbers)
    assert numbers[-1] == 49


# Sliced Wasserstein.


@given(st.integers(1, 30), st.integers(1, 30))
@settings(max_examples=50)
def test_a_column_s_distance_is_scipy_s(n, m):
    rng = np.random.default_rng(n * 31 + m)
    one, other = rng.integers(0, 9, (n, 3)) / 4, rng.integers(0, 9, (m, 3)) / 4
    wanted = [wasserstein_distance(one[:, k], other[:, k]) for k in range(3)]
    assert wasserstein(one, other) == pytest.approx(wanted, rel=1e-12, abs=1e-12)


def test_brighter_images_are_as_far_away_as_they_are_brighter():
    real = images(40, 0, high=200)
    assert number("sliced_wasserstein", real + 51, real, directions=4000) == pytest.approx(0.2, rel=0.05)


def test_directions_follow_from_the_seed():
    one, other = images(9, 1), images(9, 2)
    found = [feed(build("sliced_wasserstein", {"seed": s}), one, other).compute()["sliced_wasserstein"] for s in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


# Diversity.


def test_diversity_is_the_ratio_of_the_mean_squared_distances_between_different_images():
    def spread(pixels):
        rows = pixels.double().flatten(1)
        return torch.cdist(rows, rows).square().sum() / (len(rows) * (len(rows) - 1))

    one, other = images(11, 1, 90, 160), images(11, 2)
    assert number("diversity", one, other) == pytest.approx(float(spread(one) / spread(other)), rel=1e-9)


def test_collapse_has_no_diversity():
    assert number("diversity", images(1, 1).expand(20, -1, -1, -1), images(20, 2)) == 0


# FID and KID.


def toy_features(pixels):
    return Toy().features(pixels).double().numpy()


@pytest.mark.parametrize("count", [40, 4])  # with 4 images, fewer than features
def test_fid_is_its_formula(count):
    one, other = images(count, 1, 50), images(count + 3, 2)
    (m, n), (a, b) = ([f(toy_features(x)) for x in (one, other)] for f in (lambda x: x.mean(0), lambda x: np.cov(x.T)))
    wanted = ((m - n) ** 2).sum() + np.trace(a + b - 2 * sqrtm(a @ b).real)
    metric = build("fid", **TOY)
    for start in range(0, count + 3, 5):  # as many generated as real ones only by chance
        metric.real.add(other[start : start + 5])
    metric.generated.add(one)
    assert metric.compute() == {"fid_toy": pytest.approx(wanted, rel=1e-5)}


def test_frechet_of_what_has_one_axis_only():
    axis, other = np.diag([4.0, 0, 0]), np.diag([0, 9.0, 0])
    assert frechet(np.zeros(3), axis, np.ones(3), other) == pytest.approx(3 + 4 + 9)
    assert frechet(np.zeros(3), axis, np.zeros(3), 4 * axis) == pytest.approx((4 - 2) ** 2)


def test_kid_is_the_mean_over_all_pairs():
    def kernel(a, b):
        return (sum(x * y for x, y in zip(a, b, strict=True)) / 6 + 1) ** 3

    one, other = images(7, 1, 50), images(5, 2)
    metric = build("kid", **TOY)
    metric.generated.add(one), metric.real.add(other)
    x, y = toy_features(one).tolist(), toy_features(other).tolist()
    within = [np.mean([kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j]) for z in (x, y)]
    wanted = sum(within) - 2 * np.mean([kernel(a, b) for a in x for b in y])
    assert metric.compute() == {"kid_toy": pytest.approx(wanted, rel=1e-9)}


def test_fid_and_kid_are_torch_fidelity_s():
    fid, kid = (pytest.importorskip(f"torch_fidelity.metric_{name}") for name in ("fid", "kid"))
    one, other = images(60, 1, 50), images(60, 2)
    features = [Toy().features(x).double() for x in (one, other)]
    statistics = [fid.fid_features_to_statistics(f) for f in features]
    wanted = fid.fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    assert number("fid", one, other, 9, **TOY) == pytest.approx(wanted, rel=1e-6)
    choices = {"kid_subsets": 1, "kid_subset_size": 60, "verbose": False, "rng_seed": 0}
    wanted = kid.kid_features_to_metric(*features, **choices)["kernel_inception_distance_mean"]
    assert number("kid", one, other, 9, **TOY) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("name", ["fid", "kid"])
@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "says by whose features .*; give one of them"),
        ({"classifier": "runs/toy", "inception": "x.pth"}, "; give only one of them"),
        ({"classifier": "runs/tyo"}, "runs/tyo: no run or checkpoint is there"),
        ({"inception": "none.pth"}, "no file .*none.pth; give torch-fidelity's weights-inception-2015-12-05-6726825d.pth"),
    ],
)
def test_whose_features_must_be_said(name, choices, message):
    with pytest.raises(ComponentError, match=message) as caught:
        build(name, **choices)
    assert caught.value.path == ((next(iter(choices)),) if len(choices) == 1 else ())


# Inception.


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Save random weights in the published format."""
    extractor = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    file = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save({}, file)
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        torch.manual_seed(0)
        patch.setattr(extractor.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = extractor.FeatureExtractorInceptionV3("random", ["2048"], str(file))
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d):  # else values vanish on their way through the layers, which is slow
                torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    torch.save(network.state_dict(), file)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # beside other tests more of them wait for each other
    yield file
    torch.set_num_threads(threads)


def test_inception_s_features_are_torch_fidelity_s(weights, monkeypatch):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    monkeypatch.setattr(FeatureExtractorInceptionV3, "INPUT_IMAGE_SIZE", 96)  # 299 takes ten times as long
    network, before = FeatureExtractorInceptionV3("its", ["2048"], str(weights)), torch.get_rng_state()
    generated, grey = images(2, 2), images(1, 3, shape=(1, 9, 9))
    metric = feed(build("fid", inception=str(weights)), generated[:1], images(1, 1))
    assert torch.equal(torch.get_rng_state(), before)
    own = metric.network.features(generated)
    assert own.shape == (2, 2048)
    assert own.std() > 0.01
    assert torch.allclose(own, network(generated)[0], rtol=1e-4, atol=1e-5)
    assert torch.allclose(metric.network.features(grey), network(grey.expand(-1, 3, -1, -1))[0], rtol=1e-4, atol=1e-5)
    assert metric.generated.mean() == pytest.approx(own[0].double().numpy(), rel=1e-4, abs=1e-5)
    assert metric.name == "fid"
    assert build("kid", inception=str(weights)).network is metric.network


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": Path("x")}, "holds more than tensors, or is damaged"),
        ([torch.zeros(1)], "holds no tensors by name"),
        ({"fc.weight": torch.zeros(2, 2)}, "is not torch-fidelity's Inception, such as weights-inception"),
    ],
)
def test_a_file_of_other_content_is_refused(content, message, tmp_path):
    pytest.importorskip("torch_fidelity")
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ComponentError, match=message):
        inception.load(str(tmp_path / "other.pth"))


def test_what_is_no_file_of_torch_is_refused(tmp_path):
    pytest.importorskip("torch_fidelity")
    (tmp_path / "other.pth").write_text("hello")
    with pytest.raises(ComponentError, match=r"other.pth: "):
        inception.load(str(tmp_path / "other.pth"))


def test_without_torch_fidelity_its_installation_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    (tmp_path / "weights.pth").touch()
    with pytest.raises(ComponentError, match=r"needs the extra 'fid': pip install 'dlx\[fid\]'"):
        inception.load(str(tmp_path / "weights.pth"))


# What a classifier says.


def test_the_score_is_the_inception_score():
    logits = 3 * torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    said = Said(3)
    for part in logits.split(8):
        said.add(part, None)
    p = logits.double().softmax(-1)
    assert said.score() == pytest.approx(float((p * (p / p.mean(0)).log()).sum(-1).mean().exp()), rel=1e-9)


@pytest.mark.parametrize(("given", "wanted"), [([0, 1, 2], 3.0), ([1, 1, 1], 1.0)])
def test_the_score_goes_from_1_to_the_number_of_classes(given, wanted):
    said = Said(3)
    said.add(200 * torch.eye(3)[given], None)
    assert said.score() == pytest.approx(wanted)


def scored(labels, label=None, **choices):
    """Score images that the classifier gives these labels, where the real ones have all three classes in turn."""
    metric = build("classifier_score", **TOY, **{"per_class": True, **choices})
    metric.network.logits = lambda pixels: 200 * torch.eye(3)[pixels[:, 0, 0, 0].long()]
    pixels = torch.tensor(labels, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 4, 5)
    return feed(metric, pixels, images(len(labels), 0), 5, label)


def test_labels_are_held_against_those_asked_for():
    found = scored([0, 1, 1, 2, 1, 1], label=torch.tensor([0, 1, 0, 2, 1, 2])).compute()
    assert next(iter(found)) == "label_accuracy"
    assert found["label_accuracy"] == pytest.approx(4 / 6)
    assert [found[f"label_accuracy/{name}"] for name in "abc"] == [0.5, 1, 0.5]
    assert "share/a" not in found


def test_coverage_counts_classes_with_a_tenth_of_their_real_share():
    found = scored([0] * 86 + [1] * 3 + [2] * 1).compute()  # a real class has 30 of 90
    assert found["coverage"] == pytest.approx(2 / 3)
    assert [found[f"share/{name}"] for name in "abc"] == pytest.approx([86 / 90, 3 / 90, 1 / 90])
    assert list(scored([0, 1, 2], per_class=False).compute()) == ["classifier_score", "coverage"]
    assert "label_accuracy" not in found


def test_the_baseline_scores_training_images_with_their_own_labels():
    metric = feed(build("classifier_score", **TOY), images(25, 1), images(25, 2), 6, torch.arange(25) % 3)
    wanted = feed(build("classifier_score", **TOY), TRAINING[1::2], images(25, 2), label=(torch.arange(50) % 3)[1::2])
    assert metric.baseline() == pytest.approx(wanted.compute())
    assert "label_accuracy" not in feed(build("classifier_score", **TOY), images(25, 1), images(25, 2)).baseline()


def test_the_judge_must_be_named():
    with pytest.raises(ComponentError, match="needs to be told which classifier judges"):
        build("classifier_score")
    with pytest.raises(ComponentError, match="no run or checkpoint is there") as caught:
        build("classifier_score", classifier="runs/tyo")
    assert caught.value.path == ("classifier",)


def test_a_classifier_of_other_classes_is_refused():
    with pytest.raises(ComponentError, match="runs/toy: classifies as a, b, c, but the data's classes are a, b, d") as caught:
        build("classifier_score", {"class_names": ["a", "b", "d"]}, **TOY)
    assert caught.value.path == ("classifier",)


# Nearest training images.


def test_the_distance_is_the_median_to_the_nearest_over_that_of_real_images():
    generated, real = images(9, 1, 50), images(9, 2)
    rows = [x.double().flatten(1) for x in (generated, real, TRAINING)]
    medians = [torch.cdist(x, rows[2]).amin(1).median() for x in rows[:2]]
    assert number("nearest", generated, real, 4) == pytest.approx(float(medians[0] / medians[1]), rel=1e-5)


def test_copies_are_at_0():
    assert number("nearest", TRAINING[20:40], images(20, 2)) == 0
    assert np.isnan(number("nearest", images(20, 2), TRAINING[20:40]))


@given(st.integers(1, 20), st.integers(1, 6))
@settings(max_examples=10)
def test_the_nearest_are_found_in_any_stream(size, count):
    wanted = images(6, 1)
    found = search(wanted.flatten(1), TRAINING.split(size), count)
    rows = [x.double().flatten(1) / 255 for x in (wanted, TRAINING)]
    distances, numbers = (torch.cdist(*rows) / 60**0.5).sort(1)
    assert torch.equal(found.numbers, numbers[:, :count])
    assert torch.allclose(found.distances.double(), distances[:, :count], atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_likeliest_copies_are_drawn_beside_their_nearest(channels, tmp_path, monkeypatch):
    from dlx.pictures import figures

    shown = []
    monkeypatch.setattr(figures, "neighbours", lambda *given, draw=figures.neighbours: shown.append(given) or draw(*given))
    facts = {"channel_mean": [0.5] * channels, "channel_std": [0.5] * channels}
    facts["training"] = lambda: iter([{"input": TRAINING[:, :channels] / 127.5 - 1}])
    metric = build("nearest", facts, most=4, neighbours=2)
    generated = torch.cat([images(7, 1), TRAINING[30:31]])[:, :channels]
    metric.update({"image": generated}, {"input": images(8, 2)[:, :channels] / 127.5 - 1})
    metric.pictures()["nearest"].savefig(tmp_path / "nearest.png")
    pixels, distances = shown[0]
    assert pixels.shape == (4, 3, 4, 5, channels)
    copy = TRAINING[30, :channels].permute(1, 2, 0).numpy()
    assert (pixels[0, 0] == copy).all()
    assert (pixels[0, 1] == copy).all()
    assert distances[0, 0] == 0 < distances[0, 1]
    assert (np.diff(distances[:, 0]) >= 0).all()


# All of them.

TOY = {"classifier": "runs/toy"}
NAMES = {"diversity": {}, "sliced_wasserstein": {}, "fid": TOY, "kid": TOY}
SAME = {"diversity": 1.0, "sliced_wasserstein": 0.0, "fid": 0.0, "nearest": 1.0}
OTHERS = {"nearest": {}, "classifier_score": TOY}


@pytest.mark.parametrize("name", NAMES | OTHERS)
@given(st.integers(1, 30), st.integers(0, 23))
@settings(max_examples=8)
def test_numbers_are_the_same_for_any_batches_and_however_they_are_merged(name, size, cut):
    generated, real = images(23, 1), images(23, 2)
    wanted = feed(build(name, **(NAMES | OTHERS)[name]), generated, real).compute()
    assert feed(build(name, **(NAMES | OTHERS)[name]), generated, real, size).compute() == pytest.approx(wanted, rel=1e-9)
    first = feed(build(name, **(NAMES | OTHERS)[name]), generated[:cut], real[:cut])
    first.merge(feed(build(name, **(NAMES | OTHERS)[name]), generated[cut:], real[cut:]))
    assert first.compute() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("name", SAME)
def test_the_same_images_are_told_to_be_the_same(name):
    real = images(30, 3)
    assert number(name, real, real, **(NAMES | OTHERS)[name]) == pytest.approx(SAME[name], abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_baseline_is_that_of_training_images_in_the_place_of_the_generated(name):
    real = images(25, 4)
    metric = feed(build(name, **(NAMES | OTHERS)[name]), images(25, 5), real, 6)
    found = metric.baseline()
    assert found == pytest.approx(feed(build(name, **(NAMES | OTHERS)[name]), TRAINING[1::2], real).compute(), rel=1e-9)
    assert found.keys() == metric.compute().keys()
    assert not feed(build(name, {"training": None}, **(NAMES | OTHERS)[name]), images(9, 5), images(9, 4)).baseline()


@pytest.mark.parametrize("name", NAMES | OTHERS)
def test_metrics_leave_the_random_state_as_it_is(name):
    before = torch.get_rng_state()
    metric = feed(build(name, **(NAMES | OTHERS)[name]), images(9, 1), images(9, 2))
    metric.compute(), metric.baseline(), metric.pictures()
    assert torch.equal(torch.get_rng_state(), before)
