"""CTC against all paths counted one by one, on small numbers of steps and pieces."""

import itertools

import numpy as np
import pytest
import torch
from tests.helpers.examples import others

from dlx.core import Loss
from dlx.errors import ComponentError
from dlx.processors.speech.language_model import LanguageModel
from dlx.registry import tasks
from dlx.tasks.speech.ctc import alignment, beams, greedy, needed
from dlx.tasks.speech.known_words import KnownWords
from dlx.tasks.speech.word_scores import WordScores

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
    assert found[0][0] == max(total, key=total.get)
    assert [text for text, _ in found[:4]] == sorted(total, key=lambda text: -total[text])[:4]
    assert [value for _, value in found[:4]] == pytest.approx([np.log(total[text]) for text, _ in found[:4]], abs=1e-3)


@pytest.mark.parametrize("seed", range(6))
def test_what_texts_are_worth_is_added_to_their_probability(seed):
    scores = some_scores(seed)
    total, _ = by_all_paths(scores)

    def worth(text):
        return float(np.random.default_rng(text).normal())

    values = {text: np.log(chance) + worth(text) for text, chance in total.items()}
    found = beams(scores, 1000, worth=worth)
    assert [text for text, _ in found[:4]] == sorted(values, key=lambda text: -values[text])[:4]
    assert [value for _, value in found[:4]] == pytest.approx([np.log(total[text]) for text, _ in found[:4]], abs=1e-3)


def test_the_words_of_an_answer_are_worth_what_the_language_model_says():
    """Whole words while it is written, all of them and the end in the end; a bonus for each."""
    processor = others.hearer()
    model = LanguageModel.fit(2, ["go pets", "go"])
    words = WordScores(processor.tokenizer, model, 0.5, 0.25)
    (codes,) = processor.codes(["go pets"])
    first, second, end = (model.log_probability(*one) for one in (("go", ()), ("pets", ("go",)), ("", ("go", "pets"))))
    assert [words.begun(tuple(codes[:size])) for size in (0, 2, 3, 7)] == pytest.approx([0, 0, *[0.5 * first + 0.25] * 2])
    assert words.finished(codes) == pytest.approx(0.5 * (first + second + end) + 0.5)
    assert words.finished([]) == pytest.approx(0.5 * model.log_probability("", ()))


def speaking(choices, model=None):
    processor = others.hearer()
    processor.language_model = model
    facts = {"target_vocab_size": 11, "processor": processor, "model": Sure()}
    return tasks.build("speech_recognition", {"beam_size": 5, "known_words": False} | choices, facts)


def test_the_likelier_word_is_written_where_sounds_leave_it_open():
    """ "pets" and "pest" are heard alike: the model of words decides, by its weight."""
    processor = others.hearer()
    one, other = processor.codes(["pets", "pest"])
    scores = np.full((4, 11), -np.inf)
    for step, (right, wrong) in enumerate(zip(one, other, strict=True)):
        scores[step, [right, wrong]] = np.log([0.5, 0.5]) if right == wrong else np.log([0.4, 0.6])
    model = LanguageModel.fit(2, ["pets"] * 5)
    said = [processor.detokenize(speaking({"language_weight": w}, model).searched(scores)) for w in (0.0, 1.0)]
    assert said == ["pest", "pets"]
    assert speaking({}, model).searched(scores) == list(beams(scores, 5)[0][0])


@pytest.mark.parametrize(
    ("choices", "model", "fault"),
    [
        ({"beam_size": 1, "language_weight": 0.5}, LanguageModel.fit(1, ["go"]), "chooses among beams"),
        ({"beam_size": 1, "word_bonus": 0.5}, None, "chooses among beams"),
        ({"language_weight": 0.5}, None, "data.language_model: 3"),
    ],
)
def test_what_weighs_words_wants_beams_and_a_model(choices, model, fault):
    with pytest.raises(ComponentError, match=fault):
        speaking(choices, model)


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
