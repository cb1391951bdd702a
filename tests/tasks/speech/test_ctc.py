"""CTC against all paths counted one by one, on small numbers of steps and pieces."""

import itertools

import numpy as np
import pytest
import torch
from tests.helpers.examples import others

from dlx.core import Loss
from dlx.registry import tasks
from dlx.tasks.speech.ctc import alignment, beams, greedy, needed
from dlx.tasks.speech.known_words import KnownWords

CODES = [0, 4, 5, 6]


def some_scores(seed, steps=5):
    logits = np.full((steps, 7), -np.inf)
    logits[:, CODES] = np.random.default_rng(seed).normal(size=(steps, 4)) * 2
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def collapsed(path):
    return tuple(code for code, _ in itertools.groupby(path) if code)


def by_all_paths(scores):
    """Add up the probabilities of all paths of each text, and find the likeliest path of each."""
    total, best = {}, {}
    for path in itertools.product(CODES, repeat=len(scores)):
        chance = float(np.exp(scores[range(len(scores)), path].sum()))
        text = collapsed(path)
        total[text] = total.get(text, 0) + chance
        best[text] = max(best.get(text, (0, None)), (chance, path))
    return total, best


@pytest.mark.parametrize("seed", range(6))
def test_beams_find_the_likeliest_text_over_all_its_paths(seed):
    scores = some_scores(seed)
    total, _ = by_all_paths(scores)
    found = beams(scores, 200)
    assert tuple(found[0]) == max(total, key=total.get)
    assert [tuple(one) for one in found[:4]] == sorted(total, key=lambda text: -total[text])[:4]


@pytest.mark.parametrize("seed", range(6))
def test_an_alignment_is_the_likeliest_path(seed):
    scores = some_scores(seed)
    _, best = by_all_paths(scores)
    for text, (_, path) in best.items():
        spans = alignment(scores, list(text))
        starts = [place for place, code in enumerate(path) if code and (not place or path[place - 1] != code)]
        assert [start for start, _ in spans] == starts
        assert all(set(path[start:end]) == {code} for (start, end), code in zip(spans, text, strict=True))


def test_greedy_answers_drop_blanks_and_repetitions():
    path = [0, 4, 4, 0, 4, 5, 5, 0, 6]
    assert greedy(np.eye(7)[path]) == [4, 4, 5, 6]


def test_the_steps_that_a_text_needs_count_blanks_between_equal_pieces():
    assert [needed(codes) for codes in ([], [4], [4, 4], [4, 5, 5, 5])] == [0, 1, 3, 6]


def test_known_words_hold_beams_to_a_list():
    processor = others.hearer()
    known = KnownWords(processor.tokenizer, ["go", "pets"])
    codes = {word: tuple(processor.codes([word])[0]) for word in ("go", "pets", "go pets")}
    blank = processor.tokenizer.cut(" ")[0]
    assert all(known.begins(code[:size]) for code in codes.values() for size in range(1, len(code) + 1))
    assert not known.begins((codes["pets"][1],))
    assert not known.begins((codes["go"][0], blank))
    assert known.finished(codes["go pets"])
    assert not known.finished(codes["pets"][:3])


@torch.no_grad()
def test_a_loss_over_batches_is_that_over_all_whatever_is_too_short():
    """The sum over pieces of clips that can be, over those pieces, as torch counts each clip alone."""
    name = "speech_recognition"
    _, facts, model, batch = others.TASKS[name]
    task = tasks.build(name, {"beam_size": 1, "known_words": False}, {**facts, "model": model()}).eval()
    words = dict(batch())
    words["target"] = torch.cat((words["target"], torch.full((12, 20), -1)), 1)
    words["target"][3, :20] = 5  # twenty equal pieces want 39 steps, and there are 12

    def part(rows):
        return {word: value[rows] if isinstance(value, torch.Tensor) else value[:1] for word, value in words.items()}

    losses = [task(part(slice(n, n + 4))) for n in (0, 4, 8)]
    whole: Loss = task(words)
    total = sum(float(one.weight) for one in losses)
    assert float(whole.weight) == total == sum(int((row >= 0).sum()) for n, row in enumerate(words["target"]) if n != 3)
    assert float(whole.value) == pytest.approx(sum(float(one.value * one.weight) for one in losses) / total, rel=1e-5)
    assert float(whole.scalars["too_short"]) == pytest.approx(1 / 12)
    alone = 0.0
    for row in (n for n in range(12) if n != 3):
        scores, steps = task.scores(part(slice(row, row + 1)))
        target = words["target"][row][words["target"][row] >= 0]
        alone += float(
            torch.nn.functional.ctc_loss(scores[0, : int(steps)], target, steps[0], torch.tensor(len(target)), 0, "sum")
        )
    assert float(whole.value) == pytest.approx(alone / total, rel=1e-5)
    told = list(task.remarks({"train/too_short": 1 / 12}))
    assert len(told) == 1
    assert "8.3% of the training clips have fewer steps than their transcripts need" in told[0]
    assert not list(task.remarks({"train/too_short": 1 / 12}))


class Sure(torch.nn.Module):
    """Stands in for a network: a step of every two says what the first feature is."""

    def forward(self, input, length):
        said = input[:, ::2, 0].long()
        return 30 * torch.nn.functional.one_hot(said, 11).float(), (length + 1) // 2


@pytest.mark.parametrize("choices", [{"beam_size": 1, "known_words": False}, {"beam_size": 4, "known_words": True}])
def test_answers_have_the_times_of_the_steps_that_say_them(choices):
    processor = others.hearer()
    (codes,) = processor.codes(["go pets"])
    path = [0, 0, *[code for code in codes for _ in range(3)], 0]
    steps = torch.tensor(path).repeat_interleave(2).float()
    batch = {"input": torch.nn.functional.pad(steps[None, :, None], (0, 0, 0, 6)), "length": torch.tensor([len(steps)])}
    facts = {"target_vocab_size": 11, "processor": processor}
    task = tasks.build("speech_recognition", choices, {**facts, "model": Sure()})
    prediction = task.predict(batch)
    processor.heard = []
    (answer,) = processor.decode(prediction)
    assert answer["output"] == "go pets"
    one, other = answer["words"]
    assert (one["word"], other["word"]) == ("go", "pets")
    step = 2 * processor.step_seconds
    assert [one["start"], one["end"]] == pytest.approx([2 * step, 8 * step])
    assert [other["start"], other["end"]] == pytest.approx([11 * step, 23 * step])
    assert str(answer["words"]) == f"go {2 * step:.2f}-{8 * step:.2f}, pets {11 * step:.2f}-{23 * step:.2f}"
