"""Data sets: how each is built in a folder of the test's, with files of its own or torchvision's class stood in for."""

import csv
import gzip
import json
import struct
from pathlib import Path

import numpy as np
import torchvision
from PIL import Image
from tests.helpers import annotated_files, image_files, recordings

from dlx.registry.signatures import check


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder, zipped=True, count=30):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for prefix, size in (("train", count), ("t10k", 10)):
        arrays = {
            "images-idx3": rng.integers(0, 256, (size, 28, 28), np.uint8),
            "labels-idx1": np.arange(size, dtype=np.uint8) % 10,
        }
        for kind, array in arrays.items():
            content = gzip.compress(idx(array)) if zipped else idx(array)
            (folder / f"{prefix}-{kind}-ubyte{'.gz' * zipped}").write_bytes(content)


def built_in(folder, patch):
    return {}


def read_from_idx(folder, patch):
    write_idx(folder / "raw")
    return {"path": str(folder), "val": 0.34, "batch_size": 6}


def table(folder, patch):
    rows = [[i % 7, "xyz"[i % 3], (i * 37) % 11 / 3, "ab"[i % 2]] for i in range(60)]
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["n", "kind", "value", "label"], *rows])
    return {"train": str(folder / "table.csv"), "target": "label", "batch_size": 7}


def image_folder(folder, patch):
    root = image_files.splits(folder / "images")
    return {"path": str(root), "image_size": 4, "cache": str(folder / "cache"), "batch_size": 6, "augment": ["horizontal_flip"]}


def image_csv(folder, patch):
    names = image_files.classes(10)
    image_files.write(folder / "images", names)
    lines = ["file,label,split", *(f"{name},{name[:3]},{('train', 'val', 'test')[n % 3]}" for n, name in enumerate(names))]
    (folder / "images" / "list.csv").write_text("\n".join(lines))
    return {"path": str(folder / "images/list.csv"), "image_size": 4, "cache": str(folder / "cache"), "batch_size": 3}


class Arrays:
    """Stands in for torchvision's sets that hold arrays."""

    classes = [f"class {n}" for n in range(10)]

    def __init__(self, root, download=False, train=None, split=None):
        test = train is False or split == "test"
        rng = np.random.default_rng(int(test))
        shape = (20 if test else 40, 32, 32, 3)
        pixels = rng.integers(0, 256, shape, np.uint8)
        self.data = pixels if self.last else np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        self.targets = [n % 10 for n in range(len(pixels))]
        self.labels = np.array(self.targets)


def arrays(title, last):
    def example(folder, patch):
        patch.setattr(torchvision.datasets, title, type(title, (Arrays,), {"last": last}))
        return {"path": str(folder), "val": 0.25, "batch_size": 6}

    return example


class Files:
    """Stands in for torchvision's sets of files."""

    classes = ["first", "second"]

    def __init__(self, root, download, split):
        self._image_files = [Path(root) / f"{split}{n}.png" for n in range(20)]
        self._labels = [n % 2 for n in range(20)]
        for n, file in enumerate(self._image_files):
            pixels = np.random.default_rng(n * 7 + len(split)).integers(0, 256, (9, 8, 3), np.uint8)
            Image.fromarray(pixels).save(file)


def files(title):
    def example(folder, patch):
        patch.setattr(torchvision.datasets, title, type(title, (Files,), {}))
        return {"path": str(folder), "image_size": 4, "cache": str(folder / "cache"), "batch_size": 6}

    return example


def sentences():
    words = ("a", "good", "bad", "film", "plot", "and", "dull", "bright", "very", "not")
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(words, rng.integers(1, 9))) + f" {n}" for n in range(60)]


def text_files(folder, patch):
    for n, kind in enumerate(("pos", "neg")):
        (folder / kind).write_text("\n".join(sentences()[n::2]) + "\n")
    return {"path": str(folder), "files": {"positive": "pos", "negative": "neg"}, "batch_size": 7, "val": 0.2}


def text_csv(folder, patch):
    with (folder / "texts.csv").open("w", newline="") as file:
        rows = [[text, "xy"[n % 2], ("train", "train", "val", "test")[n % 4]] for n, text in enumerate(sentences())]
        csv.writer(file).writerows([["text", "label", "split"], *rows])
    return {"path": str(folder / "texts.csv"), "split_column": "split", "batch_size": 7}


def text_jsonl(folder, patch):
    lines = [json.dumps({"text": text, "label": "xy"[n % 2]}) for n, text in enumerate(sentences())]
    (folder / "texts.jsonl").write_text("\n".join(lines))
    return {"path": str(folder / "texts.jsonl"), "batch_size": 7, "val": 0.2}


def text_folder(folder, patch):
    for n, text in enumerate(sentences()):
        place = folder / "texts" / ("train", "train", "val", "test")[n % 4] / "xyz"[n % 3]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{n}.txt").write_text(text)
    return {"path": str(folder / "texts"), "batch_size": 7}


def sentence_pairs():
    return [(text, " ".join(reversed(text.split()))) for text in sentences()]


def pairs_csv(folder, patch):
    (folder / "pairs.tsv").write_text("\n".join("\t".join(pair) for pair in sentence_pairs()) + "\n")
    columns = {"header": False, "source_column": 0, "target_column": 1}
    return {"train": str(folder / "pairs.tsv"), "tokenizer": "words", "tokens_per_batch": 90, "val": 0.2, **columns}


def pairs_jsonl(folder, patch):
    lines = [json.dumps({"body": source, "subject": target}) for source, target in sentence_pairs()]
    for split, some in (("train", lines[:40]), ("test", lines[40:])):
        with gzip.open(folder / f"{split}.jsonl.gz", "wt") as file:
            file.write("\n".join(some))
    keys = {"source_key": "body", "target_key": "subject", "tokenizer": "characters", "batch_size": 7}
    return {"train": str(folder / "train.jsonl.gz"), "test_file": str(folder / "test.jsonl.gz"), **keys}


def parallel_lines(folder, patch):
    for name, side in zip(("source", "target"), zip(*sentence_pairs(), strict=True), strict=True):
        (folder / name).write_text("\n".join(side) + "\n")
    given = {name: str(folder / name) for name in ("source", "target")}
    return {**given, "tokenizer": "words", "batch_size": 7, "shared_vocabulary": False}


def text_lines(folder, patch):
    (folder / "lines.txt").write_text("\n".join(sentences()))
    return {"train": str(folder / "lines.txt"), "tokenizer": "characters", "tokens_per_batch": 200, "val": 0.2}


def dates(folder, patch):
    return {"tokenizer": "characters", "batch_size": 512}


def made_texts(folder, patch):
    return {"tokenizer": "words", "batch_size": 512}


def rollouts(folder, patch):
    return {"environment": "CartPole-v1", "copies": 3, "steps": 10, "batch_size": 8, "passes": 2, "episodes": 5}


def replay(folder, patch):
    given = {"environment": "CartPole-v1", "copies": 2, "capacity": 60, "warmup": 20, "batch_size": 8, "n_step": 3}
    return {**given, "priority_exponent": 0.6, "episodes": 5}


def digit_scenes(folder, patch):
    counts = {"train": 20, "val": 6, "test": 5, "batch_size": 6}
    return {**counts, "image_size": 48, "augment": ["horizontal_flip", {"random_crop": {"mode": "zeros"}}, "mosaic"]}


def annotated(make, **more):
    def example(folder, patch):
        given = {"path": str(make(folder / "data")), "image_size": [18, 24], "cache": str(folder / "cache"), "batch_size": 4}
        return given | {"augment": ["horizontal_flip", "mosaic"]} | more

    return example


def coco_boxes(folder, patch):
    (folder / "data").mkdir()
    file = str(annotated_files.coco(folder / "data"))
    return {"train": file, "image_size": [9, 12], "cache": str(folder / "cache"), "batch_size": 4, "augment": ["vertical_flip"]}


def series_csv(folder, patch):
    """Write a wide file with a column of each use."""
    days = np.datetime64("2024-01-01") + np.arange(60)
    lines = ["day,sold,price,offer"]
    lines += [f"{day},{(n * 37) % 11 + n / 10},{(n * 5) % 7},{int(n % 9 == 0)}" for n, day in enumerate(days)]
    (folder / "shop.csv").write_text("\n".join(lines))
    columns = {"targets": ["sold"], "inputs": ["price"], "known": ["offer"], "calendar": ["weekday"]}
    return {"path": str(folder / "shop.csv"), "look_back": 14, "horizon": 3, "batch_size": 7, **columns}


def demonstrations(folder, patch):
    from dlx.data.control.demonstration_file import packed
    from dlx.registry import sources

    choices, _ = check(sources.signatures["rollouts"], rollouts(folder, patch))
    played = list(sources.build("rollouts", choices, {"seed": 0}).play(None, 3, seed=0))
    (folder / "played.safetensors").write_bytes(packed(played, {}))
    return {"file": str(folder / "played.safetensors"), "environment": "CartPole-v1", "batch_size": 8, "episodes": 5}


def audio_folder(folder, patch):
    recordings.words(folder / "clips")
    more = {"time_shift": 0.02, "speed": 0.1, "gain": 3.0, "noise": 0.5, "time_masks": 1, "frequency_masks": 1}
    keywords = {"keywords": ["stop"], "silence_share": 0.2}
    given = {"path": str(folder / "clips"), "sample_rate": 8000, "batch_size": 5, "speaker_mark": "_", "by_speaker": True}
    return {**given, **more, **keywords, "cache": str(folder / "cache")}


def audio_manifest(folder, patch):
    recordings.manifest(folder)
    return {
        "path": str(folder / "list.tsv"),
        "label_column": "text",
        "sample_rate": 8000,
        "test_speakers": ["c"],
        "val_speakers": ["d"],
        "batch_size": 4,
    }


def speech_manifest(folder, patch):
    recordings.manifest(folder)
    return {"path": str(folder / "list.tsv"), "sample_rate": 8000, "normalize": "global", "seconds_per_batch": 1.0}


def spoken(folder, patch):
    """Stand in for espeak-ng: a tone as high as the speed that is asked for."""
    from dlx.data.speech import spoken

    patch.setattr(spoken.shutil, "which", lambda name: name)

    def run(command):
        time = np.arange(4000) / spoken.RATE
        wave = 9000 * np.sin(2 * np.pi * 4 * int(command[4]) * time)
        return bytes(spoken.HEADER) + wave.astype("<i2").tobytes()

    patch.setattr(spoken, "run", run)
    return {"voices": 3, "takes": 2, "sample_rate": 8000, "batch_size": 5}


SOURCES = {
    **dict.fromkeys(("spoken_words", "spoken_phrases"), spoken),
    **{
        name: lambda folder, patch: {"voices": 3, "takes": 2, "sample_rate": 8000, "batch_size": 5}
        for name in ("synthetic_words", "synthetic_phrases")
    },
    "audio_folder": audio_folder,
    "audio_manifest": audio_manifest,
    "speech_manifest": speech_manifest,
    "demonstrations": demonstrations,
    "replay": replay,
    "rollouts": rollouts,
    "voc_boxes": annotated(annotated_files.voc),
    "yolo_boxes": annotated(annotated_files.yolo),
    "coco_boxes": coco_boxes,
    "image_masks": annotated(annotated_files.masks, class_names=["none", "cat", "dog"]),
    "voc_detection": annotated(lambda root: annotated_files.voc(root / "VOCdevkit/VOC2012").parents[1]),
    "voc_segmentation": annotated(annotated_files.voc_masks),
    "cityscapes": annotated(annotated_files.cityscapes),
    "digit_scenes": digit_scenes,
    "series_csv": series_csv,
    "synthetic_demand": lambda folder, patch: {"look_back": 24, "horizon": 3, "rows": 300, "batch_size": 32},
    "text_jsonl": text_jsonl,
    "text_folder": text_folder,
    "pairs_csv": pairs_csv,
    "pairs_jsonl": pairs_jsonl,
    "parallel_lines": parallel_lines,
    "text_lines": text_lines,
    "dates": dates,
    **dict.fromkeys(("opinions", "memos", "agreement"), made_texts),
    **dict.fromkeys(("iris", "wine", "breast_cancer", "diabetes", "digits", "truth_table"), built_in),
    **dict.fromkeys(("mnist", "fashion_mnist", "kmnist"), read_from_idx),
    "csv": table,
    "text_files": text_files,
    "text_csv": text_csv,
    "image_folder": image_folder,
    "image_csv": image_csv,
    "cifar10": arrays("CIFAR10", True),
    "cifar100": arrays("CIFAR100", True),
    "svhn": arrays("SVHN", False),
    "stl10": arrays("STL10", False),
    "flowers102": files("Flowers102"),
    "oxford_iiit_pet": files("OxfordIIITPet"),
    "food101": files("Food101"),
    "dtd": files("DTD"),
    "fgvc_aircraft": files("FGVCAircraft"),
}
