import gzip
import logging

import pytest
import torch
from tests.helpers.examples.others import Words
from tests.layers.test_layers import VECTORS

from dlx.errors import ComponentError
from dlx.layers.stack import build_stack
from dlx.registry import models
from dlx.registry.signatures import check
from dlx.storage.weights import withheld

FACTS = {"vocab_size": 9, "processor": Words()}
GOOD, FILM, MARK, BAD, THE = range(4, 9)
LINES = ["the 0.5 -0.25 1.0", "good 1.0 1.0 0.75"]


def built(file=VECTORS, size=3, frozen=False, **facts):
    torch.manual_seed(0)
    layer = {"word_vectors": {"file": str(file), "size": size, "frozen": frozen}}
    return build_stack([layer], (4,), FACTS | facts, ("layers",))[0]


def refused(file, size=3, **facts):
    with pytest.raises(ComponentError) as caught:
        built(file, size, **facts)
    return caught.value.message, caught.value.path


def written(folder, *lines, name="vectors.txt"):
    file = folder / name
    file.write_bytes(b"".join(line if isinstance(line, bytes) else f"{line}\n".encode() for line in lines))
    return file


def test_words_have_the_vectors_of_the_file_and_the_others_are_drawn_as_widely_spread(caplog):
    caplog.set_level(logging.INFO, "dlx")
    weight = built().weight
    assert weight[GOOD].tolist() == [1.0, 1.0, 0.75]
    assert weight[BAD].tolist() == [-1.0, -1.0, 0.75]
    assert weight[THE].tolist() == [0.5, -0.25, 1.0]
    assert weight[0].tolist() == [0.0, 0.0, 0.0]
    assert weight[MARK].any()  # ". . ." is another word
    assert torch.equal(weight, built().weight)
    assert caplog.messages[0] == f"word vectors from {VECTORS}: 3 of 5 words found; drawn: film, ."
    assert [p.requires_grad for p in (built().weight, built(frozen=True).weight)] == [True, False]


def test_the_spread_is_that_of_the_words_found(tmp_path):
    file = written(tmp_path, *LINES)
    many = type("Many", (), {"vocabulary": lambda self: [*Words().vocabulary(), *(f"w{n}" for n in range(5000))]})()
    weight = built(file, processor=many, vocab_size=5009).weight
    found = weight[[GOOD, THE]]
    assert abs(weight[9:].std() / found.std(correction=0) - 1) < 0.05


@pytest.mark.parametrize("header", [[], ["2 3"]])
@pytest.mark.parametrize("zipped", [False, True])
def test_glove_and_word2vec_gzipped_or_not(tmp_path, header, zipped):
    content = "".join(f"{line} \n" for line in [*header, *LINES]).encode()
    file = written(tmp_path, gzip.compress(content) if zipped else content)
    assert built(file).weight[GOOD].tolist() == [1.0, 1.0, 0.75]


def test_the_first_of_two_lines_of_a_word_counts(tmp_path):
    assert built(written(tmp_path, *LINES, "good 9 9 9")).weight[GOOD].tolist() == [1.0, 1.0, 0.75]


def test_what_is_wrong_with_a_file_is_told_with_the_line(tmp_path):
    here = ("layers", 0, "word_vectors")
    assert refused(tmp_path / "none") == (f"{tmp_path}/none: no such file", (*here, "file"))
    file = written(tmp_path, *LINES)
    assert refused(file, 4) == (f"{file}: has vectors of 3 numbers, not 4", (*here, "size"))
    wanted = f"{file}:3: wants a word and 3 numbers"
    for line in ("bad 1 2", "bad 1 2 x", "bad 1 2 nan"):
        assert refused(written(tmp_path, *LINES, line)) == (wanted, (*here, "file"))
    for content in (b"", b"a text\n", b"\x00\x01\x02 binary \xff\n", b"a text of four words\n"):
        assert refused(written(tmp_path, content)) == (f"{file}:1: is no text file of word vectors", (*here, "file"))
    assert refused(written(tmp_path, b"\x1f\x8bno gzip"))[0].startswith(f"{file}: cannot be read: ")
    assert refused(tmp_path)[0].startswith(f"{tmp_path}: cannot be read: ")
    message, _ = refused(written(tmp_path, "Gut 1 2 3"))
    assert message == f"{file}: knows none of the 5 words of the data, such as good, film, ."
    assert refused(file, processor=None) == ("the data has no vocabulary of words", (*here, "file"))


def test_a_checkpoint_needs_the_file_no_more():
    with withheld():
        again = built("/no/such/file")
    again.load_state_dict(built().state_dict())
    assert torch.equal(again.weight, built().weight)


@pytest.mark.parametrize("name", ["text_cnn", "text_rnn"])
def test_models_of_texts_take_them(name):
    def made(**choices):
        models.get(name)  # which brings its module
        checked, faults = check(models.signatures[name], choices)
        assert not faults
        return models.build(name, checked, FACTS | {"num_classes": 2})

    model = made(word_vectors=VECTORS, embedding_size=3, frozen_vectors=True)
    assert model.embedding.weight[GOOD].tolist() == [1.0, 1.0, 0.75]
    assert not model.embedding.weight.requires_grad
    with pytest.raises(ComponentError, match="vectors of 3 numbers, not 128") as caught:
        made(word_vectors=VECTORS)
    assert caught.value.path == ("embedding_size",)
    with pytest.raises(ComponentError, match="wants word_vectors"):
        made(frozen_vectors=True)
