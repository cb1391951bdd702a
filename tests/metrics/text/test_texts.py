"""Texts held against the reference libraries, on the same strings and with all references."""

import sys

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer
from tests.helpers.examples.metrics import FACTS, spoken

from dlx.errors import ComponentError
from dlx.metrics.text.likelihood import LengthRatio
from dlx.metrics.text.rouge import Rouge
from dlx.metrics.text.translation import BLEU, ChrF

PROCESSOR = FACTS["processor"]


def fed(metric):
    for prediction, batch in spoken():
        metric.update(prediction, batch)
    return metric


def strings():
    outputs = [PROCESSOR.detokenize(row) for prediction, _ in spoken() for row in prediction["output"].tolist()]
    return outputs, [references for _, batch in spoken() for references in batch["reference"]]


def test_bleu_and_chrf_are_sacrebleus():
    outputs, references = strings()
    # A sentence with one right answer has it twice here: the same counts, and the same closest length.
    streams = [[r[0] for r in references], [r[-1] for r in references]]
    bleu, chrf = fed(BLEU(PROCESSOR)), fed(ChrF(PROCESSOR, word_order=2))
    assert bleu.compute()["bleu"] == pytest.approx(sacrebleu.corpus_bleu(outputs, streams).score, abs=1e-9)
    assert bleu.compute()["bleu_first"] == pytest.approx(sacrebleu.corpus_bleu(outputs, streams[:1]).score, abs=1e-9)
    assert chrf.compute()["chrf"] == pytest.approx(sacrebleu.corpus_chrf(outputs, streams, word_order=2).score, abs=1e-9)
    assert bleu.signature().startswith("bleu: nrefs:var|case:mixed|eff:no|tok:13a|")
    several = [one for one in references if len(one) > 1]
    second = sacrebleu.corpus_bleu([one[1] for one in several], [[one[0] for one in several]]).score
    assert bleu.signature().endswith(f"the second right answer of {len(several)} scores {second:.1f} against the first")


def test_rouge_is_that_of_rouge_score():
    scorer, (outputs, references) = RougeScorer(["rouge1", "rouge2", "rougeLsum"]), strings()
    scored = [scorer.score_multi(right, output) for right, output in zip(references, outputs, strict=True)]
    for name, value in fed(Rouge(PROCESSOR)).compute().items():
        assert value == pytest.approx(sum(one[name].fmeasure for one in scored) / len(scored), abs=1e-9)


@pytest.mark.parametrize(
    ("right", "given"), [("the cat sat\non the mat", "the mat\nthe cat on it sat"), ("a b c a b", "a a b\nc b a")]
)
def test_several_lines_are_joined_as_rouge_score_joins_them(right, given):
    expected = RougeScorer(["rouge1", "rouge2", "rougeLsum"]).score(right, given)
    assert Rouge(PROCESSOR).f1(right, given) == pytest.approx([one.fmeasure for one in expected.values()])


def test_words_of_all_languages_count():
    assert Rouge(PROCESSOR).f1("sí", "s")[0] == 0
    assert Rouge(PROCESSOR, words="ascii").f1("sí", "s")[0] == 1


def test_the_length_ratio_counts_words():
    outputs, references = strings()
    expected = sum(len(o.split()) for o in outputs) / sum(len(r[0].split()) for r in references)
    assert fed(LengthRatio(PROCESSOR)).compute() == {"length_ratio": pytest.approx(expected)}


@pytest.mark.parametrize("metric", [BLEU, ChrF])
def test_without_sacrebleu_the_extra_is_named(metric, monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(ComponentError, match=r"pip install 'dlx\[text\]'"):
        metric(PROCESSOR)
