"""Small models of texts, trained in a second or two: numbers written in capitals, and what people feel."""

import random
from pathlib import Path

import yaml

from dlx.commands.train import train

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
GOOD, BAD, NEITHER = ["good", "great", "lovely"], ["bad", "awful", "dull"], ["the", "film", "a", "very", "plot", "."]
SMALL = {"transformer": {"encoder_layers": 1, "decoder_layers": 1, "feedforward": 64}}


def trained(folder, name, config):
    """Train a config, and give the run."""
    (Path(folder) / f"{name}.yaml").write_text(yaml.safe_dump(config))
    run = train(f"{folder}/{name}.yaml", [], name=name, resume=False, runs=Path(folder) / "runs", quiet=True)
    return str(run["run"])


def writer(folder, model="recurrent_seq2seq", steps=60):
    """Train a model to write numbers in capitals; what it writes depends on what it reads."""
    lot = random.Random(0)
    rows = [" ".join(lot.choices(NUMBERS, k=lot.randint(1, 6))) for _ in range(400)]
    (Path(folder) / "pairs.csv").write_text("text,answer\n" + "".join(f"{row},{row.upper()}\n" for row in rows))
    config = {
        "task": {"name": "translation", "max_output_length": 8},
        "data": {
            "name": "pairs_csv", "train": f"{folder}/pairs.csv", "source_column": "text", "target_column": "answer",
            "tokenizer": "words", "lowercase": False, "tokens_per_batch": 500, "shared_vocabulary": True, "max_length": 16,
        },
        "model": {"name": model, "size": 32, "dropout": 0.0, **SMALL.get(model, {})},
        "optimizer": {"name": "adam", "lr": 0.01}, "metrics": ["perplexity"], "steps": steps, "device": {"threads": 1},
    }  # fmt: skip
    return trained(folder, model, config)


def judge(folder, model=None, steps=60):
    """Train a model to tell good words from bad ones."""
    lot = random.Random(0)

    rows = []
    for number in range(200):
        words = [*lot.choices(NEITHER, k=lot.randint(1, 8)), lot.choice((GOOD, BAD)[number % 2])]
        rows.append((" ".join(lot.sample(words, k=len(words))), ("good", "bad")[number % 2]))
    (Path(folder) / "feelings.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    config = {
        "task": "classification",
        "data": {"name": "text_csv", "path": f"{folder}/feelings.csv", "batch_size": 32},
        "model": model or {"name": "text_cnn", "embedding_size": 16, "filters": 8, "widths": [1, 2]},
        "optimizer": {"name": "adam", "lr": 0.01}, "metrics": ["accuracy"], "steps": steps, "device": {"threads": 1},
    }  # fmt: skip
    return trained(folder, "judge" if model is None else model["name"], config)
