import math

import pytest
import torch

from dlx.errors import ComponentError
from dlx.layers.tabular import CategoryEmbedding, OneHot, PeriodicEmbedding
from dlx.models.table.mlp import MLP, Embeddings
from dlx.registry import models
from dlx.registry.signatures import check


@pytest.mark.parametrize("numeric_embedding", ["none", "linear", "periodic"])
@pytest.mark.parametrize("category_embedding_size", ["one_hot", 3])
@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_numbers_and_categories_to_logits(numeric_embedding, category_embedding_size, normalization):
    model = MLP(
        2, [4, 3], 5, hidden=[8, 8], residual=True, dropout=0.1, normalization=normalization,
        embeddings=Embeddings(numeric_embedding, category_embedding_size=category_embedding_size),
    )  # fmt: skip
    output = model(torch.randn(6, 2), torch.randint(0, 3, (6, 2)))
    assert output.shape == (6, 5)
    output.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_it_builds_by_name_with_defaults():
    models.names()
    choices, faults = check(models.signatures["mlp"], {"hidden": [4]})
    assert faults == []
    assert models.build("mlp", choices, {"num_features": 3, "num_outputs": 2})(torch.rand(2, 3)).shape == (2, 2)


def test_categories_alone_suffice():
    model = MLP(0, [4, 3], 2, embeddings=Embeddings("periodic"))
    assert model(torch.empty(5, 0), torch.ones(5, 2, dtype=torch.long)).shape == (5, 2)


def test_what_it_cannot_work_with():
    with pytest.raises(ComponentError, match="num_outputs"):
        MLP(3)
    with pytest.raises(ComponentError, match="neither"):
        MLP(0, num_classes=2)


def test_hidden_may_be_empty():
    assert len(MLP(3, num_classes=2, hidden=[]).layers) == 1


def test_one_hot_leaves_unknown_codes_at_zero():
    flags = OneHot([3, 2])(torch.tensor([[0, 0], [1, 1], [2, 0]]))
    assert flags.tolist() == [[0, 0, 0], [1, 0, 1], [0, 1, 0]]


def test_category_embedding_of_an_unknown_code_is_zero():
    assert not CategoryEmbedding([3, 2], 4)(torch.zeros(1, 2, dtype=torch.long)).any()


def test_periodic_embedding_is_the_papers_formula():
    module = PeriodicEmbedding(2, embedding_size=3, frequencies=4, sigma=0.5)
    input = torch.randn(5, 2)
    expected = []
    for j in range(2):
        angle = 2 * math.pi * module.frequencies[j] * input[:, j : j + 1]
        waves = torch.cat((angle.cos(), angle.sin()), -1)
        expected.append((waves @ module.linear.weight[j] + module.linear.bias[j]).relu())
    torch.testing.assert_close(module(input), torch.cat(expected, -1))
    assert module.frequencies.abs().max() <= 1.5


def test_periodic_embedding_gradient():
    torch.manual_seed(0)
    module = PeriodicEmbedding(2, embedding_size=3, frequencies=4, sigma=0.5).double()
    assert torch.autograd.gradcheck(module, torch.randn(3, 2, dtype=torch.double, requires_grad=True))
    module(torch.randn(3, 2, dtype=torch.double)).sum().backward()
    assert module.frequencies.grad.abs().sum() > 0
