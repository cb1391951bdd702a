"""Models that go on with texts: step by step as at once, and blind for what comes later."""

import pytest
import torch
from tests.helpers.examples.models import CONTINUERS, TEXT_ONLY

from dlx import registry
from dlx.core import Decoder
from dlx.errors import ComponentError
from dlx.testing.common import build

CELLS = [("recurrent_decoder", {"cell": cell, "num_layers": 1}) for cell in ("simple_rnn", "gru")]
MODELS = [*((name, {}) for name in CONTINUERS), *CELLS]
CODES = torch.randint(4, 11, (3, 9), generator=torch.Generator().manual_seed(0))


def made(name, choices):
    torch.manual_seed(0)
    model = build(registry.models, name, CONTINUERS[name][0] | choices, TEXT_ONLY).eval()
    assert isinstance(model, Decoder)
    return model


@pytest.mark.parametrize("read", [0, 1, 5])
@pytest.mark.parametrize(("name", "choices"), MODELS)
def test_step_by_step_after_a_beginning_is_as_at_once_also_for_chosen_rows(name, choices, read):
    model, codes = made(name, choices), CODES
    rows = torch.tensor([2, 0, 0])
    with torch.no_grad():
        whole, state = model(codes), model.begin(codes[:, :read])
        for step in range(read, codes.shape[1]):
            if step == 6:
                state, whole, codes = model.select(state, rows), whole[rows], codes[rows]
            logits, state = model.step(codes[:, step], state)
            torch.testing.assert_close(logits, whole[:, step], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "choices"), MODELS)
def test_later_pieces_and_padding_change_nothing(name, choices):
    model, other = made(name, choices), CODES.clone()
    other[:, 4:] = 0
    with torch.no_grad():
        torch.testing.assert_close(model(CODES)[:, :4], model(other)[:, :4], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(model(CODES[:1, :4]), model(other)[:1, :4], rtol=1e-5, atol=1e-5)


def test_more_positions_than_any_text_had_are_made_when_they_come():
    model = made("transformer_decoder", {})
    codes = torch.randint(4, 11, (1, 600))
    with torch.no_grad():
        assert model(codes).isfinite().all()


def test_heads_divide_the_size():
    with pytest.raises(ComponentError, match="wants a divisor of size 8, not 3"):
        made("transformer_decoder", {"heads": 3})
