"""Every shipped config trains for two steps, is evaluated and keeps its checkpoint; data that is not here is skipped."""

import gzip
import os
import re
import shutil
import tarfile
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlx.commands.evaluate import evaluate
from dlx.commands.recording import record
from dlx.commands.train import train
from dlx.data.control import catalogue
from dlx.errors import ComponentError

pytestmark = pytest.mark.usefixtures("blank_pictures")
CONFIGS = Path(__file__).parents[1] / "configs"
NAMES = sorted(str(file.relative_to(CONFIGS)) for file in CONFIGS.rglob("*.yaml"))
CLOTHES = Path("/usr/share/datasets/fashion-mnist")  # Debian's package dataset-fashion-mnist


def images(folder: Path) -> Path:
    generator = np.random.default_rng(0)
    for number in range(24):
        (folder / f"class{number % 2}").mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"class{number % 2}" / f"{number}.png")
    return folder


def excerpt(data: Path, folder: Path) -> Path:
    """Copy the first files that the lists of a data set name, and lists of them."""
    for listed in [*data.glob("*.txt"), *data.glob("ImageSets/Main/*.txt")]:
        lines = listed.read_text().splitlines()[:6]
        (folder / listed.relative_to(data)).parent.mkdir(parents=True, exist_ok=True)
        (folder / listed.relative_to(data)).write_text("\n".join(lines))
        for word in " ".join(lines).split():
            for file in [data / word] if "/" in word else data.glob(f"*/{word}.*"):
                (folder / file.relative_to(data)).parent.mkdir(exist_ok=True)
                shutil.copy(file, folder / file.relative_to(data))
    return folder


def texts(text: str, folder: Path) -> list[str]:
    """Copy the first lines of the packed files of texts that a config names."""
    changes = ["data.vocabulary_size=500"]
    for key, file in re.findall(r"(\w+): (\$DLX_DATA/\S+\.gz)", text):
        with gzip.open(os.path.expandvars(file), "rt") as given, gzip.open(folder / f"{key}.gz", "wt") as taken:
            taken.writelines(islice(given, 120))
        changes.append(f"data.{key}={folder / f'{key}.gz'}")
    return changes


def archives(data: Path, folder: Path) -> Path:
    """Copy every fiftieth image of packed folders of classes."""
    folder.mkdir()
    for packed in data.glob("*.tar.gz"):
        with tarfile.open(packed) as given, tarfile.open(folder / packed.name, "w:gz") as taken:
            for member in [one for one in given if one.isfile()][::50]:
                taken.addfile(member, given.extractfile(member))
    return folder


def environment(text: str, folder: Path) -> list[str]:
    """Give what shortens a training in an environment, or skip it where that is not installed."""
    name = re.search(r"environment: (\S+)", text)[1]
    try:
        catalogue.make(name, {}).close()
    except ComponentError as error:
        pytest.skip(str(error))
    if "name: demonstrations" in text:
        record("random", name, folder / "played.safetensors", episodes=2, seed=0, overrides=[])
        return ["data.episodes=2", f"data.file={folder / 'played.safetensors'}"]
    return ["data.episodes=2", *(["data.warmup=64"] if "name: replay" in text else ["data.steps=64"])]


def overrides(name: str, text: str, folder: Path) -> list[str]:
    """Give what lets a config run here, or skip it."""
    if "DLX_DATA" in text and not os.environ.get("DLX_DATA"):
        pytest.skip("DLX_DATA is not set")
    if name.startswith("history") and "epochs: 0" in text:
        return []
    changes = [*([] if "\nsteps:" in text else ["~epochs"]), "steps=2", "device.precision=float32"]
    if name.startswith("control"):
        changes += environment(text, folder)
    if "fashion_mnist" in name:
        if not CLOTHES.is_dir():
            pytest.skip("no Fashion-MNIST here")
        changes += [f"data.path={CLOTHES}", "data.download=false"]
    if name.startswith("image_generation/fashion_mnist"):
        changes += ["data.val=0.002", "data.batch_size=16"]
    if "diffusion" in text:
        changes += ["task.sampling_steps=2"]
    if "name: spoken_" in text and shutil.which("espeak-ng") is None:
        pytest.skip("no espeak-ng here")
    if "name: spoken_" in text or "name: synthetic_words" in text or "name: synthetic_phrases" in text:
        changes += ["data.voices=3", "data.takes=2"]
    if "folder_" in name:
        changes += [f"data.path={images(folder / 'images')}", "data.image_size=64", "model.weights=none", "data.batch_size=4"]
    if "cifar10" in name:
        path = archives(Path(os.environ["DLX_DATA"]) / "image_classification" / "cifar10_jpeg", folder / "excerpt")
        changes += [f"data.path={path}", "data.batch_size=16", "data.val=0.05"]
    if "folder_" in name or "cifar10" in name:
        changes += [f"data.cache={folder / 'cache'}"]
    if name.startswith(("translation/spa", "summarization/aeslc")):
        changes += texts(text, folder)
    if "etth1" in name:
        changes += ["data.train=1500", "data.val=700", "data.test=700"]
    if "name: digit_scenes" in text:
        changes += ["data.train=64", "data.val=16", "data.test=16"]
    if "cifar10_mobilenet" in name:
        changes += ["model.weights=none"]
    if name.startswith(("detection/bccd", "segmentation/camvid")):
        path = excerpt(Path(os.path.expandvars(re.search(r"path: (\S+)", text)[1])), folder / "excerpt")
        changes += [f"data.path={path}", "data.image_size=[96, 128]", "data.batch_size=4"]
    return changes


@pytest.mark.parametrize("name", NAMES)
def test_a_config_runs(name, tmp_path):
    text = (CONFIGS / name).read_text()
    if extends := [line.split(":")[1].strip() for line in text.splitlines() if line.startswith("extends:")]:
        text += (CONFIGS / name).with_name(extends[0]).read_text()
    changes = overrides(name, text, tmp_path)
    result = train(str(CONFIGS / name), changes, name=None, resume=False, runs=tmp_path / "runs", quiet=True)
    assert result["step"] == (2 if changes else 0)
    found = evaluate(result["run"], [], "val")
    assert found["step"] <= 2
    assert any(key.startswith("baseline/") for key in found)
