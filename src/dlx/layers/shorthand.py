"""How a list of layers is written in a config: the words of dlx.notation, those of other tools, and sizes by a fact's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import PositiveInt

from dlx.errors import Fault, Marker, Path
from dlx.registry import layers
from dlx.registry.shorthand import ListOf, Notation, OneOf, Written

__all__ = ["LAYERS", "FactOrNumber", "LayerList", "OneLayer", "Size", "Written", "read"]

# What other tools call our layers, where spelling alone would not find them; lower case, no underscores.
FOREIGN = {
    "linear": "dense", "fc": "dense", "fullyconnected": "dense", "conv": "conv2d", "convolution": "conv2d",
    "maxpool1d": "max_pool", "maxpool2d": "max_pool", "maxpooling1d": "max_pool", "maxpooling2d": "max_pool",
    "avgpool1d": "avg_pool", "avgpool2d": "avg_pool", "averagepooling1d": "avg_pool", "averagepooling2d": "avg_pool",
    "globalaveragepooling1d": "global_avg_pool", "globalaveragepooling2d": "global_avg_pool",
    "adaptiveavgpool2d": "global_avg_pool", "globalmaxpooling1d": "global_max_pool", "globalmaxpooling2d": "global_max_pool",
    "batchnormalization": "batch_norm", "batchnorm1d": "batch_norm", "batchnorm2d": "batch_norm", "bn": "batch_norm",
    "layernormalization": "layer_norm", "groupnormalization": "group_norm", "swish": "silu", "rnn": "simple_rnn",
    "conv2dtranspose": "conv_transpose2d", "convtranspose2d": "conv_transpose2d", "upsampling2d": "upsample",
    "unflatten": "reshape", "multiheadattention": "attention", "repeatvector": "repeat", "gaussiannoise": "noise",
    "skip": "residual", "positionembedding": "positions", "positionalencoding": "positions",
    "positionalembedding": "positions", "transformerencoderlayer": "transformer_encoder", "transformer": "transformer_encoder",
    "transformerblock": "transformer_encoder", "attentionpooling": "attention_pool", "glove": "word_vectors",
    "word2vec": "word_vectors",
}  # fmt: skip

LAYERS = Notation(layers, FOREIGN)
read = LAYERS.read


class OneLayer(OneOf):
    """Marks a choice that is a single layer, one of those named."""

    def __init__(self, among: tuple[str, ...]) -> None:
        super().__init__(LAYERS, among)


class FactOrNumber(Marker):
    """Marks a size: a number, or the name of a fact that is one."""

    def check(self, value: Any, path: Path) -> tuple[Any, list[Fault]]:
        """Refuse text that cannot be a fact's name, such as a number in quotes."""
        if isinstance(value, str) and not value.isidentifier():
            return value, [Fault(path, f"wants {self.describe()}, not {value!r}")]
        return value, []

    def describe(self) -> str:
        """Say what is wanted."""
        return "whole number greater than 0 or a fact's name"


LayerList = Annotated[list, ListOf(LAYERS)]
if TYPE_CHECKING:
    Size = int  # a layer is built once facts have become numbers
else:
    Size = Annotated[PositiveInt | str, FactOrNumber()]
