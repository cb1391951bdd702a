"""Words in another order: what is said and what is written move together, and only where pauses leave no doubt."""

import numpy as np
import pytest
import torch
from tests.data.speech.test_recordings import built
from tests.helpers import recordings
from tests.helpers.recordings import PITCH, RATE, tone

from dlx.data.speech.clips import Clip, Recordings
from dlx.data.speech.word_order import WordShuffle, bounds
from dlx.errors import ComponentError

SAID = ["go stop yes go", "stop yes", "yes yes go", "go"]


def spoken(text, pause=0.15, number=0):
    """Make words with silence before, between and behind them."""
    quiet = np.zeros(int(pause * RATE), np.float32)
    return np.concatenate([quiet, *(one for n, word in enumerate(text.split()) for one in (tone(word, number + n), quiet))])


def heard(wave):
    """Return the words of a wave by the pitch of each stretch of sound."""
    loud = np.flatnonzero(np.convolve(np.abs(wave), np.ones(80), "same") > 1e-3)
    parts = np.split(loud, np.flatnonzero(np.diff(loud) > 400) + 1)

    def pitch(part):
        sound = wave[part[0] : part[-1]]
        return np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound)

    return " ".join(min(PITCH, key=lambda word: abs(PITCH[word] * 1.025 - pitch(part))) for part in parts)


@pytest.fixture
def clips():
    waves = [(spoken(text, number=10 * n) * 32767).astype(np.int16) for n, text in enumerate(SAID)]
    return Recordings.of([Clip("", "", text) for text in SAID], waves)


def test_sounds_and_words_move_together_and_nothing_is_lost(clips):
    shuffle = WordShuffle(clips, SAID, lambda texts: [text.split() for text in texts], RATE, 1.0)
    found, draw = set(), torch.Generator().manual_seed(0)
    for _ in range(20):
        waves, samples = clips.padded(torch.arange(4))
        before = waves.clone()
        written = [" ".join(words) for words in shuffle(range(4), waves, draw)]
        for wave, still, text, count in zip(waves.numpy(), before.numpy(), written, samples, strict=True):
            assert heard(wave) == text
            assert not wave[count:].any()
            assert np.array_equal(np.sort(wave), np.sort(still))
        found.add(written[0])
    assert len(found) > 6  # of twelve orders
    assert written[3] == "go"


def test_a_clip_whose_pauses_leave_doubt_stays_as_it_is(clips):
    def wave(*pauses):
        quiet = [np.zeros(int(seconds * RATE), np.float32) for seconds in pauses]
        return (np.concatenate([tone("go"), *(one for part in quiet for one in (part, tone("yes")))]) * 32767).astype(np.int16)

    first, second, end = bounds(wave(0.2, 0.05), RATE, 2)
    assert first == 0
    assert end == pytest.approx(len(wave(0.2, 0.05)), abs=160)
    assert second == pytest.approx(len(tone("go")) + 0.1 * RATE, abs=160)
    assert bounds(wave(0.2, 0.17), RATE, 2) is None
    assert bounds(wave(0.2), RATE, 3) is None
    assert bounds(wave(0.2), RATE, 1) is None
    with pytest.raises(ComponentError, match="no training clip has several words and clear pauses") as told:
        WordShuffle(clips.taken([3]), ["go"], list, RATE, 1.0)
    assert told.value.path == ("shuffle_words",)


def test_batches_follow_from_the_seed_and_evaluation_hears_what_was_said(tmp_path):
    lines = ["audio\ttext\tsplit"]
    for number, text in enumerate(SAID * 2):
        recordings.write(tmp_path / f"{number}.wav", spoken(text, number=number))
        lines.append(f"{number}.wav\t{text}\t{'train' if number < 4 else 'val'}")
    (tmp_path / "list.tsv").write_text("\n".join(lines) + "\n")
    choices = {"path": str(tmp_path / "list.tsv"), "sample_rate": RATE, "tokenizer": "words", "test": 0, "batch_size": 2}
    one, other = (built("speech_manifest", **choices, shuffle_words=0.7) for _ in range(2))
    plain = built("speech_manifest", **choices)
    first, again, still = (list(source.train(None)) for source in (one, other, plain))
    assert all(torch.equal(a["input"], b["input"]) for a, b in zip(first, again, strict=True))
    assert all(torch.equal(a["target"], b["target"]) for a, b in zip(first, again, strict=True))
    assert any(not torch.equal(a["target"], b["target"]) for a, b in zip(first, still, strict=True))
    assert all(torch.equal(a["length"], b["length"]) for a, b in zip(first, still, strict=True))
    for a, b in zip(one.evaluate(None, "val"), plain.evaluate(None, "val"), strict=True):
        assert torch.equal(a["target"], b["target"])
        assert torch.equal(a["input"], b["input"])
    assert one.random_inputs
    assert not plain.random_inputs
