"""What every entry of every registry must do: a new file is tested here once it has an example, and fails without one."""

import ast
from pathlib import Path

import pytest
import torch
from tests.helpers.examples import metrics, models, others, sources
from tests.layers.test_layers import EXAMPLES as LAYERS

from dlx import registry, testing
from dlx.core import Task
from dlx.registry.signatures import check

ROOT = Path(__file__).parents[1]


def name_of(item):
    return item if isinstance(item, str) else next(iter(item))


EXAMPLES = {
    "model": {*models.CLASSIFIERS, *models.GENERATORS, *(name for name, *_ in models.ACTING)},
    "layer": {name_of(item) for item, _, _ in LAYERS},
    "task": set(others.TASKS),
    "data set": set(sources.SOURCES),
    "processor": set(others.PROCESSORS),
    "metric": {*metrics.METRICS, *metrics.DRAWING},
    "optimizer": set(others.OPTIMIZERS),
    "schedule": set(others.SCHEDULES),
    "logger": set(others.LOGGERS),
    "augmentation": {name_of(item) for item in others.AUGMENTATIONS},
}


@pytest.mark.parametrize("kind", registry.REGISTRIES)
def test_every_entry_has_an_example_and_every_example_an_entry(kind):
    names = set(registry.REGISTRIES[kind].names())
    without, strange = names - EXAMPLES[kind], EXAMPLES[kind] - names
    assert not without, f"no example of the {kind} '{min(without)}': add one to tests/helpers/examples"
    assert not strange, f"tests/helpers/examples has a {kind} '{min(strange)}', which is not registered"


@pytest.mark.parametrize("name", sorted(models.CLASSIFIERS))
def test_models_that_choose(name, request):
    choices, facts, output = models.CLASSIFIERS[name]
    if name in models.ON_META:
        request.getfixturevalue("on_meta")
        batch = {"input": torch.empty(2, *facts["input_shape"])}
        testing.check_model(name, facts, batch, choices, output_shape=output, on_meta=True)
    else:
        trained = name not in models.GIVEN
        testing.check_model(name, facts, models.table_batch(facts), choices, output_shape=output, trained=trained)


def generators():
    for name in sorted(models.GENERATORS):
        yield pytest.param(name, {}, id=name)
        assert name in registry.models
        if "conditional" in registry.models.signatures[name].choices:
            yield pytest.param(name, {"conditional": True}, id=f"{name}-conditional")


def words(name, choices, facts):
    """Give three samples of what a generating model's forward reads, by its words."""
    checked, faults = check(registry.models.signatures[name], choices)
    assert not faults
    model = registry.models.build(name, checked, facts)
    image = torch.randn(3, *facts["input_shape"])
    given = {"image": image, "input": image, "time": torch.tensor([0.25, 0.5, 0.75]), "label": torch.arange(3)}
    asked = Task(model).words
    if "noise" in asked:
        given["noise"] = torch.randn(3, model.latent_size)
    if not choices.get("conditional"):
        del given["label"]
    return {word: given[word] for word in asked if word in given}


@pytest.mark.parametrize(("name", "more"), list(generators()))
def test_models_that_generate(name, more):
    given, facts = models.GENERATORS[name]
    choices = given | more
    testing.check_model(name, facts, words(name, choices, facts), choices, trained=name == "unet")


@pytest.mark.parametrize(("name", "choices", "facts", "output"), models.ACTING)
def test_models_that_act(name, choices, facts, output):
    trained = name != "actor_and_twin_critics"  # its forward is the actor alone
    testing.check_model(name, facts, models.table_batch(facts), choices, output_shape=output, trained=trained)


@pytest.mark.parametrize(("written", "input_shape", "output_shape"), LAYERS, ids=lambda value: str(value)[:40])
def test_layers(written, input_shape, output_shape):
    codes = 9 if name_of(written) in ("embedding", "word_vectors") else 0
    facts = {"num_classes": 3, "vocab_size": 9, "processor": others.Words()}
    testing.check_layer(written, input_shape, output_shape, facts, codes)


@pytest.mark.parametrize("name", sorted(others.TASKS))
def test_tasks(name):
    choices, facts, model, batch = others.TASKS[name]
    testing.check_task(name, facts, model(), batch(), choices)


@pytest.mark.parametrize("name", sorted(sources.SOURCES))
def test_data_sets(name, tmp_path, monkeypatch):
    choices = sources.SOURCES[name](tmp_path, monkeypatch)
    assert name in registry.sources
    checked, faults = check(registry.sources.signatures[name], choices)
    assert not faults
    testing.check_source(lambda **facts: registry.sources.build(name, checked, {"seed": 0, **facts}))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_number_of_workers_changes_nothing(workers, tmp_path, monkeypatch):
    choices = sources.image_folder(tmp_path, monkeypatch) | {"cache": "none", "num_workers": workers}
    checked, _ = check(registry.sources.signatures["image_folder"], choices)
    source = registry.sources.build("image_folder", checked, {"seed": 0})
    (tmp_path / "other").mkdir()
    cached, _ = check(
        registry.sources.signatures["image_folder"], choices | {"cache": str(tmp_path / "other"), "num_workers": 0}
    )
    expected = registry.sources.build("image_folder", cached, {"seed": 0})
    for one, other in zip(source.train(None), expected.train(None), strict=True):
        assert torch.equal(one["input"], other["input"])
    source.close()


@pytest.mark.parametrize("name", sorted(others.PROCESSORS))
def test_processors(name, tmp_path):
    processor, examples, prediction = others.PROCESSORS[name](tmp_path)
    assert processor.name == name
    testing.check_processor(processor, examples, prediction)


@pytest.mark.parametrize("name", sorted(metrics.METRICS))
def test_metrics(name):
    choices, batches, expected = metrics.METRICS[name]
    if isinstance(expected, str):
        assert_test(expected)
        expected = None
    testing.check_metric(name, metrics.FACTS, batches(), expected, choices)


@pytest.mark.parametrize("name", sorted(metrics.DRAWING))
def test_metrics_that_draw_are_tested_where_it_says(name):
    assert_test(metrics.DRAWING[name])


def assert_test(place):
    """See that a test is where an example says."""
    file, _, test = place.partition("::")
    functions = [node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.FunctionDef)]
    assert test in functions, f"{file} has no {test}"


@pytest.mark.parametrize("written", others.AUGMENTATIONS, ids=str)
def test_augmentations(written):
    rough = torch.randint(0, 256, (64, 3, 4, 4), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    images = torch.nn.functional.interpolate(rough, (16, 16), mode="bilinear", antialias=True)
    facts = {"input_shape": [3, 16, 16], "channel_mean": [0.5] * 3, "num_classes": 4}
    mixes, carries = (name_of(written) in some for some in (others.MIXING, others.JOINING))
    testing.check_augmentation(written, facts, images, mixes=mixes, carries=carries)


@pytest.mark.parametrize("name", sorted(others.OPTIMIZERS))
def test_optimizers(name):
    testing.check_optimizer(name, others.OPTIMIZERS[name])


@pytest.mark.parametrize("name", sorted(others.SCHEDULES))
def test_schedules(name):
    testing.check_schedule(name, others.SCHEDULES[name])


@pytest.mark.parametrize("name", sorted(others.LOGGERS))
def test_loggers(name, tmp_path):
    testing.check_logger(name, tmp_path, others.LOGGERS[name])
