"""Words in another order, fewer of them, shorter pauses: sound and transcript change together, and only where pauses leave no doubt."""

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from tests.data.speech.test_recordings import built
from tests.helpers import recordings
from tests.helpers.recordings import PITCH, RATE, tone

from dlx.data.speech.clips import Clip, Recordings
from dlx.data.speech.words import WordAugmentation, spans
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


def listed(folder, texts, train, **choices):
    """Build a data set of made recordings of texts, the first `train` of them to learn from."""
    lines = ["audio\ttext\tsplit"]
    for number, text in enumerate(texts):
        recordings.write(folder / f"{number}.wav", spoken(text, number=number))
        lines.append(f"{number}.wav\t{text}\t{'train' if number < train else 'val'}")
    (folder / "list.tsv").write_text("\n".join(lines) + "\n")
    file = str(folder / "list.tsv")
    return built("speech_manifest", path=file, sample_rate=RATE, tokenizer="words", test=0, batch_size=2, **choices)


def changed(clips, seed, **chances):
    """Return the four clips as they are, the waves changed, their samples and what they say now."""
    shares = {"shuffled": 0.0, "dropped": 0.0, "shortened": 0.0} | chances
    augmentation = WordAugmentation(clips, SAID, lambda texts: [text.split() for text in texts], RATE, **shares)
    waves, samples = clips.padded(torch.arange(4))
    still = [wave[:count].numpy() for wave, count in zip(waves.clone(), samples, strict=True)]
    waves, samples, written = augmentation(range(4), waves, samples, torch.Generator().manual_seed(seed))
    return still, waves.numpy(), samples, [" ".join(words) for words in written]


def test_shuffled_sounds_and_words_move_together_and_nothing_is_lost(clips):
    found = set()
    for seed in range(20):
        before, waves, samples, written = changed(clips, seed, shuffled=1.0)
        for still, wave, count, text in zip(before, waves, samples, written, strict=True):
            assert heard(wave) == text
            assert not wave[count:].any()
            assert np.array_equal(np.sort(wave[:count]), np.sort(still))
        found.add(written[0])
    assert len(found) > 6  # of twelve orders
    assert written[3] == "go"


@pytest.mark.parametrize("shuffled", [0.0, 1.0])
def test_dropped_words_are_neither_heard_nor_written(clips, shuffled):
    found = set()
    for seed in range(40):
        before, waves, samples, written = changed(clips, seed, shuffled=shuffled, dropped=1.0)
        assert waves.shape[1] == max(samples)
        for still, wave, count, text, said in zip(before, waves, samples, written, SAID, strict=True):
            assert heard(wave) == text
            assert not wave[count:].any()
            assert not Counter(text.split()) - Counter(said.split())
            lost = len(said.split()) - len(text.split())
            assert (len(still) - count) / RATE == pytest.approx(lost * (len(tone("go")) / RATE + 0.15), abs=0.1)
        found.add(written[0])
    assert {len(text.split()) for text in found} == {1, 2, 3, 4}
    assert written[3] == "go"
    in_order = {" ".join(kept) for size in range(1, 5) for kept in itertools.combinations(SAID[0].split(), size)}
    assert (found <= in_order) == (not shuffled)


def test_shortened_pauses_keep_every_word_and_the_share_that_must_stay(clips):
    silent = 0.15 * RATE
    for seed in range(10):
        before, _, samples, written = changed(clips, seed, shortened=0.0)
        assert samples.tolist() == [len(still) for still in before]
        before, waves, samples, written = changed(clips, seed, shortened=0.6)
        assert written == SAID
        for still, wave, count, text in zip(before[:3], waves, samples, SAID, strict=False):
            assert heard(wave) == text
            pauses = len(text.split()) * silent  # half of one before the first word, half of one behind the last
            assert len(still) - 0.6 * pauses <= count < len(still) - 0.05 * pauses
        assert np.array_equal(waves[3, : samples[3]], before[3])  # a word alone


def test_a_clip_whose_pauses_leave_doubt_stays_as_it_is(clips):
    def wave(*pauses):
        quiet = [np.zeros(int(seconds * RATE), np.float32) for seconds in pauses]
        return (np.concatenate([tone("go"), *(one for part in quiet for one in (part, tone("yes")))]) * 32767).astype(np.int16)

    first, second = spans(wave(0.2, 0.05), RATE, 2)
    assert first.begin == 0
    assert second.end == pytest.approx(len(wave(0.2, 0.05)), abs=160)
    assert first.end == second.begin == pytest.approx(len(tone("go")) + 0.1 * RATE, abs=160)
    assert first.stop == pytest.approx(len(tone("go")), abs=160)
    assert second.start == pytest.approx(len(tone("go")) + 0.2 * RATE, abs=160)
    assert spans(wave(0.2, 0.17), RATE, 2) is None
    assert spans(wave(0.2), RATE, 3) is None
    assert spans(wave(0.2), RATE, 1) is None


@pytest.mark.parametrize("name", ["shuffle_words", "drop_words", "shorten_pauses"])
def test_words_that_no_pause_tells_apart_are_refused_where_they_were_to_be_changed(tmp_path, name):
    with pytest.raises(ComponentError, match="no training clip has several words and clear pauses") as told:
        listed(tmp_path, ["go"] * 3, 2, **{name: 0.5})
    assert told.value.path[-1] == name


@pytest.mark.parametrize(("name", "same_length"), [("shuffle_words", True), ("drop_words", False), ("shorten_pauses", False)])
def test_batches_follow_from_the_seed_and_evaluation_hears_what_was_said(tmp_path, name, same_length):
    one, other = (listed(tmp_path, SAID * 2, 4, **{name: 0.7}) for _ in range(2))
    plain = listed(tmp_path, SAID * 2, 4)
    first, again, still = (list(source.train(None)) for source in (one, other, plain))
    assert all(torch.equal(a["input"], b["input"]) for a, b in zip(first, again, strict=True))
    assert all(torch.equal(a["target"], b["target"]) for a, b in zip(first, again, strict=True))
    assert all(a["target"].tolist() == b["target"].tolist() for a, b in zip(first, still, strict=True)) == (
        name == "shorten_pauses"
    )
    assert all(torch.equal(a["length"], b["length"]) for a, b in zip(first, still, strict=True)) == same_length
    for a, b in zip(one.evaluate(None, "val"), plain.evaluate(None, "val"), strict=True):
        assert torch.equal(a["target"], b["target"])
        assert torch.equal(a["input"], b["input"])
    assert one.random_inputs
    assert not plain.random_inputs
