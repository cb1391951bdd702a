"""A run that is made longer says what may not be expected: that it has stopped for good, or that its rate jumps."""

import pytest
from tests.helpers.training import IRIS, Kept


def extended(first, second, *overrides):
    """Train, and go on from there as another experiment says: its messages."""
    before = Kept(IRIS, *overrides, *first).fit()
    after = Kept(IRIS, *overrides, *second).go_on_from(before)
    return before, after.fit()


def test_after_early_stopping_more_epochs_say_why_they_do_nothing():
    stopping = ["optimizer={name: sgd, lr: 0.0}", "+trainer.early_stopping=2"]
    before, after = extended(["epochs=20"], ["epochs=40"], *stopping)
    assert after.trainer.step == before.trainer.step < 20 * 6
    told = f"step {after.trainer.step}: it had stopped early, since there was no better accuracy in 2 evaluations; "
    assert after.lines.messages == [told + "a larger trainer.early_stopping, or null, lets it go on"]


def test_with_more_patience_it_goes_on_without_a_word():
    fixed = ["optimizer={name: sgd, lr: 0.0}"]
    before, after = extended(["epochs=20", "+trainer.early_stopping=2"], ["epochs=20", "+trainer.early_stopping=3"], *fixed)
    assert after.trainer.step == before.trainer.step + 6
    assert not [message for message in after.lines.messages if "had stopped" in message]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "one_cycle", "{name: cosine, warmup: 3}"])
def test_a_stretched_schedule_that_raises_the_rate_is_told(schedule):
    _, after = extended(["epochs=2"], ["epochs=4"], f"+schedule={schedule}")
    assert len(after.lines.messages) == 1
    assert "step 12: the schedule is stretched to 24 steps: the learning rate goes up again, from " in after.lines.messages[0]


INVERSE = "{name: inverse_square_root, warmup: 3}"


@pytest.mark.parametrize(
    "schedule", ["constant", "{name: step, every: 1}", "{name: exponential, gamma: 0.5}", "plateau", INVERSE]
)
def test_a_schedule_that_does_not_depend_on_the_length_says_nothing(schedule):
    _, after = extended(["epochs=2"], ["epochs=4"], f"+schedule={schedule}")
    assert not after.lines.messages


@pytest.mark.parametrize("step", [1, 7, 11])
def test_a_run_that_is_resumed_as_it_was_says_nothing(step):
    config = ["epochs=2", "+schedule={name: one_cycle}"]
    before = Kept(IRIS, *config).interrupt(step)
    after = Kept(IRIS, *config).go_on_from(before).fit()
    assert not after.lines.messages
