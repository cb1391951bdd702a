"""`dlx predict --explain` of texts: the words that decide, and where a model looked."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.helpers.small_texts import BAD, GOOD, judge, writer
from typer.testing import CliRunner

import dlx
from dlx.cli import app
from dlx.commands.explaining import explanation
from dlx.errors import UsageError

RNN = {"name": "text_rnn", "embedding_size": 16, "size": 16}
LAYERS = {"name": "sequential", "layers": [{"embedding": 16}, {"lstm": 16}, {"dense": "num_classes"}]}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def judging(tmp_path_factory):
    return judge(tmp_path_factory.mktemp("feelings"))


def predict(*arguments):
    result = CliRunner().invoke(app, ["predict", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result


def odds(answer):
    share = answer["probability"][answer["label"]]
    return math.log(share / (1 - share))


def test_the_evidence_of_a_word_is_what_the_log_odds_lose_without_it(judging):
    text, without = (
        "the lovely film, a plot",
        [
            "lovely film, a plot",
            "the film, a plot",
            "the lovely, a plot",
            "the lovely film a plot",
            "the lovely film, plot",
            "the lovely film, a",
        ],
    )
    answer = json.loads(predict(judging, text, "--explain", "--json").stdout)
    assert [word for word, _ in answer["words"]] == ["the", "lovely", "film", ",", "a", "plot"]
    assert answer["label"] == "good"
    for (_, evidence), other in zip(answer["words"], dlx.predict(judging, without), strict=True):
        share = other["probability"]["good"]
        told = odds(answer) - math.log(share / (1 - share))
        assert evidence == pytest.approx(told, rel=0.01, abs=4e-6 / (1 - share))  # near 1 six digits say little


@pytest.mark.parametrize("model", [None, RNN, LAYERS])
def test_the_words_that_were_learned_decide(judging, tmp_path, model):
    run = judging if model is None else judge(tmp_path, model)
    texts = [f"a film {word} plot" for word in (*GOOD, *BAD)]
    answers = [json.loads(line) for line in predict(run, *texts, "--explain", "--json").stdout.splitlines()]
    right = [answer for answer, label in zip(answers, ["good"] * 3 + ["bad"] * 3, strict=True) if answer["label"] == label]
    assert len(right) >= 5
    for answer in right:
        decisive, evidence = max(answer["words"], key=lambda one: one[1])
        assert decisive in (*GOOD, *BAD)
        assert evidence > 0


def test_a_line_a_text_in_colours_on_a_terminal(judging, monkeypatch):
    Path("some.txt").write_text("a lovely film\n\nthe dull plot\n")
    lines = predict(judging, "--file", "some.txt", "--explain").stdout.split("\n")
    assert len(lines) == 4
    assert lines[0].startswith("good ")
    assert "  lovely +" in lines[0]
    assert lines[2].startswith("bad ")
    assert "  dull +" in lines[2]
    assert "\x1b" not in "".join(lines)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured = predict(judging, "a lovely film", "--explain").stdout
    assert "\x1b[1;32mlovely +" in coloured
    evil = predict(judging, "a l\x9bovely film", "--explain").stdout
    assert "\x9b" not in evil


def test_a_long_text_is_explained_by_batches(judging, monkeypatch):
    from dlx.processors.text.base import Texts

    text = " ".join(["film", "lovely", "plot"] * 20)
    whole = dlx_explained(judging, text)
    monkeypatch.setattr(Texts, "batch_size", 7)
    small = dlx_explained(judging, text)
    assert len(whole) == 60
    for one, other in zip(whole, small, strict=True):
        assert one[1] == pytest.approx(other[1], abs=1e-4)


def dlx_explained(run, text):
    return json.loads(predict(run, text, "--explain", "--json").stdout)["words"]


@pytest.mark.parametrize("model", ["recurrent_seq2seq", "transformer", "pointer_generator"])
def test_where_a_writer_looked_is_drawn_and_lines_stay_lines(tmp_path, model):
    run = writer(tmp_path, model, steps=5)
    texts = ("one two three", "", "eight")
    plain = predict(run, *texts).stdout
    found = predict(run, *texts, "--explain", "--output", "why")
    assert found.stdout == plain
    assert found.stderr == "wrote why/text_explained.png\nwrote why/text_2_explained.png\n"
    assert all(Path(f"why/text{n}_explained.png").stat().st_size > 1000 for n in ("", "_2"))
    answers = [json.loads(line) for line in predict(run, *texts, "--explain", "--json").stdout.splitlines()]
    assert [answer.get("explained") for answer in answers] == ["text_explained.png", None, "text_2_explained.png"]


def test_a_folder_for_no_picture_is_refused(judging):
    with pytest.raises(UsageError, match="--output why: the words that decide are printed"):
        predict(judging, "a lovely film", "--explain", "--output", "why")
    assert not Path("why").exists()


def test_pixels_and_boxes_are_not_explained():
    processor = SimpleNamespace(has_parts=False)
    for words in ({"label", "pixel_probability"}, {"box", "box_score", "box_label"}, {"value"}):
        learner = SimpleNamespace(task=SimpleNamespace(predicts=frozenset(words), model=None))
        with pytest.raises(UsageError, match="only classes of images and of texts"):
            explanation(learner, {"channel_mean": [0.5]}, processor, None)
