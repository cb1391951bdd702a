"""The networks of framework_speed.py as dlx's YAML has them, as PyTorch's layers, and as Keras's."""

from __future__ import annotations

import itertools
from typing import Any

from framework_common import CLASSES, SHAPES, SIZE, SIZES, WIDTHS

RECURRENT = ("simple_rnn", "lstm", "gru")


def in_yaml(name: str) -> str:
    """Write a network as the value of a config's `model`."""
    if name == "resnet20":
        return "{name: resnet20, shortcut: projection}"
    if name == "vgg16":
        return "{name: vgg16, pooling: flatten, hidden: [4096, 4096]}"  # without its dropout
    if name == "mlp":
        inner = ", ".join(f"dense: {{size: {size}, activation: relu}}" for size in SIZES)
    else:
        inner = f"{name}: {{size: {SIZE}, return_sequences: true}}, dense: {{size: 64, activation: relu}}, flatten"
    return f"{{name: sequential, layers: [{inner}, dense: num_classes]}}"


def in_torch(name: str) -> Any:
    """Make a network of PyTorch's layers."""
    from torch import nn

    if name == "mlp":
        pairs = itertools.pairwise((*SHAPES[name], *SIZES))
        return nn.Sequential(*(part for pair in pairs for part in (nn.Linear(*pair), nn.ReLU())), nn.Linear(SIZES[-1], CLASSES))
    if name == "resnet20":
        return _resnet20_in_torch()
    if name == "vgg16":
        import torchvision

        return torchvision.models.vgg16(num_classes=CLASSES, dropout=0.0)
    kinds = {"simple_rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}

    class Steps(nn.Module):
        def __init__(self):
            super().__init__()
            steps, features = SHAPES[name]
            self.recurrent = kinds[name](features, SIZE, batch_first=True)
            self.dense, self.last = nn.Linear(SIZE, 64), nn.Linear(64 * steps, CLASSES)

        def forward(self, input):
            return self.last(self.dense(self.recurrent(input)[0]).relu().flatten(1))

    return Steps()


def _resnet20_in_torch() -> Any:
    from torch import nn

    def norm(inputs, outputs, size, stride):
        return [nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs)]

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.inner = nn.Sequential(*norm(inputs, outputs, 3, stride), nn.ReLU(True), *norm(outputs, outputs, 3, 1))
            self.beside = nn.Sequential(*norm(inputs, outputs, 1, stride)) if inputs != outputs else nn.Identity()

        def forward(self, input):
            return self.inner(input).add_(self.beside(input)).relu_()

    layers = [*norm(SHAPES["resnet20"][0], WIDTHS[0], 3, 1), nn.ReLU(True)]
    for before, width in itertools.pairwise((WIDTHS[0], *WIDTHS)):
        layers += [Block(before, width, 1 if before == width else 2), Block(width, width, 1), Block(width, width, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], CLASSES))


def in_keras(name: str) -> Any:
    """Make a network of Keras's layers, as they come; images have their channels last."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    if name == "resnet20":
        return _resnet20_in_keras()
    if name == "vgg16":
        shape = (*SHAPES[name][1:], SHAPES[name][0])
        return keras.applications.VGG16(weights=None, input_shape=shape, classes=CLASSES, classifier_activation=None)
    kinds = {"simple_rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
    if name == "mlp":
        inner = [layers.Dense(size, "relu") for size in SIZES]
    else:
        inner = [kinds[name](SIZE, return_sequences=True), layers.Dense(64, "relu"), layers.Flatten()]
    return keras.Sequential([keras.Input(SHAPES[name]), *inner, layers.Dense(CLASSES)])


def _resnet20_in_keras() -> Any:
    import keras
    from keras import layers

    def norm(given, width, size, stride):
        given = layers.Conv2D(width, size, stride, "same", use_bias=False)(given)
        return layers.BatchNormalization()(given)

    shape = SHAPES["resnet20"]
    input = keras.Input((*shape[1:], shape[0]))
    given = layers.ReLU()(norm(input, WIDTHS[0], 3, 1))
    for before, width in itertools.pairwise((WIDTHS[0], *WIDTHS)):
        for number in range(3):
            stride = 2 if before != width and not number else 1
            inner = norm(layers.ReLU()(norm(given, width, 3, stride)), width, 3, 1)
            given = layers.ReLU()(layers.add([inner, given if stride == 1 else norm(given, width, 1, stride)]))
    output = layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(given))
    return keras.Model(input, output)
