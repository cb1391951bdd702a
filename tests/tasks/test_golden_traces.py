"""The losses of the first twenty steps of a small experiment with every task."""

import json
import os
from pathlib import Path

import pytest
from tests.helpers import control

from dlx import registry
from dlx.assembly.experiment import prepare
from dlx.assembly.trainer import build_trainer
from dlx.config import spec

GOLDEN = Path(__file__).parent.parent / "golden"

EXPERIMENTS = {
    "classification": """
task: classification
data: {name: wine, batch_size: 16}
model: {name: sequential, layers: [{dense: {size: 16, activation: relu}}, {dense: num_classes}]}
optimizer: {name: adam, lr: 0.01}
steps: 20
trainer: {log_every: 1, clip_norm: 1.0}
""",
    "regression": """
task: regression
data: {name: diabetes, batch_size: 32}
model: {name: sequential, layers: [{dense: {size: 16, activation: tanh}}, {dense: num_outputs}]}
optimizer: {name: sgd, lr: 0.05, momentum: 0.9}
schedule: {name: cosine, warmup: 5}
steps: 20
trainer: {log_every: 1, accumulate: 2}
""",
    "translation": """
task: translation
data: {name: dates, tokenizer: characters, tokens_per_batch: 1500}
model: {name: transformer, size: 16, heads: 2, encoder_layers: 1, decoder_layers: 1, feedforward: 16}
optimizer: {name: adam, lr: 0.01}
metrics: []
steps: 20
trainer: {log_every: 1, accumulate: 2}
""",
    "summarization": """
task: {name: summarization, label_smoothing: 0}
data: {name: dates, tokenizer: characters, batch_size: 16}
model: {name: pointer_generator, size: 16}
optimizer: {name: adam, lr: 0.01}
metrics: []
steps: 20
trainer: {log_every: 1}
""",
    "semantic_segmentation": """
task: {name: semantic_segmentation, dice: 0.5, lovasz: 0.25}
data: {name: digit_scenes, targets: masks, image_size: 48, train: 64, val: 8, test: 0, batch_size: 8}
model: {name: segmentation_resnet, widths: [8, 16], stride: 2, decoder: 8, auxiliary: true}
optimizer: {name: adam, lr: 0.01}
metrics: []
steps: 20
trainer: {log_every: 1, accumulate: 2}
""",
    "detection": """
task: detection
data: {name: digit_scenes, image_size: 48, train: 64, val: 8, test: 0, batch_size: 8}
model: {name: center_detector, widths: [8, 16], stride: 4, levels: 2, pyramid: 8}
optimizer: {name: adam, lr: 0.01}
metrics: []
steps: 20
trainer: {log_every: 1, accumulate: 2}
""",
    "instance_segmentation": """
task: instance_segmentation
data: {name: digit_scenes, targets: instances, image_size: 48, train: 6, val: 2, test: 0, batch_size: 2}
model: maskrcnn_resnet50_fpn
optimizer: {name: sgd, lr: 0.001}
metrics: []
steps: 3
trainer: {log_every: 1}
""",
    "forecasting": """
task: {name: forecasting, loss: quantiles}
data: {name: synthetic_demand, look_back: 48, horizon: 12, rows: 1000, batch_size: 16}
model: {name: dlinear, outputs_per_value: 3}
optimizer: {name: adam, lr: 0.01}
steps: 20
trainer: {log_every: 1}
""",
    "language_modeling": """
task: language_modeling
data: {name: agreement, max_length: 24, batch_size: 32}
model: {name: transformer_decoder, size: 16, heads: 2, num_layers: 1, feedforward: 32}
optimizer: {name: adam, lr: 0.01}
schedule: {name: inverse_square_root, warmup: 5}
metrics: []
steps: 20
trainer: {log_every: 1}
""",
    "audio_classification": """
task: {name: audio_classification, label_smoothing: 0.1}
data: {name: synthetic_words, sample_rate: 8000, voices: 4, takes: 2, batch_size: 8, speed: 0.1, noise: 0.5, time_masks: 1}
model: {name: bc_resnet, scale: 1}
optimizer: {name: adam, lr: 0.01}
metrics: []
steps: 20
trainer: {log_every: 1}
""",
    "speech_recognition": """
task: speech_recognition
data: {name: synthetic_phrases, sample_rate: 8000, voices: 4, takes: 8, seconds_per_batch: 6}
model: {name: deep_speech, width: 4, size: 16, num_layers: 1}
optimizer: {name: adam, lr: 0.01}
metrics: []
steps: 20
trainer: {log_every: 1, accumulate: 2}
""",
    "ppo": """
task: {name: ppo, entropy_weight: 0.01, value_clip: 0.2}
data: discrete_rollouts
model: {name: actor_critic, normalize: true}
optimizer: {name: adam, lr: 0.001}
metrics: []
steps: 20
trainer: {log_every: 1, clip_norm: 0.5, evaluate_every: 100}
""",
    "dqn": """
task: {name: dqn, target_every: 5}
data: discrete_replay
model: {name: q_network, duelling: true}
optimizer: {name: adam, lr: 0.001}
metrics: []
steps: 20
trainer: {log_every: 1}
""",
    "sac": """
task: {name: sac, tau: 0.05}
data: continuous_replay
model: {name: actor_and_twin_critics, actor: [{dense: 16}, relu], critic: [{dense: 16}, relu]}
optimizer: {name: adam, lr: 0.001}
metrics: []
steps: 20
trainer: {log_every: 1}
""",
    "td3": """
task: {name: td3, tau: 0.05}
data: continuous_replay
model: {name: actor_and_twin_critics, stochastic: false, actor: [{dense: 16}, relu], critic: [{dense: 16}, relu]}
optimizer: {name: adam, lr: 0.001}
metrics: []
steps: 20
trainer: {log_every: 1, accumulate: 2}
""",
    "behaviour_cloning": """
task: {name: behaviour_cloning, loss: likelihood}
data: continuous_replay
model: actor_critic
optimizer: {name: adam, lr: 0.001}
metrics: []
steps: 20
trainer: {log_every: 1}
""",
    "dagger": """
task: {name: dagger, expert: scripted, beta_updates: 10}
data: discrete_replay
model: {name: sequential, layers: [{dense: {size: 16, activation: tanh}}, {dense: num_actions}]}
optimizer: {name: adam, lr: 0.01}
metrics: []
steps: 20
trainer: {log_every: 1, accumulate: 2}
""",
    "gan": """
task: {name: gan, r1: 0.5, r1_every: 4}
data: {name: digits, form: image, batch_size: 16}
model: {name: mlp_gan, conditional: true}
optimizer: {name: adam, lr: 0.001, betas: [0.5, 0.99]}
metrics: [diversity]
steps: 20
trainer: {log_every: 1, ema: 0.9}
""",
    "vae": """
task: vae
data: {name: digits, form: image, batch_size: 16}
model: conv_vae
metrics: []
steps: 20
trainer: {log_every: 1}
""",
    "diffusion": """
task: {name: diffusion, sampling_steps: 2}
data: {name: digits, form: image, batch_size: 8}
model: {name: unet, width: 8, multipliers: [1, 2]}
metrics: []
steps: 20
trainer: {log_every: 1}
""",
}


# The steps that come out alike on every processor, where not all do: the rounding of the last digit decides which places a
# box is matched to, and norms over batches of two enlarge it (AVX2, AVX-512 and AMX differ).
ALIKE = {"semantic_segmentation": 10, "detection": 6, "instance_segmentation": 1, "audio_classification": 2}


def test_every_task_has_one():
    assert set(EXPERIMENTS) == set(registry.tasks.names()), "a task without a golden trace: add an experiment here"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_losses_of_the_first_steps_are_what_they_always_were(name):
    """To write the files anew, after a change that is meant: DLX_WRITE_GOLDEN=1 pytest tests/tasks/test_golden_traces.py."""
    from dlx.core import Logger

    class Losses(Logger):
        found: list = []

        def log(self, step, scalars):
            self.found.append({key: round(value, 8) for key, value in scalars.items() if key.startswith("train/loss")})

    with registry.sources.scratch() as sources:
        control.enter(sources)  # stand-ins for environments
        trainer = build_trainer(prepare(spec.parse(EXPERIMENTS[name], "x.yaml")))
    logger = Losses()
    logger.found = []
    trainer.fit(logger)
    file = GOLDEN / f"{name}.json"
    if os.environ.get("DLX_WRITE_GOLDEN"):
        file.write_text(json.dumps(logger.found, indent=1) + "\n")
    assert len(logger.found) == trainer.total_steps
    expected = json.loads(file.read_text())
    assert len(expected) == len(logger.found)
    for step in range(ALIKE.get(name, len(expected))):
        assert logger.found[step] == pytest.approx(expected[step], rel=1e-4, abs=1e-6)
