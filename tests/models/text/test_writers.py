"""Models that write texts: step by step as at once, and each text as if it were alone."""

import pytest
import torch
from tests.helpers.examples.models import PAIRS, WRITERS, table_batch

from dlx import registry
from dlx.core import Attending, Decoder
from dlx.errors import ComponentError
from dlx.tasks.text.search import BEGIN, END, Decoding, search
from dlx.testing.common import build

CELLS = [("recurrent_seq2seq", {"cell": cell}) for cell in ("simple_rnn", "lstm", "gru")]
MODELS = [*((name, {}) for name in WRITERS), *CELLS, ("recurrent_seq2seq", {"copy": True})]
MODELS += [("pointer_generator", {"coverage": 0.0}), ("pointer_generator", {"cell": "lstm"})]


def made(name, facts=PAIRS, **choices):
    torch.manual_seed(0)
    model = build(registry.models, name, WRITERS[name][0] | choices, facts).eval()
    assert isinstance(model, Decoder)
    return model


@pytest.mark.parametrize(("name", "choices"), MODELS)
def test_step_by_step_is_as_at_once_also_for_chosen_rows(name, choices):
    model, batch = made(name, **choices), table_batch(PAIRS)
    rows = torch.tensor([2, 0, 0])
    with torch.no_grad():
        whole = model(**batch)
        state = model.begin(batch["input"], batch["length"])
        previous = batch["previous"]
        for step in range(previous.shape[1]):
            if step == 2:
                state, whole, previous = model.select(state, rows), whole[rows], previous[rows]
            logits, state = model.step(previous[:, step], state)
            assert torch.allclose(logits, whole[:, step], atol=1e-5)


@pytest.mark.parametrize(("name", "choices"), MODELS)
def test_padding_changes_nothing(name, choices):
    model, batch = made(name, **choices), table_batch(PAIRS)
    with torch.no_grad():
        whole = model(**batch)
        for row, length in enumerate(batch["length"].tolist()):
            alone = model(batch["input"][row : row + 1, :length], batch["previous"][row : row + 1], torch.tensor([length]))
            assert torch.allclose(alone[0], whole[row], atol=1e-5)


@pytest.mark.parametrize(("name", "choices"), MODELS)
def test_what_is_written_greedily_is_what_the_whole_model_would_write(name, choices):
    model, batch = made(name, **choices), table_batch(PAIRS)
    codes, length, most = batch["input"], batch["length"], 6
    with torch.no_grad():
        found = search(model, model.begin(codes, length), torch.full((3,), BEGIN), most, Decoding(), None)
        for row, answer in enumerate(found):
            written = [BEGIN]
            while len(written) <= most and written[-1] != END:
                scores = model(codes[row : row + 1], torch.tensor([written]), length[row : row + 1])[0, -1]
                scores[: BEGIN + 1] = -torch.inf
                written.append(int(scores.argmax()))
            assert answer == written[1:]


@pytest.mark.parametrize("name", WRITERS)
def test_later_pieces_are_not_seen(name):
    model, batch = made(name), table_batch(PAIRS)
    other = batch["previous"].clone()
    other[:, 3:] = 4
    with torch.no_grad():
        assert torch.allclose(model(**batch)[:, :3], model(**{**batch, "previous": other})[:, :3], atol=1e-6)


@pytest.mark.parametrize("name", ["transformer", "pointer_generator"])
def test_copying_gives_probabilities_and_wants_one_vocabulary(name):
    model, batch = made(name), table_batch(PAIRS)
    with torch.no_grad():
        assert torch.allclose(model(**batch).exp().sum(-1), torch.ones(3, 5), atol=1e-5)
    with pytest.raises(ComponentError, match="share one vocabulary"):
        made(name, {**PAIRS, "shared_vocabulary": False})


@pytest.mark.parametrize(("name", "choices"), MODELS)
def test_attention_is_a_share_of_each_step_that_is_no_padding(name, choices):
    model, batch = made(name, **choices), table_batch(PAIRS)
    assert isinstance(model, Attending)
    with torch.no_grad():
        weights = model.attention(**batch)
        assert weights.shape == (3, batch["previous"].shape[1], batch["input"].shape[1])
        assert torch.allclose(weights.sum(-1), torch.ones(weights.shape[:2]), atol=1e-5)
        for row, length in enumerate(batch["length"].tolist()):
            assert not weights[row, :, length:].any()
            alone = model.attention(
                batch["input"][row : row + 1, :length], batch["previous"][row : row + 1], torch.tensor([length])
            )
            assert torch.allclose(alone[0], weights[row, :, :length], atol=1e-5)
    assert weights.std() > 1e-4


def test_the_attention_of_a_transformer_is_the_one_it_works_with():
    model, batch = made("transformer", heads=1, decoder_layers=1), table_batch(PAIRS)
    block = next(model.blocks())
    seen = []
    recall = block.memory_attention.recall

    def kept(steps, known, mask):
        seen.append((recall(steps, known, mask), known))
        return seen[-1][0]

    block.memory_attention.recall = kept
    with torch.no_grad():
        weights = model.attention(**batch)
        (found, known), *_ = seen
        assert torch.allclose(block.memory_attention.join(weights @ known.value[:, 0]), found, atol=1e-5)
