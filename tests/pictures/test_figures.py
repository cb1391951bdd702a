"""Figures draw whatever name a class has, without a warning, and mark the best evaluation."""

import io

import numpy as np
import pytest
from PIL import Image

from dlx.pictures.figures import BEST, curves, explained, gallery, matrix, worded

NAMES = [
    "$",
    "$$",
    "$x",
    "$\\frac$",
    "[/b]",
    "a\nb",
    "\x1b[31m",
    "猫",
    "狗",
    "🙂",
    "_hidden",
    "é",
    "\\$",
    "x" * 300,
    "\u202e",
    "\t",
]


def drawn(figure) -> np.ndarray:
    stream = io.BytesIO()
    figure.savefig(stream)  # warnings are errors here
    return np.asarray(Image.open(stream).convert("L"))


@pytest.mark.parametrize("name", NAMES)
def test_any_class_name_can_be_drawn(name):
    drawn(matrix(np.eye(2, dtype=int), [name, "other"]))
    drawn(gallery(np.zeros((1, 4, 4, 3)), [(f"true: {name}", f"{name} 0.90")]))
    drawn(explained(np.zeros((4, 4, 3)), np.zeros((4, 4)), name))
    drawn(curves([{"step": 1, f"val/f1/{name}": 0.5}]))


def test_different_names_look_different():
    pictures = [drawn(matrix(np.eye(2, dtype=int), [name, "other"])).tobytes() for name in NAMES]
    assert len(set(pictures)) == len(NAMES)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("$$", "$$"),
        ("a\nb", r"a\x0ab"),
        ("\x1b[31m", r"\x1b[31m"),
        ("x" * 300, "x" * 37 + "..."),
        ("Größe", "Größe"),
        ("\U0010fffd", r"\U0010fffd"),
        ("\ue000" * 30, r"\ue000" * 6 + r"\..."),
    ],
)
def test_names_are_drawn_as_they_are_or_escaped(name, words):
    assert worded(name) == words


def test_the_labels_of_a_matrix_are_the_names():
    figure = matrix(np.eye(2, dtype=int), ["$a$", "b"])
    drawn(figure)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["$a$", "b"]
    assert not any(label.get_parse_math() for label in figure.axes[0].get_xticklabels())


ROWS = [{"step": step, "epoch": step / 2, "val/accuracy": 0.1 * step, "val/loss": 1.0} for step in (2, 4, 6)]


def test_curves_mark_the_best_evaluation():
    figure = curves(ROWS, {"step": 4, "name": "accuracy", "value": 0.4, "loss": 1.0})
    accuracy, loss = figure.axes
    for axes in (accuracy, loss):
        assert [line.get_xdata()[0] for line in axes.lines if line.get_label() == "best"] == [2.0]
    points = [line for line in accuracy.lines if line.get_marker() == "o" and line.get_color() == BEST]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in points] == [(2.0, 0.4)]
    assert not [line for line in loss.lines if line.get_marker() == "o"]


@pytest.mark.parametrize("best", [None, {"step": 99, "name": "accuracy", "value": 1.0}])
def test_curves_mark_nothing_where_no_best_is_known(best):
    assert "best" not in [line.get_label() for axes in curves(ROWS, best).axes for line in axes.lines]


def test_curves_of_an_environment_are_drawn_over_its_frames_with_the_returns_of_training():
    rows = [
        {"step": 1, "epoch": 0.5, "seconds": 1.0, "frames": 100, "episode_return": 7.0, "train/loss": 2.0},
        {"step": 2, "epoch": 1, "seconds": 2.0, "frames": 300, "train/loss": 1.0, "val/episode_return": 9.0},
    ]
    first, second = curves(rows).axes
    assert (first.get_title(), second.get_title()) == ("episode_return", "loss")
    assert first.get_xlabel() == second.get_xlabel() == "frames"
    told = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in first.lines}
    assert told == {"train": ([100], [7.0]), "val": ([300], [9.0])}
    del rows[0]["frames"]
    assert curves(rows).axes[0].get_xlabel() == "epoch"
