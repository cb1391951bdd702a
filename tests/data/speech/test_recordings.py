"""Files to clips: what is wrong with them is told before training, with file and line, and splits are by speaker on request."""

import logging

import numpy as np
import pytest
import torch
from tests.helpers import recordings

from dlx import registry
from dlx.errors import ComponentError, UsageError
from dlx.processors.speech import decoding
from dlx.registry.signatures import check


def built(name, **choices):
    registry.sources.get(name)
    checked, faults = check(registry.sources.signatures[name], choices)
    assert not faults, faults
    return registry.sources.build(name, checked, {"seed": 0})


def listing(folder, *lines):
    (folder / "list.csv").write_text("\n".join(["audio,label,split,speaker,duration", *lines]) + "\n")
    return {"path": str(folder / "list.csv"), "sample_rate": 8000}


def heard(split):
    return [clip.file.rpartition("/")[2] for clip in split.recordings.clips]


@pytest.fixture
def words(tmp_path):
    return recordings.words(tmp_path / "clips")


def test_all_that_is_wrong_is_told_at_once_with_file_and_line(tmp_path):
    good = recordings.tone("go")
    for name, sound in (("good", good), ("silent", good * 0), ("long", np.tile(good, 20)), ("short", good), ("cut", good)):
        recordings.write(tmp_path / f"{name}.wav", sound)
    (tmp_path / "none.wav").write_bytes(b"RIFF and no more")
    cut = (tmp_path / "cut.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(cut[: len(cut) // 2])
    names = ["good", "silent", "long", "short", "cut", "none", "gone"]
    choices = listing(tmp_path, *(f"{name}.wav,{name[0]},,,{1.5 if name == 'short' else ''}" for name in names))
    with pytest.raises(ComponentError) as told:
        built("audio_manifest", **choices, max_seconds=2.0)
    first, *lines = str(told.value).splitlines()
    assert first.startswith("6 of 7 recordings cannot be used (2 truncated, 2 unreadable, 1 silent, 1 overlong); repair")
    place = tmp_path / "list.csv"
    faults = {
        "silent": "silent: ", "long": "overlong: ", "short": "truncated: has 0.2", "cut": "truncated: ",
        "none": "unreadable: ", "gone": "unreadable: No such file",
    }  # fmt: skip
    for line, (name, why) in enumerate(faults.items(), 3):
        assert any(one.startswith(f"  {place}:{line}: {tmp_path}/{name}.wav: {why}") for one in lines), lines
    assert told.value.path == ("path",)


def test_what_cannot_be_used_is_left_out_on_request_and_clipped_files_are_told(words, caplog):
    recordings.write(words / "go" / "e_99.wav", np.zeros(900))
    recordings.write(words / "go" / "e_98.wav", np.clip(9 * recordings.tone("go"), -1, 1))
    with caplog.at_level(logging.WARNING, "dlx"):
        source = built("audio_folder", path=str(words), sample_rate=16000, on_bad="skip")
    assert sum(len(split) for split in source.data.values()) == 25
    assert "skipped: 1 of 26 recordings cannot be used (1 silent)" in caplog.text
    assert "1 of 26 recordings are clipped" in caplog.text
    assert "25 of 26 recordings have fewer samples a second than data.sample_rate, 16,000" in caplog.text


def test_a_cache_gives_the_same_and_is_made_anew_when_a_file_changes(words, tmp_path):
    choices = {"path": str(words), "sample_rate": 8000, "batch_size": 24}
    plain, cached = (built("audio_folder", **choices, **more) for more in ({}, {"cache": str(tmp_path / "cache")}))
    again = built("audio_folder", **choices, cache=str(tmp_path / "cache"))
    assert plain.digests == cached.digests == again.digests
    assert isinstance(again.data["train"].recordings.waves, np.memmap)
    for one, other in zip(plain.train(None), again.train(None), strict=True):
        assert torch.equal(one["input"], other["input"])
    recordings.write(words / "go" / "a_0.wav", recordings.tone("go", 77))
    assert built("audio_folder", **choices, cache=str(tmp_path / "cache")).digests != plain.digests


def test_splits_are_drawn_by_speaker_on_request(words, caplog):
    choices = {"path": str(words), "sample_rate": 8000, "val": 0.25, "test": 0.25}
    with caplog.at_level(logging.WARNING, "dlx"):
        built("audio_folder", **choices, speaker_mark="_")
    assert "test: 4 of 4 speakers are heard in training too: a, b, c, ..." in caplog.text
    caplog.clear()
    source = built("audio_folder", **choices, speaker_mark="_", by_speaker=True)
    speakers = [{name[0] for name in heard(split)} for split in source.data.values()]
    assert sorted(map(len, speakers)) == [1, 1, 2]
    assert set.union(*speakers) == set("abcd")
    assert not caplog.text
    with pytest.raises(ComponentError, match="does not say"):
        built("audio_folder", **choices, by_speaker=True)


def test_speakers_are_held_out_by_name_whatever_the_list_says(tmp_path):
    for name in "abcdef":
        recordings.write(tmp_path / f"{name}.wav", recordings.tone("go", ord(name)))
    rows = [f"{name}.wav,{'xy'[n % 2]},{('train', 'test')[n // 5]},{'uvw'[n // 2]}," for n, name in enumerate("abcdef")]
    source = built("audio_manifest", **listing(tmp_path, *rows), test_speakers=["v"], val=0)
    assert {split: heard(part) for split, part in source.data.items()} == {
        "train": ["a.wav", "b.wav", "e.wav", "f.wav"],
        "test": ["c.wav", "d.wav"],
    }
    with pytest.raises(ComponentError, match="unknown speaker") as told:
        built("audio_manifest", **listing(tmp_path, *rows), test_speakers=["z"])
    assert told.value.path == ("test_speakers",)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.wav,,,,", "no label or transcript"),
        (",x,,,", "no file"),
        ("a.wav,x,later,,", "'later' is no split"),
        ("a.wav,x,,,long", "'long' is no number of seconds"),
        ("a.wav,x,,", "has 4 cells"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, row, message):
    with pytest.raises(UsageError, match=message) as told:
        built("audio_manifest", **listing(tmp_path, row))
    assert f"{tmp_path}/list.csv:2" in str(told.value)


def test_other_words_are_unknown_and_silence_is_made_by_rule(words):
    source = built("audio_folder", path=str(words), sample_rate=8000, keywords=["go"], silence_share=0.5)
    assert source.facts["class_names"] == ["go", "silence", "unknown"]
    counts = source.facts["class_counts"]
    assert counts[2] == 2 * counts[0]
    assert counts[1] == pytest.approx(sum(counts) / 3, abs=1)
    with pytest.raises(ComponentError, match="unknown label") as told:
        built("audio_folder", path=str(words), sample_rate=8000, keywords=["gone"])
    assert told.value.path == ("keywords",)


def test_augmentation_follows_from_the_seed_and_changes_training_alone(words):
    changes = {"time_shift": 0.02, "speed": 0.2, "gain": 6.0, "noise": 0.5, "time_masks": 1, "frequency_masks": 1}
    plain, one, other = (built("audio_folder", path=str(words), sample_rate=8000, **more) for more in ({}, changes, changes))
    first, again, still = (list(source.train(None)) for source in (one, other, plain))
    assert all(torch.equal(a["input"], b["input"]) for a, b in zip(first, again, strict=True))
    assert not any(
        a["input"].shape == b["input"].shape and torch.equal(a["input"], b["input"]) for a, b in zip(first, still, strict=True)
    )
    later = list(one.train(None))
    assert any(not torch.equal(a["input"][0, :5], b["input"][0, :5]) for a, b in zip(first, later, strict=True))
    for a, b in zip(one.evaluate(None, "val"), plain.evaluate(None, "val"), strict=True):
        assert torch.equal(a["input"], b["input"])
    assert one.random_inputs
    assert not plain.random_inputs


def test_a_tone_keeps_its_pitch_when_it_is_resampled_and_raises_it_when_it_is_sped():
    from dlx.data.speech.augmentation import sped

    def pitch(wave, rate):
        return np.abs(np.fft.rfft(wave)).argmax() * rate / len(wave)

    tone = np.sin(2 * np.pi * 500 * np.arange(22050) / 22050).astype(np.float32)
    assert pitch(decoding.resampled(tone, 22050, 8000), 8000) == pytest.approx(500, abs=1)
    faster, samples = sped(torch.from_numpy(tone)[None], torch.tensor([22050]), torch.tensor([1.25]))
    assert int(samples) == faster.shape[1] == 17640
    assert pitch(faster[0].numpy(), 22050) == pytest.approx(625, abs=2)


def test_transcripts_are_written_one_way_and_those_too_long_for_their_clips_told(tmp_path, caplog):
    recordings.manifest(tmp_path)
    file = tmp_path / "list.tsv"
    rows = file.read_text().splitlines()
    cells = rows[1].split("\t")
    rows[1] = "\t".join([cells[0], "GO! " * 30, *cells[2:]])
    file.write_text("\n".join(rows) + "\n")
    with caplog.at_level(logging.WARNING, "dlx"):
        source = built("speech_manifest", path=str(file), sample_rate=8000, val=0, test=0)
    assert f"train: 1 clips are too short for their transcripts, such as {file}:2" in caplog.text
    assert source.processor.normalize("GO! , Stop_it, it's") == "go stop it it's"
    assert source.processor.words == ["go", "stop", "yes"]
    rows[2] = "\t".join(["wav/1.wav", "?!", "a", ""])
    file.write_text("\n".join(rows) + "\n")
    with pytest.raises(UsageError, match=r"list.tsv:3: has no transcript"):
        built("speech_manifest", path=str(file), sample_rate=8000)


def test_a_long_recording_comes_in_pieces_that_are_cut_where_it_is_quiet(tmp_path):
    loud, quiet = recordings.tone("go", seconds=0.5), np.zeros(1600, np.float32)
    recordings.write(tmp_path / "long.wav", np.concatenate([loud, quiet] * 6))
    with decoding.opened(str(tmp_path / "long.wav")) as sound:
        pieces = list(decoding.pieces(sound, 8000, 0.9))
    whole = np.concatenate([piece.wave for piece in pieces])
    with decoding.opened(str(tmp_path / "long.wav")) as sound:
        assert np.array_equal(whole, decoding.quantized(decoding.read(sound, 10**9)))
    assert len(pieces) > 4
    assert all(len(piece.wave) <= 0.9 * 8000 for piece in pieces)
    assert all(not piece.wave[0] for piece in pieces[1:])
    assert [piece.start for piece in pieces[1:]] == pytest.approx(np.cumsum([len(p.wave) for p in pieces[:-1]]) / 8000)


def test_a_missing_library_is_one_clear_line(words, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(ComponentError, match=r"needs the extra 'speech': pip install 'dlx\[speech\]'"):
        built("audio_folder", path=str(words), sample_rate=8000)


def test_made_voices_stand_in_one_split_only():
    source = built("synthetic_words", voices=5, takes=1, sample_rate=8000)
    voices = {split: {clip.speaker for clip in part.recordings.clips} for split, part in source.data.items()}
    assert voices == {"train": {"voice 0", "voice 1", "voice 2"}, "val": {"voice 3"}, "test": {"voice 4"}}
    again = built("synthetic_words", voices=5, takes=1, sample_rate=8000)
    assert source.digests == again.digests
    assert built("synthetic_words", voices=5, takes=1, sample_rate=8000, split_seed=1).digests != source.digests
