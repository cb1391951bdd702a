"""What a look at recordings tells: their sample rate, whether they have classes or transcripts, and a model that hears them."""

from __future__ import annotations

import csv
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.commands import guessing
from dlx.commands.guessing import Draft
from dlx.errors import UsageError, unknown

ENDINGS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au")
LABELS = ("label", "class", "word", "keyword", "command", "target")
TEXTS = ("text", "transcript", "transcription", "sentence")
OTHERS = ("split", "speaker", "duration")
REPEATED = 5  # times that a class occurs on average, at least; what is rarer is a transcript
RATE = 16_000  # samples a second that speech needs
LONGEST = 20.0  # seconds, as data sets of recordings have them by themselves
MARK = "_nohash_"  # behind the speaker in names of files, as in Speech Commands
Rows = Sequence[Mapping[str, Any]]


def below(path: str) -> Iterator[str]:
    """Find the audio files below a folder."""
    for folder, folders, names in os.walk(path):
        folders.sort()
        yield from (os.path.join(folder, name) for name in sorted(names) if name.lower().endswith(ENDINGS))


def of_folder(path: str) -> Draft | None:
    """Draft a config for a folder of recordings, a folder a word; None where it holds none."""
    files = list(below(path))
    if not files:
        return None
    spoken = all(MARK in os.path.basename(file) for file in files)
    data = {"name": "audio_folder", "path": os.path.abspath(path), **heard(files)}
    data |= {"speaker_mark": MARK, "by_speaker": True} if spoken else {}
    return of_classes(data, f"Recordings of {Path(path).absolute().name}")


def of_list(path: str, target: str | None) -> Draft | None:
    """Draft a config for a list of recordings, a table or JSON lines; None where no column names audio files."""
    rows = listed(path)
    audio = next((column for column in (rows[0] if rows else {}) if named(rows, column)), None)
    if audio is None:
        return None
    goal, why = chosen([column for column in rows[0] if column != audio], target, path)
    files = [os.path.join(os.path.dirname(path), str(row[audio])) for row in rows]
    data: dict[str, Any] = {"name": "", "path": os.path.abspath(path), "audio_column": audio, **heard(files)}
    if "speaker" in rows[0] and "split" not in rows[0]:
        data["by_speaker"] = len({row.get("speaker") for row in rows}) > 2
    values = {str(row.get(goal)) for row in rows}
    told = f"{len(values):,} different ones in {len(rows):,} rows; {why}"
    if REPEATED * len(values) <= len(rows):
        data |= {"name": "audio_manifest", "label_column": goal}
        return of_classes(data, f"Recordings of {Path(path).name}, '{goal}'", {"data.label_column": f"classes: {told}"})
    data |= {"name": "speech_manifest", "text_column": goal}
    return of_transcripts(data, f"Recordings of {Path(path).name}, '{goal}'", {"data.text_column": f"transcripts: {told}"})


def listed(path: str) -> Rows:
    """Read the first rows of a list of a JSON object a line, or of a table with a header."""
    lines = guessing.first_lines(path)
    if ".jsonl" in path or ".ndjson" in path:
        try:
            rows = [json.loads(line) for line in lines if line.endswith("\n") or line == lines[0]]
        except ValueError:
            return []
        return [row for row in rows if isinstance(row, dict)]
    mark = "\t" if ".tsv" in path else ","
    return list(csv.DictReader(lines, delimiter=mark, restval="", restkey=""))


def named(rows: Rows, column: str) -> bool:
    """Tell whether a column names audio files."""
    return all(str(row.get(column)).lower().endswith(ENDINGS) for row in rows[: guessing.SAMPLED])


def chosen(columns: Sequence[str], asked: str | None, path: str) -> tuple[str, str]:
    """Choose the column to learn: the one asked for, one of a usual name, or the only one left."""
    if asked is not None:
        if asked not in columns:
            raise UsageError(f"{path}: --target {asked}: {unknown('column', asked, columns)}")
        return asked, "as asked for"
    usual = next((name for name in (*LABELS, *TEXTS) if name in columns), None)
    left = [name for name in columns if name not in OTHERS]
    if usual is None and len(left) != 1:
        raise UsageError(f"{path}: says not which column is to be learnt ({', '.join(left)}): dlx init --target NAME decides")
    return usual or left[0], "guessed by its name" if usual else "the only column left"


def heard(files: Sequence[str]) -> dict[str, Any]:
    """Choose the sample rate by a few files, and the seconds allowed by the longest of all."""
    try:
        import soundfile
    except (ImportError, OSError):
        raise UsageError("needs the extra 'speech': pip install 'dlx[speech]'") from None
    rates, longest = Counter[int](), 0.0
    for file in files:
        try:
            about = soundfile.info(file)
        except (RuntimeError, TypeError, OSError):  # what cannot be read is told when all of them are
            continue
        rates[about.samplerate] += 1
        longest = max(longest, about.frames / about.samplerate)
    if not rates:
        raise UsageError(f"{files[0]}: cannot be read, nor can the others")
    found: dict[str, Any] = {"sample_rate": min(RATE, rates.most_common(1)[0][0])}
    return found | ({"max_seconds": math.ceil(longest)} if longest > LONGEST else {})


def of_classes(data: dict[str, Any], title: str, remarks: Mapping[str, str] = {}) -> Draft:
    """Draft a config that tells words apart."""
    source, size = read(data)
    names = source.facts["class_names"]
    augmented = {"speed": 0.1, "time_shift": 0.05, "noise": 0.3, "time_masks": 1, "frequency_masks": 1}
    sections = {
        "task": {"name": "audio_classification", "label_smoothing": 0.1},
        "data": data | {"batch_size": 32 if size > 500 else 16} | augmented,
        "model": {"name": "crnn", "width": 24, "size": 96},
        "optimizer": {"name": "adamw", "lr": 0.003, "weight_decay": 0.01},
        "schedule": "one_cycle",
        "epochs": 1,
    }
    told = [f"{size:,} recordings to train on; splits: {', '.join(source.splits())}"]
    told.append(f"{len(names)} classes: {guessing.some(names)}")
    return Draft(f"{title} into {len(names)} classes. Written by dlx init.", sections, shared(data, remarks), told)


def of_transcripts(data: dict[str, Any], title: str, remarks: Mapping[str, str]) -> Draft:
    """Draft a config that writes down what is said."""
    source, size = read(data)
    sections = {
        "task": "speech_recognition",
        "data": data | {"batch_size": 16 if size > 200 else 4, "speed": 0.1},
        "model": {"name": "deep_speech", "width": 24, "size": 192, "num_layers": 1},
        "optimizer": {"name": "adam", "lr": 0.003},
        "schedule": "one_cycle",
        "trainer": {"clip_norm": 5.0},
        "epochs": 1,
    }
    told = [f"{size:,} recordings to train on; splits: {', '.join(source.splits())}", *source.processor.describe()]
    more = {"task": "by connectionist temporal classification; beams of known words: task.beam_size=8 task.known_words=true"}
    return Draft(f"{title}, written down. Written by dlx init.", sections, shared(data, remarks) | more, told)


def read(data: dict[str, Any]) -> tuple[Any, int]:
    """Read recordings as training would, and count those to train on."""
    from dlx.assembly.planner import source_of

    source = source_of(data)
    return source, guessing.count(source)


def shared(data: Mapping[str, Any], remarks: Mapping[str, str]) -> dict[str, str]:
    """Return remarks with those on what all sets of recordings have."""
    more = {
        "data.sample_rate": "what most files have, 16,000 at most; others are resampled",
        "data.speaker_mark": "a file's name up to it is the speaker",
        "data.by_speaker": "nobody who trains also tests",
        "data.max_seconds": "of the longest file",
        "data.speed": "training clips are changed by lot: docs/speech.md",
    }
    return {key: remark for key, remark in more.items() if key.partition(".")[2] in {*data, "speed"}} | dict(remarks)
