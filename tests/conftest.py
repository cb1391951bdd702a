import pytest
import torch
from torchvision.models import regnet


@pytest.fixture
def on_meta(monkeypatch):
    """Build without storage; regnet computes its widths with tensors, which must be real."""
    original = regnet.BlockParams.from_init_params.__func__

    def from_init_params(cls, *arguments, **choices):
        with torch.device("cpu"):
            return original(cls, *arguments, **choices)

    monkeypatch.setattr(regnet.BlockParams, "from_init_params", classmethod(from_init_params))
    with torch.device("meta"):
        yield
