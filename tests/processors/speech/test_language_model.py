"""The n-gram model against counts by hand, and as a distribution."""

import itertools
import json
import math

import pytest

from dlx.errors import UsageError
from dlx.processors.speech.language_model import LanguageModel

TEXTS = ["yes please", "yes yes", "no"]


def test_probabilities_are_those_counted_by_hand():
    """Eight single words: yes 3, please 1, no 1, the end 3; after "yes" (3 times) please, yes and the end stand once each."""
    model = LanguageModel.fit(2, TEXTS)
    uniform = 1 / 5  # yes, please, no, the end, and one unknown word
    alone = {word: (count + 4 * uniform) / (8 + 4) for word, count in {"yes": 3, "please": 1, "no": 1, "": 3, "go": 0}.items()}
    after_yes = {
        word: (count + 3 * alone[word]) / (3 + 3) for word, count in {"yes": 1, "please": 1, "": 1, "no": 0, "go": 0}.items()
    }
    first = {
        word: (count + 2 * alone[word]) / (3 + 2) for word, count in {"yes": 2, "no": 1, "please": 0, "": 0, "go": 0}.items()
    }
    for history, wanted in ((("no", "yes"), after_yes), ((), first), (("go",), alone)):
        found = {word: math.exp(model.log_probability(word, history)) for word in wanted}
        assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_probabilities_after_any_words_add_up_to_one(order):
    model = LanguageModel.fit(order, TEXTS)
    words = ["yes", "please", "no", "", "unknown"]
    for size in range(3):
        for history in itertools.product([*words[:3], "unknown"], repeat=size):
            total = sum(math.exp(model.log_probability(word, history)) for word in words)
            assert total == pytest.approx(1, rel=1e-12)


def test_a_model_comes_back_from_its_state():
    model = LanguageModel.fit(3, TEXTS)
    again = LanguageModel.from_state(json.loads(json.dumps(model.state_dict())))
    for word, history in (("please", ["yes"]), ("", ["yes", "yes"]), ("go", [])):
        assert again.log_probability(word, history) == model.log_probability(word, history)


@pytest.mark.parametrize(
    "damage",
    [
        {"order": 0},
        {"order": "3"},
        {"order": 2},
        {"counts": [["yes", 1]]},
        {"counts": [[["a", "b", "c"], 0]]},
        {"counts": None},
    ],
)
def test_a_damaged_state_is_refused(damage):
    with pytest.raises(UsageError, match="language model is damaged"):
        LanguageModel.from_state(LanguageModel.fit(3, TEXTS).state_dict() | damage)
