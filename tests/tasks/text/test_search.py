"""Answers written piece by piece, by a chain of pieces whose best answers are known from trying all."""

import itertools

import pytest
import torch

from dlx.tasks.text.search import BEGIN, END, Decoding, lot, search

PIECES, MOST = 7, 4  # 0 to 3 are padding, unknown, begin and end


class Chain:
    """The next piece depends on the last one, and on which sentence it is."""

    def __init__(self, seed):
        self.table = 2 * torch.randn(5, PIECES, PIECES, generator=torch.Generator().manual_seed(seed))
        self.calls = []

    def step(self, token, state):
        self.calls.append(len(token))
        return self.table[state, token], state

    def select(self, state, rows):
        return state[rows]


def worth(chain, sentence, answer, penalty):
    scores = chain.table[sentence].clone()
    scores[:, [0, 1, 2]] = -torch.inf
    total, last = 0.0, BEGIN
    for piece in answer:
        total += float(scores[last].log_softmax(-1)[piece])
        last = piece
    return total / ((5 + len(answer)) / 6) ** penalty


def answers():
    for size in range(MOST):
        for body in itertools.product(range(4, PIECES), repeat=size):
            yield [*body, END]
    yield from (list(body) for body in itertools.product(range(4, PIECES), repeat=MOST))


def written(chain, rows, **choices):
    how = Decoding(**choices)
    draws = torch.rand(len(rows), MOST, generator=torch.Generator().manual_seed(0))
    return search(chain, torch.tensor(rows), torch.full((len(rows),), BEGIN), MOST, how, draws)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0])
def test_wide_beams_find_the_best_of_all_answers(seed, penalty):
    chain = Chain(seed)
    for sentence in range(5):
        best = max(answers(), key=lambda answer: worth(chain, sentence, answer, penalty))
        assert written(chain, [sentence], beam_size=150, length_penalty=penalty) == [best]


@pytest.mark.parametrize("choices", [{}, {"beam_size": 3}, {"beam_size": 2, "no_repeat_ngram": 2}])
def test_each_sentence_is_answered_as_it_is_alone(choices):
    chain = Chain(1)
    alone = [written(chain, [sentence], **choices)[0] for sentence in range(5)]
    assert written(chain, [0, 1, 2, 3, 4], **choices) == alone
    assert written(chain, [3, 3, 0], **choices) == [alone[3], alone[3], alone[0]]


def test_greedy_takes_the_likeliest_piece_and_drops_what_has_ended():
    chain = Chain(2)
    found = written(chain, [0, 1, 2, 3, 4])
    for sentence, answer in enumerate(found):
        last = BEGIN
        for piece in answer:
            scores = chain.table[sentence, last].clone()
            scores[:3] = -torch.inf
            assert piece == scores.argmax()
            last = piece
    assert chain.calls == [live for step in range(MOST) if (live := sum(len(answer) > step for answer in found))]


@pytest.mark.parametrize("beam_size", [1, 2])
def test_no_pieces_come_twice_where_that_is_asked(beam_size):
    chain = Chain(3)
    chain.table[:, :, END] = -9.0
    answer = written(chain, [0], no_repeat_ngram=1, beam_size=beam_size)[0]
    assert len(set(answer)) == len(answer) > 1


def test_lots_follow_the_shares_and_keep_to_the_likeliest():
    scores = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().expand(10_000, -1)
    draw = (torch.arange(10_000) + 0.5) / 10_000
    counts = torch.bincount(lot(scores, Decoding(sample=True), draw), minlength=4) / 10_000
    assert counts.tolist() == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=1e-3)
    assert lot(scores, Decoding(sample=True, top_k=2), draw).max() == 1
    assert lot(scores, Decoding(sample=True, top_p=0.6), draw).max() == 1
    cold = torch.bincount(lot(scores, Decoding(sample=True, temperature=0.5), draw), minlength=4) / 10_000
    assert float(cold[0]) == pytest.approx(0.25 / (0.25 + 0.09 + 0.0225 + 0.0025), abs=1e-3)
