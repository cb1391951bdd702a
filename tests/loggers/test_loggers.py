"""What whoever watches sees: the bar in a narrow terminal, names that are no markup, numbers and pictures in TensorBoard."""

import io

import pytest
from rich.console import Console as RichConsole

from dlx import registry
from dlx.loggers.console import Numbers
from dlx.pictures.grids import Grid
from dlx.storage.run import Run

NUMBERS = {"train/loss": 0.225, "val/loss": 0.06632, "val/accuracy": 1.0, "val/f1/[/b]": 0.5, "val/f1/$": 0.25}


@pytest.fixture
def console(tmp_path, monkeypatch):
    """Make a console logger as on a terminal of some width; gives it and what is on the screen."""
    made = []

    def make(width: int):
        run = Run.create(tmp_path, f"run{width}", exact=True)
        logger = registry.loggers.build("console", {}, {"run": run})
        screen = io.StringIO()
        logger.rich = RichConsole(file=screen, force_terminal=True, width=width, color_system=None, legacy_windows=False)
        logger.live = True
        made.append((run, logger))
        return logger, screen

    yield make
    for run, logger in made:
        logger.close()
        run.close()


@pytest.mark.parametrize(
    ("width", "numbers"),
    [(200, ["train/loss 0.225", "val/accuracy 1", "val/f1/[/b] 0.5"]), (80, ["train/loss 0.225"]), (60, []), (44, [])],
)
def test_on_a_narrow_terminal_the_numbers_give_way_and_total_and_times_stay(console, width, numbers):
    logger, screen = console(width)
    logger.progress(0, 12_500)
    logger.log(9_000, NUMBERS)
    logger.progress(9_000, 12_500)
    last = screen.getvalue().split("\r")[-1].replace("\x1b[2K", "")
    assert "9000/12500" in last
    assert "0:00:0" in last
    assert last.count(":") == 4
    assert "…" not in last
    assert len(last.strip("\n")) <= width
    for number in numbers:
        assert number in last


@pytest.mark.parametrize(("width", "shown"), [(100, "a 1  bb 2  c 3"), (9, "a 1  bb 2"), (8, "a 1"), (2, "")])
def test_numbers_are_shown_whole_or_not_at_all(width, shown):
    screen = io.StringIO()
    RichConsole(file=screen, width=width).print(Numbers(["a 1", "bb 2", "c 3"]))
    assert screen.getvalue().strip() == shown


def test_names_are_no_markup_and_no_control_characters_on_a_terminal_or_in_the_log(console, tmp_path):
    logger, screen = console(120)
    logger.progress(0, 10)
    logger.log(1, {"val/[/b]\x1b[31m\n:smile:": 1.0})
    logger.message("a [/b] :smile: \x1b[31m\u202e")
    logger.progress(1, 10)
    told = r"[/b]\x1b[31m\x0a:smile: 1"
    assert told in screen.getvalue()
    assert r"a [/b] :smile: \x1b[31m\u202e" in screen.getvalue()
    log = (tmp_path / "run120" / "train.log").read_text()
    assert told in log
    assert "\x1b" not in log


def test_tensorboard_reads_back_what_was_logged(tmp_path):
    import numpy as np
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Run.create(tmp_path, "run", exact=True) as run:
        logger = registry.loggers.build("tensorboard", {}, {"run": run})
        logger.log(3, {"val/accuracy": 0.5})
        logger.frame(3, "samples", Grid(np.zeros((1, 1, 8, 8), np.uint8), 1))
        logger.close()
    found = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in found.Scalars("val/accuracy")] == [(3, 0.5)]
    assert (found.Images("samples")[0].width, found.Images("samples")[0].step) == (60, 3)
