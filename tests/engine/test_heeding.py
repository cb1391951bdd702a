"""A signal that comes while a source waits for a batch, as long as that may take, stops the run without a loss."""

import pytest
from tests.helpers.training import IRIS, Kept, differing

from dlx.errors import InterruptedBySignalError


def waiting(kept, step, word, number):
    """Let the source wait, with a signal there, for a batch of training or evaluation, counted from a step."""
    source, trainer = kept.built.source, kept.trainer
    original, drawn = getattr(source, word), [0]

    def delayed(*arguments):
        for batch in original(*arguments):
            drawn[0] += trainer.step >= step
            if drawn[0] == number:
                kept.signal = lambda: 15
                trainer.stop_while_waiting()
            yield batch

    setattr(source, word, delayed)
    with pytest.raises(InterruptedBySignalError):
        kept.fit()
    return kept


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_step_before_is_saved_and_the_run_goes_on_as_if_nothing_had_been(accumulate):
    given = IRIS, f"+trainer.accumulate={accumulate}"
    whole = Kept(*given).fit()
    cut = waiting(Kept(*given), 4, "train", 2)
    assert cut.saved[-1][0] == cut.trainer.step
    assert 4 <= cut.trainer.step < whole.trainer.step
    assert differing(Kept(*given).go_on_from(cut).fit(), whole) == []


def test_in_an_evaluation_nothing_is_saved_and_all_of_it_comes_again():
    given = IRIS, "+trainer.save_every=4"
    whole = Kept(*given).fit()
    cut = waiting(Kept(*given), 6, "evaluate", 1)
    assert cut.saved[-1][0] == 4
    assert differing(Kept(*given).go_on_from(cut).fit(), whole) == []
