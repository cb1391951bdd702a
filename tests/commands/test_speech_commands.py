"""Recordings from the command line: trained on, evaluated, answered in pieces with times, and heard by a microphone."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.helpers import recordings
from tests.helpers.command_line import typed

from dlx.commands.evaluate import evaluate, render
from dlx.commands.train import train
from dlx.errors import UsageError

WORDS = {
    "task": "audio_classification",
    "data": {"name": "audio_folder", "sample_rate": 8000, "normalize": "none", "batch_size": 8, "val": 0.2, "test": 0.2},
    "model": {"name": "audio_cnn", "widths": [8], "pooling": "mean", "dropout": 0.0},
    "optimizer": {"name": "adam", "lr": 0.01},
    "steps": 30,
}
PHRASES = {
    "task": "speech_recognition",
    "data": {
        "name": "speech_manifest",
        "sample_rate": 8000,
        "tokenizer": "words",
        "normalize": "none",
        "batch_size": 4,
        "val": 0.2,
        "test": 0.2,
    },
    "model": {"name": "deep_speech", "width": 4, "size": 16, "num_layers": 1, "dropout": 0.0},
    "optimizer": {"name": "adam", "lr": 0.02},
    "steps": 8,
}


def trained(folder, config, path):
    config = {**config, "data": {**config["data"], "path": str(path)}, "device": {"threads": 1}}
    (folder / "heard.yaml").write_text(yaml.safe_dump(config))
    result = train(str(folder / "heard.yaml"), [], name=None, resume=False, runs=folder / "runs", quiet=True)
    return str(result["run"])


@pytest.fixture
def asked(monkeypatch, capsys):
    """Run dlx predict as it is typed: its exit code, its answers and what else it says."""
    return lambda *arguments: typed(monkeypatch, capsys, "predict", *map(str, arguments))


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    return folder, trained(folder, WORDS, recordings.words(folder / "clips", 30))


@pytest.fixture(scope="module")
def phrases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phrases")
    return folder, trained(folder, PHRASES, recordings.manifest(folder, 24))


def test_words_are_told_a_row_a_piece_of_a_recording(words, asked):
    folder, run = words
    said = [word for word in recordings.PITCH for _ in range(2)]
    sound = np.concatenate([np.pad(recordings.tone(word, seconds=0.6), (0, 3200)) for word in said])
    recordings.write(folder / "long.wav", sound)
    code, output, told = asked(run, folder / "long.wav", folder / "clips" / "go" / "a_0.wav", "--json")
    assert code == 0, told
    rows = [json.loads(line) for line in output.splitlines()]
    assert rows[-1]["label"] == "go"
    pieces = rows[:-1]
    assert [piece["start"] for piece in pieces] == [0.0, *(piece["end"] for piece in pieces[:-1])]
    assert pieces[-1]["end"] == pytest.approx(len(sound) / 8000, abs=0.01)
    assert list(dict.fromkeys(piece["label"] for piece in pieces)) == list(recordings.PITCH)
    found = evaluate(run, [], "test")
    assert found["test/accuracy"] == 1.0
    assert any(Path(file).name == "test_heard.png" for file in found["pictures"])


def test_phrases_are_written_down_with_the_times_of_their_words(phrases, asked, monkeypatch):
    """It has hardly learned: what it says is put into its mouth, behind the network."""
    from dlx.tasks.speech.recognition import SpeechRecognition

    folder, run = phrases
    monkeypatch.setattr(SpeechRecognition, "decoded", lambda self, scores, steps: [[4, 5] for _ in scores])
    code, output, told = asked(run, folder / "wav" / "1.wav", "--json")
    assert code == 0, told
    (row,) = map(json.loads, output.splitlines())
    assert row["output"] == " ".join(word["word"] for word in row["words"])
    assert len(row["words"]) == 2
    times = [time for word in row["words"] for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= row["end"] + 0.05
    code, output, told = asked(run, folder / "wav" / "1.wav", "--explain", "--output", folder / "drawn")
    assert code == 0, told
    assert (folder / "drawn" / "1_explained.png").stat().st_size > 1000
    code, output, told = asked(run, folder / "wav" / "1.wav")
    assert output.splitlines()[0] == "file,start,end,output,words"
    one, other = (word["word"] for word in row["words"])
    assert f'{one} {other},"{one} {times[0]:.2f}-{times[1]:.2f}, {other} {times[2]:.2f}-{times[3]:.2f}"' in output


def test_evaluating_counts_errors_beside_those_of_a_constant_answer(phrases):
    _, run = phrases
    found = evaluate(run, ["task.beam_size=4", "task.known_words=true"], "test")
    assert {"test/wer", "test/cer", "baseline/wer", "baseline/cer"} <= found.keys()
    assert {Path(file).name for file in found["pictures"]} == {"test_heard.png", "test_examples.txt"}


def test_evaluating_says_how_much_quicker_than_sound_it_was_and_training_never_does(phrases):
    _, run = phrases
    found = evaluate(run, [], "test")
    assert found["real_time_factor"] > 0
    assert "real-time factor " in render(found, False)
    assert "real_time" not in (Path(run) / "metrics.jsonl").read_text()


def test_a_language_model_is_kept_in_the_checkpoint_and_weighed_at_will(tmp_path):
    path = recordings.manifest(tmp_path, 24)
    data = {**PHRASES["data"], "language_model": 2}
    run = trained(tmp_path, {**PHRASES, "data": data, "steps": 2}, path)
    plain = evaluate(run, ["task.beam_size=4"], "test")
    weighed = evaluate(run, ["task.beam_size=4", "task.language_weight=0.5", "task.word_bonus=5"], "test")
    assert plain["test/loss"] == weighed["test/loss"]
    assert plain["tables"] != weighed["tables"]
    with pytest.raises(UsageError, match="was 2 in training, and is 3 now"):
        evaluate(run, ["data.language_model=3"], "test")


def test_what_cannot_be_read_is_one_clear_line(words, asked):
    folder, run = words
    (folder / "text.wav").write_text("no sound")
    code, _, told = asked(run, folder / "text.wav")
    assert code == 2
    assert f"{folder}/text.wav: unreadable: " in told
    code, output, told = asked(run, folder / "text.wav", folder / "clips" / "go" / "a_0.wav", "--skip-bad")
    assert code == 0
    assert len(output.splitlines()) == 2
    code, _, told = asked(run, folder / "gone.wav")
    assert (code, "gone.wav: no file or folder" in told) == (2, True)


def test_a_microphone_is_recorded_where_there_is_one(words, asked, monkeypatch):
    _, run = words
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    code, _, told = asked(run, "--microphone", "1")
    assert code == 2
    assert "--microphone needs the extra 'microphone' (pip install 'dlx[microphone]') and PortAudio" in told

    class PortAudioError(Exception):
        pass

    def rec(frames, samplerate, channels, dtype):
        return np.resize(recordings.tone("stop"), frames)[:, None]

    heard = types.SimpleNamespace(rec=rec, wait=lambda: None, PortAudioError=PortAudioError)
    monkeypatch.setitem(sys.modules, "sounddevice", heard)
    code, output, told = asked(run, "--microphone", "0.4", "--json")
    assert code == 0, told
    (row,) = map(json.loads, output.splitlines())
    assert (row["file"], row["label"]) == ("microphone", "stop")

    def none(*given, **named):
        raise PortAudioError("Error querying device -1")

    heard.rec = none
    code, _, told = asked(run, "--microphone", "0.4")
    assert code == 2
    assert "there is none that could be recorded from: Error querying device -1" in told
