"""Models: choices, facts, and how many numbers a sample is answered with; without an entry the defaults on an image serve."""

import torch
import torchvision

TABLE = {"num_features": 4, "input_shape": [4], "num_classes": 3}
TWO = {"num_features": 4, "input_shape": [4], "num_classes": 2}
IMAGE = {"in_channels": 3, "input_shape": [3, 32, 32], "num_classes": 3, "channel_mean": [0.5] * 3, "channel_std": [0.2] * 3}
LARGE = {**IMAGE, "input_shape": [3, 224, 224]}
ZOO = torchvision.models.list_models(module=torchvision.models)  # too large to be filled: names and shapes only

TABLES = {
    "mlp": ({}, TABLE, (3,)),
    "perceptron": ({}, TWO, (1,)),
    "mcculloch_pitts": ({"units": [[{"weights": [1, 1, 1, 1], "threshold": 2}]]}, TWO, (1,)),
    "sequential": ({"layers": [{"dense": 8}, "relu", {"dense": "num_classes"}]}, TABLE, (3,)),
}
GIVEN = {"mcculloch_pitts"}  # its weights are given: nothing is trained
IMAGES = {
    name: ({}, IMAGE, (3,))
    for name in (
        *("fast_cnn", "simple_cnn", "wide_resnet", "resnet18_small", "vgg16_bn_small"),
        *("resnet20", "resnet32", "resnet44", "resnet56", "resnet110"),
    )
}
SEGMENTATION_ZOO = torchvision.models.list_models(module=torchvision.models.segmentation)
PIXELS = {
    "segmentation_unet": ({"width": 8}, IMAGE, (3, 32, 32)),
    "segmentation_resnet": ({"widths": [8, 16, 24], "decoder": 16, "auxiliary": True}, IMAGE, (3, 32, 32)),
}
DETECTORS = {"center_detector": ({"widths": [8, 16, 24], "pyramid": 16}, IMAGE, (84, 3))}
DETECTION_ZOO = [
    *("ssd300_vgg16", "ssdlite320_mobilenet_v3_large", "retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2"),
    *("fcos_resnet50_fpn", "fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2", "fasterrcnn_mobilenet_v3_large_fpn"),
    *("fasterrcnn_mobilenet_v3_large_320_fpn", "maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2"),
]
TEXT = {"vocab_size": 11, "num_classes": 3, "input_shape": [9]}
TEXTS = {"text_cnn": ({}, TEXT, (3,)), "text_rnn": ({"size": 8, "num_layers": 2}, TEXT, (3,))}
PAIRS = {"vocab_size": 11, "target_vocab_size": 11, "shared_vocabulary": True, "input_shape": [9], "max_target_length": 9}
SMALL = {"size": 8, "encoder_layers": 1, "decoder_layers": 2}
WRITERS = {
    "transformer": ({**SMALL, "heads": 2, "feedforward": 16, "copy": True}, PAIRS, (5, 11)),
    "recurrent_seq2seq": (SMALL, PAIRS, (5, 11)),
    "pointer_generator": ({**SMALL, "cell": "gru", "coverage": 0.5}, PAIRS, (5, 11)),
}
TEXT_ONLY = {"vocab_size": 11, "input_shape": [9]}
CONTINUERS = {
    "transformer_decoder": ({"size": 8, "heads": 2, "feedforward": 16, "num_layers": 2}, TEXT_ONLY, (9, 11)),
    "recurrent_decoder": ({"size": 8}, TEXT_ONLY, (9, 11)),
}
SPOKEN, WRITTEN = {"num_features": 40, "num_classes": 3}, {"num_features": 40, "target_vocab_size": 7}
SPEECH = {
    "audio_cnn": ({"widths": [8, 16]}, SPOKEN, (3,)),
    "bc_resnet": ({"scale": 1}, SPOKEN, (3,)),
    "crnn": ({"width": 8, "size": 16, "num_layers": 2}, SPOKEN, (3,)),
    "deep_speech": ({"width": 8, "size": 16, "hidden": 8}, WRITTEN, (16, 7)),
    "conformer": ({"width": 8, "size": 16, "num_layers": 2, "feedforward": 16}, WRITTEN, (8, 7)),
    "quartz_net": ({"width": 8, "kernel_sizes": [5, 7], "repeats": 2}, WRITTEN, (16, 7)),
}
SERIES = {"look_back": 24, "horizon": 5, "num_series": 3, "num_targets": 3, "num_known": 2}
FORECASTERS = {
    **{name: ({}, SERIES, (5, 3)) for name in ("linear", "nlinear", "dlinear", "tcn", "patchtst", "itransformer")},
    "series_rnn": ({"size": 8, "num_layers": 2}, {**SERIES, "num_targets": 1}, (5, 1)),
    "nbeats": ({"stacks": ["trend", "seasonality", "generic"], "size": 16, "outputs_per_value": 2}, SERIES, (5, 3, 2)),
}
GENERATORS = {
    "gan": (
        {
            "generator": [{"dense": 64}, "tanh", {"reshape": [1, 8, 8]}],
            "discriminator": ["flatten", {"dense": 8}, "relu", {"dense": 1}],
        },
        {"input_shape": [1, 8, 8], "num_classes": 3},
    ),
    **{name: ({}, IMAGE) for name in ("dcgan", "sngan", "mlp_gan", "conv_vae", "unet")},
}
OBSERVED = {"input_shape": [4], "num_actions": 3, "discount": 0.99}
MOVED = {"input_shape": [4], "action_size": 2, "discount": 0.99}
SCREEN = {"input_shape": [4, 12, 12], "num_actions": 3, "discount": 0.99}
SEEING = [{"conv2d": {"filters": 4, "kernel_size": 3}}, "relu", "flatten"]
# Models that act: name, choices, facts, numbers of the first output of a sample.
ACTING = [
    ("actor_critic", {}, OBSERVED, (3,)),
    ("actor_critic", {"shared": True, "actor": [{"dense": 8}], "normalize": True}, MOVED, (4,)),
    ("actor_critic", {"shared": True, "body": SEEING}, SCREEN, (3,)),
    ("actor_critic", {"body": {"name": "mlp", "hidden": [8], "features": 6}, "actor": [{"dense": 8}]}, MOVED, (4,)),
    ("q_network", {"body": {"name": "simple_cnn", "channels": [4], "features_activation": None}}, SCREEN, (3,)),
    ("q_network", {"normalize": True}, OBSERVED, (3,)),
    ("q_network", {"body": SEEING, "duelling": True, "stream": [{"dense": 8}, "relu"], "orthogonal": True}, SCREEN, (3,)),
    ("actor_and_twin_critics", {}, MOVED, (4,)),
    ("actor_and_twin_critics", {"body": SEEING, "stochastic": False}, {**MOVED, "input_shape": [4, 12, 12]}, (2,)),
]
CLASSIFIERS = {
    **TABLES,
    **IMAGES,
    **TEXTS,
    **WRITERS,
    **FORECASTERS,
    **CONTINUERS,
    **SPEECH,
    **PIXELS,
    **DETECTORS,
    **{name: ({}, LARGE, (3,)) for name in ZOO},
}
CLASSIFIERS |= {name: ({}, LARGE, (3, 224, 224)) for name in SEGMENTATION_ZOO}
CLASSIFIERS |= {name: ({}, {**LARGE, "input_shape": [3, 320, 320]}, None) for name in DETECTION_ZOO}
ON_META = {*ZOO, *SEGMENTATION_ZOO, *DETECTION_ZOO}


def text_batch():
    codes = torch.randint(4, 11, (3, 9), generator=torch.Generator().manual_seed(0))
    length = torch.tensor([9, 1, 6])
    return {"input": torch.where(torch.arange(9) < length[:, None], codes, 0), "length": length}


def clips(features):
    """Make features of three clips of different lengths."""
    length = torch.tensor([31, 2, 18])
    steps = torch.randn(3, 31, features, generator=torch.Generator().manual_seed(0))
    return {"input": steps * (torch.arange(31) < length[:, None])[:, :, None], "length": length}


def table_batch(facts, size=3):
    if facts in (SPOKEN, WRITTEN):
        return clips(facts["num_features"])
    if "target_vocab_size" in facts:
        return text_batch() | {"previous": torch.randint(4, 11, (3, 5), generator=torch.Generator().manual_seed(1))}
    if "vocab_size" in facts:
        return text_batch()
    draw = torch.Generator().manual_seed(0)
    if "look_back" in facts:
        steps = facts["look_back"] + facts["horizon"]
        known = torch.randn(size, steps, facts["num_known"], generator=draw)
        return {"input": torch.randn(size, facts["look_back"], facts["num_series"], generator=draw), "known": known}
    return {"input": torch.randn(size, *facts["input_shape"], generator=draw)}
