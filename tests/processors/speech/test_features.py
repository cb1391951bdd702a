"""Features equal librosa's, whatever else is in the batch."""

import numpy as np
import pytest
import torch

from dlx.errors import ComponentError
from dlx.processors.speech.features import FeatureOptions, Features


def clips(rate):
    """Make a gliding tone in noise, and a shorter one that falls silent."""
    draw = np.random.default_rng(0)
    time = np.arange(int(0.7 * rate)) / rate
    one = 0.3 * np.sin(2 * np.pi * (200 + 900 * time) * time) + 0.02 * draw.standard_normal(len(time))
    other = 0.5 * np.sin(2 * np.pi * 500 * time[: len(time) // 2]) + 0.001 * draw.standard_normal(len(time) // 2)
    other[len(other) // 2 :] = 0
    return [one.astype(np.float32), other.astype(np.float32)]


def batch(waves):
    samples = torch.tensor([len(wave) for wave in waves])
    filled = torch.zeros(len(waves), int(samples.max()))
    for row, wave in enumerate(waves):
        filled[row, : len(wave)] = torch.from_numpy(wave)
    return filled, samples


@pytest.mark.parametrize("kind", ["log_mel", "mfcc"])
@pytest.mark.parametrize(("rate", "more"), [(8000, {}), (16000, {"mel_scale": "htk", "low_frequency": 50.0, "num_mels": 26})])
def test_they_are_librosas(kind, rate, more):
    librosa = pytest.importorskip("librosa", reason="librosa, the reference, is not installed")
    features = Features(FeatureOptions(sample_rate=rate, features=kind, normalize="none", **more))
    waves = clips(rate)
    found, length = features.raw(*batch(waves))
    for row, wave in enumerate(waves):
        mel = librosa.feature.melspectrogram(
            y=wave, sr=rate, n_fft=features.size, hop_length=features.hop, win_length=features.window,
            n_mels=features.options.num_mels, fmin=features.options.low_frequency, htk=more.get("mel_scale") == "htk",
        )  # fmt: skip
        expected = librosa.power_to_db(mel)
        if kind == "mfcc":
            expected = librosa.feature.mfcc(S=expected, n_mfcc=13)
        assert int(length[row]) == expected.shape[1]
        assert np.abs(found[row, : expected.shape[1]].numpy() - expected.T).max() < 1e-3


@pytest.mark.parametrize("kind", ["log_mel", "mfcc", "wave"])
@pytest.mark.parametrize("normalize", ["clip", "global", "none"])
def test_a_clip_has_the_same_features_alone_as_in_a_batch(kind, normalize):
    features = Features(FeatureOptions(sample_rate=8000, features=kind, normalize=normalize))
    waves = clips(8000)
    features.fit(lambda: [batch(waves)])
    found, length = features(*batch(waves))
    for row, wave in enumerate(waves):
        alone, steps = features(*batch([wave]))
        assert alone.shape[1] == int(steps) == int(length[row])
        assert torch.allclose(alone[0], found[row, : int(steps)], atol=1e-4)
    assert not found[1, int(length[1]) :].any()
    assert found.shape[2] == features.count


def test_normalised_features_have_mean_0_and_deviation_1():
    waves = clips(8000)
    within = Features(FeatureOptions(sample_rate=8000))
    found, length = within(*batch(waves))
    assert torch.allclose(found[0, : length[0]].mean(0), torch.zeros(40), atol=1e-4)
    assert torch.allclose(found[0, : length[0]].std(0, correction=0), torch.ones(40), atol=1e-3)
    whole = Features(FeatureOptions(sample_rate=8000, normalize="global"))
    whole.fit(lambda: [batch(waves[:1]), batch(waves[1:])])
    found, length = whole(*batch(waves))
    seen = torch.cat([found[row, : length[row]] for row in range(2)])
    assert torch.allclose(seen.mean(0), torch.zeros(40), atol=1e-4)
    assert torch.allclose(seen.std(0, correction=0), torch.ones(40), atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"high_frequency": 9000.0}, "high_frequency"),
        ({"low_frequency": 8000.0}, "low_frequency"),
        ({"features": "mfcc", "num_coefficients": 50}, "num_coefficients"),
        ({"window_seconds": 0.005}, "window_seconds"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, key):
    with pytest.raises(ComponentError) as told:
        Features(FeatureOptions(**settings))
    assert told.value.path == (key,)
