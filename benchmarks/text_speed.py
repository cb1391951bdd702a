"""Speed of a Transformer that writes texts: training beside PyTorch's and Keras's, and writing beside a loop without a memory.

Training: every contestant trains the same Transformer (width 256, 4 heads, 3 + 2 blocks, 768 wide, 8,000 pieces, embeddings
tied) by Adam on the same batches of 4,000 pieces, padding counted, whose lengths are those of Tatoeba's English and Spanish.
An epoch is short, so that each shape of a batch comes in the first, which warms up or compiles, and in every timed one: no
contestant pads more than dlx. Rates are pieces of sources and answers a second. None clips gradients, as dlx by default.
Before that, PyTorch's Transformer with dlx's weights must come to dlx's loss, and all must have as many parameters.

    dlx        `dlx train` with its data pipeline, its check for non-finite numbers, a log line every few steps
    loop       a loop over nn.Transformer with padding masks, as one writes it
    tuned      the same with the fused optimizer, and memory that the C library keeps as dlx has it (`keep_pages`)
    jax        Keras's layers on JAX, the whole step one compiled function, memory kept
    torch      Keras's layers on PyTorch, memory kept

Writing (text_decoding.py): the same sentences, in the same batches, greedily by dlx's search; by a loop that decodes the whole
answer anew for every piece (`again`, which encodes the source once; `whole`, which runs the whole model); and by five beams.

    python benchmarks/text_speed.py [--rounds 3] [--threads 2] [--only dlx tuned greedy whole] [--run RUN] [--sentences 1000]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contest
import text_common as common
import text_decoding
import text_keras
import text_loops

KEEP = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=2147483647"  # what dlx.device.keep_pages asks for
LEAST = 500  # pairs that have every word of the vocabulary

CONFIG = f"""
task: {{name: translation, label_smoothing: {common.SMOOTHING}}}
data:
  name: pairs_csv
  train: FOLDER/train.tsv
  val_file: FOLDER/val.tsv
  test: 0
  delimiter: "\\t"
  header: false
  source_column: 0
  target_column: 1
  tokenizer: words
  vocabulary_size: {common.VOCABULARY}
  max_length: {common.LONGEST}
  max_target_length: {common.LONGEST}
  tokens_per_batch: {common.BUDGET}
model:
  name: transformer
  size: {common.SIZE}
  heads: {common.HEADS}
  encoder_layers: {common.ENCODERS}
  decoder_layers: {common.DECODERS}
  feedforward: {common.WIDE}
  dropout: {common.DROPOUT}
optimizer: {{name: adam, lr: {common.RATE}, betas: {list(common.BETAS)}}}
metrics: [perplexity]
trainer: {{evaluate_every: 1000000, log_every: LINE}}
steps: STEPS
device: {{threads: THREADS}}
"""


def prepared(folder: Path, threads: int, steps: int = 1, line: int = 1) -> Any:
    """Prepare dlx's experiment on the texts of a folder."""
    from dlx.assembly.experiment import prepare
    from dlx.config import spec

    text = CONFIG.replace("FOLDER", str(folder)).replace("LINE", str(line)).replace("STEPS", str(steps))
    return prepare(spec.parse(text.replace("THREADS", str(threads)), "text_speed"))


def lay_out(folder: Path, pairs: int) -> dict[str, Any]:
    """Keep the batches of an epoch for the others, and hold PyTorch's Transformer against dlx's."""
    import torch

    common.write_pairs(folder / "train.tsv", pairs)
    common.write_pairs(folder / "val.tsv", 32, seed=1)
    experiment = prepared(folder, 1)
    batches = list(experiment.source.train(None))
    common.write_batches(folder / "batches.npz", [{word: value.numpy() for word, value in _words(one)} for one in batches])
    ours = experiment.task.model.eval()
    theirs = text_loops.like_ours(ours).eval()
    with torch.no_grad():
        values = [(float(experiment.task(batch).value), float(text_loops.loss_of(theirs, batch))) for batch in batches[:2]]
    for own, other in values:
        if abs(own - other) > 1e-4 * own:
            raise SystemExit(f"dlx's loss is {own}, that of nn.Transformer with its weights {other}")
    shapes = [(*batch["input"].shape, batch["target"].shape[1]) for batch in batches]
    return {"parameters": sum(p.numel() for p in ours.parameters()), "shapes": shapes, "pieces": common.pieces(batches)}


def _words(batch: Any) -> list[tuple[str, Any]]:
    return [(word, batch[word]) for word in ("input", "length", "target")]


def dlx(folder: Path, epochs: int, threads: int) -> dict[str, float]:
    """Train as `dlx train` does; the evaluation at the end and the checkpoint lie outside the clock."""
    kept = common.read_batches(folder / "batches.npz")
    epoch = len(kept)
    experiment = prepared(folder, threads, epoch * (1 + epochs) + 1, epoch)
    found = contest.timed(experiment, epoch, epoch * (1 + epochs), count=1)
    return found | common.per_second(found, epochs * common.pieces(kept))


TRAINERS: dict[str, Callable[..., dict[str, float]]] = {
    "loop": text_loops.loop, "tuned": text_loops.tuned, "jax": text_keras.jax, "torch": text_keras.torch,
}  # fmt: skip
NEEDS = {"jax": ["keras", "jax"], "torch": ["keras"]}
TRAINING = ["dlx", *TRAINERS]


def child(given: argparse.Namespace) -> dict[str, Any]:
    """Be one contestant, on as many cores as it has threads."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-given.threads :])
    if given.child not in NEEDS:
        import torch

        torch.set_num_threads(given.threads)
    if given.child == "lay_out":
        return lay_out(given.folder, given.pairs)
    if given.child == "dlx":
        return dlx(given.folder, given.epochs, given.threads)
    if given.child in TRAINERS:
        return TRAINERS[given.child](common.read_batches(given.folder / "batches.npz"), given.epochs, given.threads)
    return text_decoding.contestant(given.child, given.folder, prepared, given.run, given.sentences, given.threads)


def run(name: str, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run one contestant in a process of its own."""
    settings = {"OMP_NUM_THREADS": str(given.threads)}
    if name in NEEDS:
        settings["KERAS_BACKEND"] = name
    if name in ("tuned", *NEEDS, *text_decoding.WAYS):
        settings["GLIBC_TUNABLES"] = KEEP
    own = {key: getattr(given, key) for key in ("threads", "pairs", "epochs", "sentences")} | {"folder": folder}
    arguments = [part for key, value in own.items() for part in (f"--{key}", value)]
    return contest.child(__file__, "--child", name, *arguments, *(["--run", given.run] if given.run else []), settings=settings)


def train(names: list[str], given: argparse.Namespace, folder: Path) -> None:
    """Run the rounds of training."""
    same = run("lay_out", given, folder)
    print(f"an epoch: {len(same['shapes'])} batches (texts, pieces of sources, of answers) {same['shapes']}")
    print(f"nn.Transformer with dlx's {same['parameters']:,} weights comes to dlx's loss", flush=True)

    def checked(name: str) -> dict[str, float]:
        found = run(name, given, folder)
        if found["parameters"] != same["parameters"]:
            raise SystemExit(f"{name}: {found['parameters']:,} parameters")
        return found

    rows = contest.in_turn(names, given.rounds, checked, swap=True)
    print("\ntraining: pieces a second; of a million, processor seconds")
    table(rows, "8.0f")


def write(names: list[str], given: argparse.Namespace, folder: Path) -> None:
    """Run the rounds of writing, and see that the answers are the same."""
    if given.run is None:  # the model of an experiment on drawn texts
        common.write_pairs(folder / "train.tsv", given.pairs)
        common.write_pairs(folder / "val.tsv", 32, seed=1)
    rows = contest.in_turn(names, given.rounds, lambda name: run(name, given, folder), swap=True)
    text_decoding.compare(rows)
    lengths = [len(answer) for answer in rows[names[0]][0]["answers"]]
    print(
        f"\nwriting {len(lengths):,} answers of {sum(lengths) / len(lengths):.1f} pieces, greedily as dlx does it, and otherwise:"
    )
    print("sentences a second; of a thousand, processor seconds")
    table({"dlx" if name == "greedy" else name: found for name, found in rows.items()}, "8.1f")


def table(rows: dict[str, list[dict[str, Any]]], form: str) -> None:
    """Print rates and processor times, by medians."""
    work = {name: f"{statistics.median(one['work'] for one in found):8.1f}" for name, found in rows.items()}
    contest.table({name: [one["rate"] for one in found] for name, found in rows.items()}, form, {"CPU s": work})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=800, help=f"of an epoch, {LEAST} at least")
    parser.add_argument("--epochs", type=int, default=2, help="that are timed")
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--run", help="a run whose model and test split write (default: drawn weights, recorded lengths)")
    parser.add_argument("--only", nargs="+", choices=[*TRAINING, *text_decoding.WAYS], default=[*TRAINING, *text_decoding.WAYS])
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(given)))
        return
    if given.pairs < LEAST:
        parser.error(f"--pairs: {LEAST} at least, so that every word comes")
    if given.threads > len(os.sched_getaffinity(0)):
        parser.error(f"--threads: this process may use {len(os.sched_getaffinity(0))} cores only")
    print(contest.machine("torch"))
    names = contest.present(given.only, NEEDS)
    with tempfile.TemporaryDirectory() as folder:
        for race, own in ((train, TRAINING), (write, text_decoding.WAYS)):
            if taking_part := [name for name in names if name in own]:
                race(taking_part, given, Path(folder))


if __name__ == "__main__":
    main()
