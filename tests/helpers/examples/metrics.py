"""Metrics: choices, what they are fed, and what a reference says of it; or the test that holds them against their reference."""

import numpy as np
import torch
from sklearn import metrics as reference
from tests.helpers.examples.others import answers_in_words

FACTS = {
    "num_classes": 4,
    "class_names": ["a", "b", "c", "unknown"],
    "class_counts": [10, 10, 10, 10],
    "num_outputs": 2,
    "target_mean": [0.0, 0.0],
    "seed": 0,
    "input_shape": [1, 4, 4],
    "channel_mean": [0.5],
    "channel_std": [0.25],
}


class Toy:
    """A classifier of images whose answers are whole sums of their pixels: the same in any batch."""

    name, class_names = "toy", ["a", "b", "c", "unknown"]

    def features(self, images):
        return images.flatten(1).cumsum(1)[:, ::3].float() / 8

    def logits(self, images):
        return self.features(images)[:, :4] / 64


def pictures(size, seed):
    """Draw standardised images of 8-bit pixels."""
    return torch.randint(0, 256, (size, 1, 4, 4), generator=torch.Generator().manual_seed(seed)) / 63.75 - 2


FACTS |= {
    "training": lambda: iter([{"input": pictures(30, 5), "target": torch.arange(30) % 4}]),
    "trained": lambda path: Toy(),
}


def classified():
    draw = torch.Generator().manual_seed(3)
    batches = []
    for size in (7, 1, 16, 8):
        logits = torch.randint(-3, 4, (size, 4), generator=draw).float()
        prediction = {"logits": logits, "probability": logits.softmax(-1), "label": logits.argmax(-1)}
        words = {"target": torch.randint(0, 4, (size,), generator=draw), "input": pictures(size, size)}
        batches.append((prediction, {**words, "index": torch.arange(size)}))
    return batches


def covered():
    """Classes of pixels; class 3 has none, and some pixels count for nothing."""
    draw = torch.Generator().manual_seed(3)
    rows = [[torch.randint(low, high, (size, 5, 6), generator=draw) for low, high in ((0, 4), (-1, 3))] for size in (4, 1, 6)]
    return [({"label": label}, {"target": target, "index": torch.arange(len(target))}) for label, target in rows]


def boxed():
    """Boxes of images in their own coordinates, some with nothing, some crowds, answers of equal scores among them."""
    draw = torch.Generator().manual_seed(3)

    def some(size, most, fill):
        corner, side = (torch.rand(size, most, 2, generator=draw) * reach for reach in (80, 60))
        count = torch.randint(0, most + 1, (size, 1), generator=draw)
        there = torch.arange(most) < count
        label = torch.randint(0, 3, (size, most), generator=draw)
        box = torch.cat((corner, corner + side + 1), 2)
        return box.where(there[:, :, None], fill), label.where(there, -1), there

    batches = []
    for size in (5, 1, 8):
        box, label, there = some(size, 6, -1.0)
        extra, kind, more = some(size, 4, -1.0)
        near = (box + 3 * torch.rand(box.shape, generator=draw)).where(there[:, :, None], -1.0)
        found, found_label = torch.cat((near, extra), 1), torch.cat((label, kind), 1)
        score = (torch.randint(1, 20, found_label.shape, generator=draw) / 20).where(torch.cat((there, more), 1), -1.0)
        crowd = (torch.rand(label.shape, generator=draw) < 0.15) & there
        place = torch.tensor([[4.0, 0, 120, 140]]).expand(size, 4)
        words = {
            "box": box,
            "box_label": label,
            "crowd": crowd,
            "size": torch.tensor([[360, 210]]).expand(size, 2),
            "place": place,
        }
        batches.append(({"box": found, "box_score": score, "box_label": found_label}, {**words, "index": torch.arange(size)}))
    return batches


def outlined():
    """Boxes with masks: discs, and discs a little off."""
    grid = torch.arange(40) + 0.5
    draw = torch.Generator().manual_seed(4)
    batches = []
    for size in (3, 1, 5):
        middle, radius = 8 + 24 * torch.rand(size, 3, 2, generator=draw), 4 + 8 * torch.rand(size, 3, generator=draw)
        label = torch.randint(-1, 3, (size, 3), generator=draw)
        label = label.sort(1, descending=True).values  # padding stands at the end
        words = []
        for shift in (0.0, 1.5):
            at = middle + shift
            away = (grid - at[:, :, 0, None]).square()[:, :, None] + (grid - at[:, :, 1, None]).square()[:, :, :, None]
            words.append(away < radius[:, :, None, None].square())
        place = torch.tensor([[0.0, 5, 40, 30]]).expand(size, 4)
        truth = {"mask": words[0], "box_label": label, "size": torch.tensor([[80, 60]]).expand(size, 2), "place": place}
        score = (torch.randint(1, 20, (size, 3), generator=draw) / 20).where(label >= 0, -1.0)
        batches.append(({"mask": words[1], "box_label": label, "box_score": score}, {**truth, "index": torch.arange(size)}))
    return batches


def measured():
    draw = torch.Generator().manual_seed(3)
    rows = [[torch.randn(size, 2, generator=draw, dtype=torch.float64) for _ in range(2)] for size in (5, 1, 12)]
    return [({"value": value}, {"target": value + noise}) for value, noise in rows]


def generated():
    batches = []
    for n, size in enumerate((9, 4, 12)):
        image = torch.randint(0, 256, (size, 1, 4, 4), generator=torch.Generator().manual_seed(n), dtype=torch.uint8)
        words = {"input": pictures(size, 40 + n), "target": torch.arange(size) % 4, "index": torch.arange(size)}
        batches.append(({"image": image, "label": torch.arange(size) % 4}, words))
    return batches


def spoken():
    """Answers in words, some with several right ones."""
    processor, draw = FACTS["processor"], torch.Generator().manual_seed(3)
    batches = []
    for size in (5, 1, 8):
        codes, right = (torch.randint(4, processor.target.size, (size, 9), generator=draw) for _ in range(2))
        codes[:, 6], right[:, :3] = 3, codes[:, :3]
        texts = [processor.detokenize(row) for row in right.tolist()]
        references = [[text, f"{text} and more of it"][: 1 + n % 2] for n, text in enumerate(texts)]
        numbers = {"log_probability": -torch.rand(size, generator=draw) * 9, "tokens": torch.full((size,), 6.0)}
        batches.append(({"output": codes, **numbers}, {"reference": references, "index": torch.arange(size)}))
    return batches


def heard():
    """Answers in words, each with its one transcript."""
    return [
        (prediction | {"time": torch.zeros(*prediction["output"].shape, 2)}, words | {"reference": [one[:1] for one in right]})
        for prediction, words in spoken()
        for right in [words["reference"]]
    ]


def played():
    """Episodes in batches of different sizes; the predictions pass their numbers on."""
    draw = torch.Generator().manual_seed(3)
    batches = []
    for size in (1, 7, 4):
        words = {
            "episode_return": torch.randn(size, generator=draw, dtype=torch.float64) * 100,
            "episode_length": torch.randint(1, 500, (size,), generator=draw),
            "success": torch.randint(0, 2, (size,), generator=draw).float(),
        }
        batches.append((words, {**words, "index": torch.arange(size)}))
    return batches


def of_episodes(word):
    return np.concatenate([words[word].numpy() for words, _ in played()])


def _classes():
    batches = classified()
    true = np.concatenate([words["target"].numpy() for _, words in batches])
    said = np.concatenate([prediction["label"].numpy() for prediction, _ in batches])
    shares = np.concatenate([prediction["probability"].numpy() for prediction, _ in batches])
    return true, said, shares


def averaged(function):
    true, said, _ = _classes()
    return function(true, said, average="macro", zero_division=0)


def _values():
    batches = measured()
    return (torch.cat([words["target"] for _, words in batches]).numpy(), torch.cat([p["value"] for p, _ in batches]).numpy())


def _perplexity():
    batches = spoken()
    total = torch.cat([prediction["log_probability"] for prediction, _ in batches]).double().sum()
    return float(torch.exp(-total / sum(float(prediction["tokens"].sum()) for prediction, _ in batches)))


def forecast(sizes=(5, 1, 12)):
    """Forecasts of two targets over three steps, with quantiles, beside what came to pass."""
    draw, batches, seen = torch.Generator().manual_seed(3), [], 0
    for size in sizes:
        value, last = (torch.randn(size, steps, 2, generator=draw, dtype=torch.float64) for steps in (3, 1))
        naive = torch.randn(size, 4, 3, 2, generator=draw, dtype=torch.float64)
        naive[:, 0] = last
        target = (value + torch.randn(size, 3, 2, generator=draw) / 2).float()
        apart = torch.tensor([-0.5, 0.0, 0.75], dtype=torch.float64)
        words = {"value": value, "naive": naive, "quantile": value[..., None] + apart}
        level = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64).expand(size, -1)
        number = torch.arange(seen, seen + size)
        batches.append(({**words, "level": level}, {"target": target, "index": number, "origin": number}))
        seen += size
    return batches


processor = answers_in_words()
processor.normalize = lambda text: " ".join(text.lower().split())
FACTS |= {"processor": processor, "horizon": 3, "num_targets": 2, "target_std": [1.0, 2.0]}
FACTS |= {"seasonal_error": [0.5, 2.0]}
FORECASTS = "tests/metrics/forecasting/test_forecasts.py::"
TEXTS = "tests/metrics/text/test_texts.py::"
SPEECH = "tests/metrics/speech/test_errors.py::"
TRUE, SAID, SHARES = _classes()
SEGMENTATION = "tests/metrics/segmentation/test_overlap.py::"
DETECTION = "tests/metrics/detection/test_coco.py::"
REGRESSION = "tests/metrics/test_against_scikit_learn.py::test_errors"
GENERATION = "tests/metrics/generation/test_generated_images.py::"
# Of each metric: its choices, its batches, and the numbers by the reference, or the name of the test that has the reference.
METRICS = {
    **{
        name: ({}, forecast, FORECASTS + "test_errors_are_their_formulas")
        for name in ("scaled_mse", "scaled_mae", "mse_in_units", "mae_in_units", "rmse_in_units", "smape", "mase")
    },
    "skill": ({}, forecast, FORECASTS + "test_the_skill_is_over_the_best_naive_forecast_on_the_same_windows"),
    "skill_interval": ({}, lambda: forecast((20, 1, 39)), FORECASTS + "test_the_interval_of_the_skill_is_its_formula"),
    "directional_accuracy": ({}, forecast, FORECASTS + "test_the_direction_counts_where_there_is_one"),
    "quantile_loss": ({}, forecast, FORECASTS + "test_quantiles_are_held_against_their_levels"),
    "coverage": ({}, forecast, FORECASTS + "test_quantiles_are_held_against_their_levels"),
    "accuracy": ({}, classified, {"accuracy": reference.accuracy_score(TRUE, SAID)}),
    "balanced_accuracy": ({}, classified, {"balanced_accuracy": reference.balanced_accuracy_score(TRUE, SAID)}),
    "precision": ({}, classified, {"precision": averaged(reference.precision_score)}),
    "recall": ({}, classified, {"recall": averaged(reference.recall_score)}),
    "f1": ({}, classified, {"f1": averaged(reference.f1_score)}),
    "roc_auc": ({}, classified, {"roc_auc": reference.roc_auc_score(TRUE, SHARES, multi_class="ovr", average="macro")}),
    "top_k": ({"k": 2}, classified, "tests/metrics/test_against_scikit_learn.py::test_top_k"),
    "report": ({}, classified, "tests/metrics/test_against_scikit_learn.py::test_the_report_is_the_classification_report"),
    "calibration_error": (
        {},
        classified,
        "tests/metrics/classification/test_calibration.py::test_it_is_the_reference_for_any_batch_size",
    ),
    "segmentation": ({}, covered, SEGMENTATION + "test_it_is_scikit_learn_s_confusion_matrix"),
    "segmentation_report": ({}, covered, SEGMENTATION + "test_it_is_scikit_learn_s_confusion_matrix"),
    "coco_ap": ({}, boxed, DETECTION + "test_the_numbers_are_pycocotools"),
    "coco_mask_ap": ({}, outlined, "tests/metrics/detection/test_masks.py::test_the_numbers_are_pycocotools"),
    "coco_ap_report": ({}, boxed, DETECTION + "test_the_numbers_of_classes_are_pycocotools"),
    "box_confusion": ({}, boxed, "tests/metrics/detection/test_confusion.py::test_it_is_the_largest_overlaps_one_by_one"),
    "perplexity": ({}, spoken, {"perplexity": _perplexity()}),
    "length_ratio": ({}, spoken, TEXTS + "test_the_length_ratio_counts_words"),
    "bleu": ({}, spoken, TEXTS + "test_bleu_and_chrf_are_sacrebleus"),
    "chrf": ({"word_order": 2}, spoken, TEXTS + "test_bleu_and_chrf_are_sacrebleus"),
    "rouge": ({}, spoken, TEXTS + "test_rouge_is_that_of_rouge_score"),
    "episode_return": (
        {},
        played,
        {
            "episode_return": of_episodes("episode_return").mean(),
            "episode_return_deviation": of_episodes("episode_return").std(),
            "episode_return_min": of_episodes("episode_return").min(),
            "episode_return_max": of_episodes("episode_return").max(),
        },
    ),
    "episode_length": ({}, played, {"episode_length": of_episodes("episode_length").mean()}),
    "success_rate": ({}, played, {"success_rate": of_episodes("success").mean()}),
    "wer": ({}, heard, SPEECH + "test_error_rates_are_jiwers"),
    "cer": ({}, heard, SPEECH + "test_error_rates_are_jiwers"),
    "keyword_errors": ({}, classified, SPEECH + "test_what_is_taken_for_a_keyword_and_what_is_missed_are_counted_apart"),
    "mae": ({}, measured, {"mae": reference.mean_absolute_error(*_values())}),
    "mse": ({}, measured, {"mse": reference.mean_squared_error(*_values())}),
    "rmse": ({}, measured, REGRESSION),
    "r2": ({}, measured, {"r2": reference.r2_score(*_values())}),
    "fid": ({"classifier": "toy"}, generated, GENERATION + "test_fid_is_its_formula"),
    "kid": ({"classifier": "toy"}, generated, GENERATION + "test_kid_is_the_mean_over_all_pairs"),
    "classifier_score": ({"classifier": "toy"}, generated, GENERATION + "test_the_score_is_the_inception_score"),
    "diversity": (
        {},
        generated,
        GENERATION + "test_diversity_is_the_ratio_of_the_mean_squared_distances_between_different_images",
    ),
    "nearest": ({}, generated, GENERATION + "test_the_distance_is_the_median_to_the_nearest_over_that_of_real_images"),
    "sliced_wasserstein": ({}, generated, GENERATION + "test_a_column_s_distance_is_scipy_s"),
}
# Those that draw, and compute no number: what they draw is tested where it says.
DRAWING = {
    "horizon_errors": FORECASTS + "test_the_error_at_each_step_and_the_residuals_are_drawn",
    "confusion_matrix": "tests/metrics/test_against_scikit_learn.py::test_every_metric_keeps_the_contract",
    "mistakes": "tests/metrics/classification/test_mistakes.py::test_the_surest_mistakes_are_kept_for_any_batch_size",
}
