"""Tasks, processors, augmentations, optimizers, schedules and loggers."""

import numpy as np
import torch
from torch import nn

from dlx import registry
from dlx.processors.image.decoding import Decoding
from dlx.processors.image.processor import ImageProcessor

FACTS = {
    "num_classes": 3,
    "class_counts": [10, 20, 70],
    "num_outputs": 2,
    "target_mean": [10.0, -5.0],
    "target_std": [2.0, 4.0],
    "input_shape": [4],
    "num_features": 4,
    "seed": 0,
}
IMAGE = {"input_shape": [1, 8, 8], "in_channels": 1, "num_classes": 3, "channel_mean": [0.5], "channel_std": [0.25], "seed": 0}


def answering(outputs):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, outputs))


class Named(nn.Module):
    """A model whose forward names the word that it reads."""

    def __init__(self, outputs):
        super().__init__()
        self.body = answering(outputs)

    def forward(self, input):
        return self.body(input)


def rows(target):
    draw = torch.Generator().manual_seed(1)
    return {"input": torch.randn(12, 4, generator=draw), "index": torch.arange(12), "target": target}


def images():
    draw = torch.Generator().manual_seed(1)
    words = {"input": torch.randn(12, 1, 8, 8, generator=draw), "index": torch.arange(12)}
    return words | {"target": torch.arange(12) % 3}


def built(name, **choices):
    torch.manual_seed(0)
    wanted = registry.models.signatures[registry.models.get(name) and name].choices
    defaults = {key: parameter.default for key, parameter in wanted.items()}
    return registry.models.build(name, defaults | choices, IMAGE)


KNOWN = ["A good film.", "not good", "It isn't dull"]
TEXT = {
    "vocab_size": 12,
    "target_vocab_size": 12,
    "shared_vocabulary": True,
    "max_target_length": 8,
    "input_shape": [6],
    "seed": 0,
}


def answers_in_words():
    from dlx.processors.text.text_to_text import TextToTextProcessor
    from dlx.processors.tokenizers import fit_tokenizer

    shared = fit_tokenizer("words", True, KNOWN, 100, 1)
    return TextToTextProcessor(shared, shared, 6, 8)


def writing(name="transformer", **choices):
    from dlx.testing.common import build

    torch.manual_seed(0)
    small = {"size": 8, "heads": 2, "feedforward": 16, "dropout": 0.0}
    return build(registry.models, name, small | (choices or {"encoder_layers": 1, "decoder_layers": 1}), TEXT)


def written():
    draw = torch.Generator().manual_seed(1)
    length, ends = torch.arange(12) % 6 + 1, torch.arange(12) % 5 + 1
    codes, target = (torch.randint(4, 12, (12, size), generator=draw) for size in (6, 7))
    target[:, 0] = 2
    target[torch.arange(12), ends] = 3
    target = torch.where(torch.arange(7) > ends[:, None], -1, target)
    words = {"input": torch.where(torch.arange(6) < length[:, None], codes, 0), "length": length, "target": target}
    texts = [f"good film number {n}." for n in range(12)]
    return words | {"index": torch.arange(12), "text": texts, "reference": [[text, "good"] for text in texts]}


def lines():
    """Make a batch of twelve texts that end, the longest of nine pieces."""
    length = 3 + torch.arange(12) % 7
    codes = torch.randint(4, 11, (12, 9)).masked_fill(torch.arange(9) >= length[:, None], 0)
    codes[:, 0] = 2
    return {"input": codes.scatter(1, length[:, None] - 1, 3), "length": length, "index": torch.arange(12)}


ROOM = {"input_shape": [4], "seed": 0, "discount": 0.9}
DISCRETE, CONTINUOUS = {**ROOM, "num_actions": 3}, {**ROOM, "action_size": 2}
ROLLOUTS, REPLAY = {"rollout_steps": 12}, {"replay_capacity": 100}


def acting(name, facts, **choices):
    from dlx.testing.common import build

    torch.manual_seed(0)
    return build(registry.models, name, choices, facts)


def played(facts, size=12, seed=1):
    """Draw a batch with all words of rollouts, of a replay memory and of an evaluation."""
    draw = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(size, *shape, generator=draw)  # noqa: E731
    words = {word: normal(*facts["input_shape"]) for word in ("input", "next_input")}
    numbers = {word: normal() for word in ("value", "advantage", "return", "reward", "episode_return")}
    chances = {"log_probability": -1.5 + normal() / 9, "discount": 0.9 * (normal() > -1), "weight": 0.5 + normal().abs()}
    action = torch.arange(size) % 3 if "num_actions" in facts else normal(facts["action_size"]).tanh()
    ends = {"episode_length": torch.full((size,), 9.0), "success": (normal() > 0).float(), "index": torch.arange(size)}
    return {**words, **numbers, **chances, **ends, "action": action}


def advice(batch, explore=False):
    """Say what is best, by the first number that is seen."""
    return {"action": (batch["input"][:, 0] > 0).long()}


ADVISED = {"policies": lambda name: advice}
CONTROL = {
    "ppo": ({}, {**DISCRETE, **ROLLOUTS}, lambda: acting("actor_critic", DISCRETE), lambda: played(DISCRETE)),
    "dqn": ({}, {**DISCRETE, **REPLAY}, lambda: acting("q_network", DISCRETE), lambda: played(DISCRETE)),
    "sac": ({}, {**CONTINUOUS, **REPLAY}, lambda: acting("actor_and_twin_critics", CONTINUOUS), lambda: played(CONTINUOUS)),
    "td3": (
        {"policy_delay": 1},
        {**CONTINUOUS, **REPLAY},
        lambda: acting("actor_and_twin_critics", CONTINUOUS, stochastic=False),
        lambda: played(CONTINUOUS),
    ),
    "behaviour_cloning": ({}, DISCRETE, lambda: Named(3), lambda: played(DISCRETE)),
    "dagger": ({"expert": "scripted"}, {**DISCRETE, **REPLAY, **ADVISED}, lambda: Named(3), lambda: played(DISCRETE)),
}


class Pixels(nn.Module):
    """A model that gives every pixel scores, and an auxiliary head's."""

    def __init__(self, auxiliary=True):
        super().__init__()
        self.body, self.head, self.other = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 3, 1), nn.Conv2d(4, 3, 1)
        self.auxiliary = auxiliary

    def forward(self, input):
        maps = self.body(input).tanh()
        return {"out": self.head(maps), "aux": self.other(maps)} if self.auxiliary else self.head(maps)


def masked():
    draw = torch.Generator().manual_seed(2)
    words = {"input": torch.randn(12, 1, 8, 8, generator=draw), "index": torch.arange(12)}
    return words | {"target": torch.randint(-1, 3, (12, 8, 8), generator=draw)}


def finder(**choices):
    small = {"widths": [4, 8], "stride": 2, "levels": 2, "pyramid": 8}
    from dlx.testing.common import build

    torch.manual_seed(0)
    return build(registry.models, "center_detector", small | choices, IMAGE)


def with_boxes():
    draw = torch.Generator().manual_seed(2)
    corner, side = (torch.rand(12, 3, 2, generator=draw) * 4 for _ in range(2))
    there = torch.arange(3) < torch.arange(12)[:, None] % 4
    words = {"input": torch.randn(12, 1, 8, 8, generator=draw), "index": torch.arange(12)}
    label = torch.randint(0, 3, (12, 3), generator=draw)
    return words | {
        "box": torch.cat((corner, corner + side + 0.1), 2).where(there[:, :, None], -1.0), "box_label": label.where(there, -1),
    }  # fmt: skip


SERIES = {
    "look_back": 6, "horizon": 3, "num_series": 2, "num_targets": 2, "target_names": ["a", "b"], "target_mean": [10.0, -5.0],
    "target_std": [2.0, 4.0], "season": 4, "seed": 0,
}  # fmt: skip


def continuing():
    from dlx.testing.common import build

    torch.manual_seed(0)
    return build(registry.models, "dlinear", {"kernel": 3, "outputs_per_value": 3}, SERIES)


def continued():
    draw = torch.Generator().manual_seed(1)
    words = {"input": torch.randn(12, 6, 2, generator=draw), "target": torch.randn(12, 3, 2, generator=draw)}
    return words | {"index": torch.arange(12)}


class Outlines(nn.Module):
    """Stands in for a network that finds masks: one box an image, whose mask is learned pixel by pixel."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, input):
        return self.body(input)

    def mask_losses(self, raw, box, box_label, mask):
        wanted = mask.any(1, keepdim=True).float()
        total = nn.functional.binary_cross_entropy_with_logits(raw, wanted, reduction="sum")
        return {"loss_mask": total}, torch.tensor(len(raw) * 64.0)

    def detect_masks(self, raw):
        box = torch.tensor([0.0, 0, 8, 8]).expand(len(raw), 1, 4)
        return box, raw.new_ones(len(raw), 1), torch.zeros(len(raw), 1, dtype=torch.int64), raw > 0


def with_masks():
    batch = with_boxes()
    grid = torch.arange(8) + 0.5
    x, y = ((grid > batch["box"][..., n, None]) & (grid < batch["box"][..., n + 2, None]) for n in (0, 1))
    return batch | {"mask": y[..., :, None] & x[..., None, :]}


def hearer():
    """Make a processor of speech, of nine pieces."""
    from dlx.processors.speech.features import FeatureOptions, Features
    from dlx.processors.speech.language_model import LanguageModel
    from dlx.processors.speech.speech_to_text import SpeechToTextProcessor
    from dlx.processors.speech.transcripts import Writing
    from dlx.processors.tokenizers import fit_tokenizer

    words = ["go", "pets"]
    tokenizer = fit_tokenizer("characters", False, [" ".join(words)], 100, 1)
    language = LanguageModel.fit(2, words)
    return SpeechToTextProcessor(Features(FeatureOptions()), 1.0, tokenizer, Writing(), words, language)


HEARD = {"num_features": 6, "num_classes": 3, "class_names": ["go", "stop", "unknown"], "target_vocab_size": 11, "seed": 0}


def hearing(name):
    from dlx.testing.common import build

    torch.manual_seed(0)
    return build(registry.models, name, {"width": 4, "size": 8}, HEARD)


def heard(written):
    """Make twelve clips of different lengths, with classes or with transcripts."""
    draw = torch.Generator().manual_seed(1)
    length = 20 + torch.arange(12)
    steps = torch.randn(12, 31, 6, generator=draw) * (torch.arange(31) < length[:, None])[:, :, None]
    words = {"input": steps, "length": length, "index": torch.arange(12)}
    if not written:
        return words | {"target": torch.arange(12) % 3}
    pieces = torch.randint(4, 11, (12, 5), generator=draw)
    target = torch.where(torch.arange(5) <= torch.arange(12)[:, None] % 5, pieces, -1)
    return words | {"target": target, "reference": [["go pets"]] * 12}


TASKS = {
    "audio_classification": ({}, {**HEARD, "processor": hearer()}, lambda: hearing("crnn"), lambda: heard(False)),
    "speech_recognition": (
        {"beam_size": 3, "known_words": True, "language_weight": 0.5, "word_bonus": 0.1},
        {**HEARD, "processor": hearer()},
        lambda: hearing("deep_speech"),
        lambda: heard(True),
    ),
    **CONTROL,
    "language_modeling": (
        {"max_output_length": 7},
        {**TEXT, "processor": answers_in_words()},
        lambda: writing("transformer_decoder", num_layers=1),
        lines,
    ),
    "instance_segmentation": ({}, IMAGE, Outlines, with_masks),
    "detection": ({}, IMAGE, finder, with_boxes),
    "semantic_segmentation": ({"dice": 0.5, "lovasz": 0.5}, IMAGE, Pixels, masked),
    "forecasting": ({"loss": "student_t", "levels": [0.1, 0.5, 0.9]}, SERIES, continuing, continued),
    **{
        name: ({"max_output_length": 7}, {**TEXT, "processor": answers_in_words()}, writing, written)
        for name in ("translation", "summarization")
    },
    "classification": ({}, FACTS, lambda: Named(3), lambda: rows(torch.arange(12) % 3)),
    "regression": ({}, FACTS, lambda: Named(2), lambda: rows(10 + torch.randn(12, 2, dtype=torch.float64))),
    "gan": ({}, IMAGE, lambda: built("mlp_gan"), images),
    "vae": ({}, IMAGE, lambda: built("conv_vae"), images),
    "diffusion": ({"sampling_steps": 2}, IMAGE, lambda: built("unet", width=8, multipliers=[1, 2]), images),
}


def table(folder):
    """Fit the processor of a small table."""
    file = folder / "t.csv"
    file.write_text("a,b,y\n" + "".join(f"{n / 2},{'uv'[n % 2]},{'xyz'[n % 3]}\n" for n in range(12)))
    choices = {"train": str(file), "target": "y"}
    wanted = registry.sources.signatures["csv" if "csv" in registry.sources else ""].choices
    choices = {name: parameter.default for name, parameter in wanted.items()} | choices
    source = registry.sources.build("csv", choices, {"seed": 0})
    examples = list(source.processor.read(["1.5,u", "2.0,v", "9,w"]))
    prediction = {"label": torch.tensor([0, 2]), "probability": torch.tensor([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])}
    return source.processor, examples, prediction


def pictures(folder):
    """Make a processor of images, and three files."""
    from tests.helpers import image_files

    names = [f"{n}.png" for n in range(3)]
    image_files.write(folder, names)
    processor = ImageProcessor(Decoding(4, 4, channels=3), (4, 4), [0.5] * 3, [0.25] * 3, ["cat", "dog"])
    examples = list(processor.read([str(folder / name) for name in names]))
    return processor, examples, {"label": torch.tensor([0, 1]), "probability": torch.tensor([[0.5, 0.5], [0.25, 0.75]])}


class Words:
    """Stands in for a processor of texts."""

    def vocabulary(self):
        return ["<padding>", "<unknown>", "<begin>", "<end>", "good", "film", ".", "bad", "the"]


def texts(folder):
    """Fit the processor of a few texts."""
    from dlx.processors.text.lines import Line
    from dlx.processors.text.processor import TextProcessor
    from dlx.processors.tokenizers import fit_tokenizer

    known = ["A good film.", "not good", "It isn't dull"]
    processor = TextProcessor(fit_tokenizer("words", True, known, 100, 1), 6, ["bad", "good"])
    examples = [Line(text) for text in (*known, "", "something nobody knows, and more of it than is read")]
    return processor, examples, {"label": torch.tensor([0, 1]), "probability": torch.tensor([[0.5, 0.5], [0.25, 0.75]])}


def text_pairs(folder):
    """Make the processor of a few texts and answers."""
    from dlx.processors.text.lines import Line

    examples = [Line(text) for text in (*KNOWN, "", "something nobody knows, and more of it than is read")]
    return answers_in_words(), examples, {"output": torch.tensor([[5, 6, 3, -1], [7, 3, -1, -1]])}


def series(folder):
    """Fit the processor of a small file of series, and cut the ends of two."""
    from dlx.processors.series.processor import SeriesProcessor
    from dlx.processors.series.scales import Scales
    from dlx.processors.series.series import Columns, Reading
    from dlx.processors.series.steps import Step
    from dlx.processors.series.times import DAY, TimeFormat

    lines = [f"2024-03-{day:02},{name},{day * 3 % 7},{day % 2}" for name in "ab" for day in range(1, 9)]
    ahead = [f"2024-03-{day:02},{name},,1" for name in "ab" for day in (9, 10)]
    (folder / "s.csv").write_text("\n".join(["day,shop,sold,offer", *lines, *ahead]))
    reading = Reading(Columns("day", "shop", ["sold"], (), ["offer"]), ",", [""], None, Step("day", DAY), "error")
    scales = Scales(np.array([3.0]), np.array([2.0]), np.array([0.5, 0.0, 0.0]), np.ones(3))
    processor = SeriesProcessor(reading, TimeFormat(unit="D"), scales, 5, 2, ["weekday"])
    examples = list(processor.read([str(folder / "s.csv")]))
    return processor, examples, {"value": torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]])}


def beginnings(folder):
    """Make the processor of beginnings of texts."""
    from dlx.processors.text.continued_text import ContinuedTextProcessor
    from dlx.processors.text.lines import Line
    from dlx.processors.tokenizers import fit_tokenizer

    examples = [Line(text) for text in (*KNOWN, "", "something nobody knows, and more of it than is read")]
    processor = ContinuedTextProcessor(fit_tokenizer("words", True, KNOWN, 100, 1), 6)
    return processor, examples, {"continued": torch.tensor([[2, 5, 6, 3, -1], [2, 7, 3, -1, -1]])}


def clips(folder):
    """Make a processor of spoken words, and a few files."""
    from tests.helpers import recordings

    from dlx.processors.speech.features import FeatureOptions, Features
    from dlx.processors.speech.processor import AudioProcessor

    recordings.words(folder, 4)
    processor = AudioProcessor(Features(FeatureOptions(sample_rate=8000)), 1.0, ["go", "stop"])
    examples = list(processor.read([str(folder)]))
    return processor, examples, {"label": torch.tensor([0, 1]), "probability": torch.tensor([[0.5, 0.5], [0.25, 0.75]])}


def speech(folder):
    """Make a processor of transcribed recordings, and a few files, one in pieces."""
    from tests.helpers import recordings

    from dlx.processors.speech.features import FeatureOptions, Features
    from dlx.processors.speech.speech_to_text import SpeechToTextProcessor
    from dlx.processors.speech.transcripts import Writing
    from dlx.processors.tokenizers import fit_tokenizer

    recordings.write(folder / "long.wav", np.concatenate([recordings.tone("go", n) for n in range(12)]))
    recordings.words(folder, 2)
    features = Features(FeatureOptions(sample_rate=8000, features="mfcc"))
    words = ["go", "stop"]
    processor = SpeechToTextProcessor(features, 0.5, fit_tokenizer("characters", False, words, 100, 1), Writing(), words)
    time = torch.tensor([[[0.0, 0.1], [0.1, 0.2], [-1, -1]], [[0.2, 0.3], [0.4, 0.5], [0.5, 0.6]]])
    return processor, list(processor.read([str(folder)])), {"output": torch.tensor([[4, 5, -1], [6, 4, 5]]), "time": time}


def observations(folder):
    """Make the processor of an environment with two numbers seen and two of each action."""
    from dlx.processors.control.actions import Continuous
    from dlx.processors.control.processor import ControlProcessor

    processor = ControlProcessor([2], False, Continuous([-2, 0], [2, 10]))
    return processor, list(processor.read(["0.5,-1", "3,1e-3"])), {"action": torch.tensor([[0.0, -1.0], [5.0, 0.5]])}


def boxed_pictures(folder):
    """Make a processor of images with boxes, and an answer of one box, none and two."""
    from dlx.processors.image.boxes import BoxProcessor

    made, examples, _ = pictures(folder)
    processor = BoxProcessor.from_state(made.state_dict())
    boxes = torch.tensor([[[0.0, 1, 2, 3], [-1] * 4], [[-1] * 4] * 2, [[1, 1, 3, 4], [0, 0, 4, 4]]])
    labels, score = torch.tensor([[1, -1], [-1, -1], [0, 1]]), torch.tensor([[0.5, -1], [-1, -1], [0.25, 0.75]])
    return processor, examples, {"box": boxes, "box_label": labels, "box_score": score}


def masked_pictures(folder):
    """Make a processor of images with masks, and an answer."""
    from dlx.processors.image.masks import MaskProcessor

    made, examples, _ = pictures(folder)
    return MaskProcessor.from_state(made.state_dict()), examples, {"label": torch.arange(48).view(3, 4, 4) % 2}


PROCESSORS = {
    "audio": clips,
    "speech_to_text": speech,
    "control": observations,
    "series": series,
    "image_boxes": boxed_pictures,
    "image_masks": masked_pictures,
    "continued_text": beginnings,
    "table": table,
    "image": pictures,
    "text": texts,
    "text_to_text": text_pairs,
}
AUGMENTATIONS = [
    "random_crop", {"random_crop": {"mode": "zeros"}}, "random_resized_crop", "horizontal_flip", "vertical_flip",
    {"rotate": 30}, "color_jitter", "grayscale", "gaussian_blur", "random_erasing", {"random_erasing": {"fill": "noise"}},
    {"cutout": 8}, "rand_augment", "trivial_augment", "mixup", "cutmix", "mosaic",
]  # fmt: skip
MIXING = {"mixup", "cutmix"}  # of equal images they make the same one
JOINING = {"mosaic"}  # made for boxes and masks alone
OPTIMIZERS = {name: {} for name in ("adadelta", "adagrad", "adam", "adamax", "adamw", "nadam", "radam", "rmsprop")}
OPTIMIZERS |= {"sgd": {"lr": 0.01}}
SCHEDULES = {name: {} for name in ("constant", "cosine", "inverse_square_root", "linear", "one_cycle", "plateau")}
SCHEDULES |= {"exponential": {"gamma": 0.9}, "step": {"every": 2}}
LOGGERS = {name: {} for name in ("console", "jsonl", "tensorboard")}
