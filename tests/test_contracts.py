"""What every entry of a registry must do: a new file in models/, data/ or loggers/ is tested here without a new test."""

import json
import math

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from dlx import registry
from dlx.core import Logger, Source, Task
from dlx.registry.signatures import REQUIRED, check

TABLE = {"num_features": 4, "input_shape": [4], "num_classes": 3}
IMAGE = {"in_channels": 3, "input_shape": [3, 224, 224], "num_classes": 3, "channel_mean": [0.5] * 3, "channel_std": [0.2] * 3}
# What a component with required choices is built with; any other is built with its defaults.
EXAMPLES = {
    "sequential": ({"layers": [{"dense": 8}, "relu", {"dense": "num_classes"}]}, TABLE),
    "mcculloch_pitts": (
        {"units": [[{"weights": [1, 1, 1, 1], "threshold": 2}]]},
        {"num_features": 4, "input_shape": [4], "num_classes": 2},
    ),
    "perceptron": ({}, {"num_features": 4, "input_shape": [4], "num_classes": 2}),
    "gan": (
        {
            "generator": [{"dense": 64}, "tanh", {"reshape": [1, 8, 8]}],
            "discriminator": ["flatten", {"dense": 8}, "relu", {"dense": 1}],
        },
        {"input_shape": [1, 8, 8], "num_classes": 3},
    ),
}
ZOO = set(torchvision.models.list_models(module=torchvision.models))
WORDS = {"input", "category", "target", "index"}


def example(name):
    wanted = registry.models.signatures[name]
    if name in EXAMPLES:
        return EXAMPLES[name]
    if required := [c.name for c in wanted.choices.values() if c.default is REQUIRED]:
        pytest.fail(f"model '{name}' has required choices {required}: give an example of them here")
    if "num_features" in wanted.facts:
        return {}, TABLE
    return {}, IMAGE if name in ZOO else {**IMAGE, "input_shape": [3, 32, 32]}


def variants():
    """Give every model, and those that may be told the class once more so."""
    for name in registry.models.names():
        yield pytest.param(name, {}, id=name)
        if "conditional" in registry.models.signatures[name].choices:
            yield pytest.param(name, {"conditional": True}, id=f"{name}-conditional")


def words(model, facts):
    """Give two samples of what the model's forward reads, by its words."""
    image = torch.ones(2, *facts["input_shape"])
    given = {"input": image, "image": image, "time": torch.full((2,), 0.5)}
    if hasattr(model, "latent_size"):
        given["noise"] = torch.ones(2, model.latent_size)
    if getattr(model, "conditional", False):
        given["label"] = torch.arange(2)
    return {word: given[word] for word in Task(model).words if word in given}


@pytest.mark.parametrize(("name", "more"), list(variants()))
def test_a_model_answers_with_one_row_a_sample_and_keeps_its_state(name, more, request):
    given, facts = example(name)
    choices, faults = check(registry.models.signatures[name], given | more)
    assert not faults
    if name in ZOO:  # the published networks are too large to be filled here
        request.getfixturevalue("on_meta")
    model = registry.models.build(name, choices, facts).eval()
    batch = words(model, facts)
    shapes = {(2, facts["num_classes"]), (2, 1)} if "input" in batch else {(2, *facts["input_shape"])}
    assert model(**batch).shape in shapes
    assert not [p for p in model.parameters() if p.dtype != torch.float32]
    if name not in ZOO:
        again = registry.models.build(name, choices, facts).eval()
        again.load_state_dict(model.state_dict())
        torch.testing.assert_close(again(**batch), model(**batch))


@pytest.mark.parametrize("name", registry.sources.names())
def test_a_data_set_gives_batches_in_the_words_of_the_glossary(name):
    wanted = registry.sources.signatures[name]
    assert set(wanted.facts) <= {"seed", "processor", "wanted_splits", "task_target"}
    if required := [c.name for c in wanted.choices.values() if c.default is REQUIRED]:
        pytest.skip(f"needs {', '.join(required)}; its own tests build it")
    choices = {c.name: c.default for c in wanted.choices.values()}
    source = registry.sources.build(name, choices, {"seed": 0})
    assert isinstance(source, Source)
    json.dumps(dict(source.facts))  # kept in every checkpoint
    batch = next(iter(source.train(None)))
    assert set(batch) <= WORDS
    assert batch["input"].dtype == torch.float32
    assert list(batch["input"].shape[1:]) == source.facts["input_shape"]
    assert batch["target"].dtype == (torch.int64 if "num_classes" in source.facts else torch.float64)
    again = registry.processors.get(source.processor.name).from_state(json.loads(json.dumps(source.processor.state_dict())))
    assert again.state_dict() == source.processor.state_dict()


@pytest.mark.parametrize("name", registry.loggers.names())
def test_a_logger_takes_whatever_a_run_tells_it(name, tmp_path):
    from dlx.pictures.figures import curves
    from dlx.pictures.grids import Grid
    from dlx.storage.run import Run

    class Bare:
        """Does what the protocol promises, and has nothing else."""

        def savefig(self, file, /):
            Image.new("L", (4, 3)).save(file, format="PNG")

    with Run.create(tmp_path, "run", exact=True) as run:
        logger: Logger = registry.loggers.build(name, {}, {"run": run, "quiet": True})
        logger.log(1, {"train/loss": 0.5, "epoch": 1, "val/f1/$[/b]\n": math.nan})
        logger.progress(1, 2)
        logger.message("a line")
        pictures = {"curves": curves([{"step": 1, "train/loss": 0.5}]), "bare": Bare()}
        for name, picture in {**pictures, "grid": Grid(np.zeros((2, 1, 8, 8), np.uint8), 2)}.items():
            logger.picture(1, name, picture)
            logger.frame(1, name, picture)
        logger.close()
