"""How fast waves become features, beside librosa's, and how many seconds of speech a network hears in one.

python benchmarks/speech_speed.py [--clips 64] [--seconds 1] [--rounds 7] [--threads 1]

Features are computed of the same clips by turns, librosa's clip by clip as its users do, dlx's in one batch and clip by clip.
Times are the processor's; differences are told beside them, and the medians of paired ratios.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from dlx.processors.speech.features import FeatureOptions, Features
from dlx.registry import models
from dlx.registry.signatures import check

RATE = 16_000
NETWORKS = {"bc_resnet": {}, "crnn": {}, "deep_speech": {}, "conformer": {}, "quartz_net": {}}


def clips(count: int, seconds: float) -> torch.Tensor:
    """Make noise that rises and falls as speech does."""
    draw = np.random.default_rng(0)
    loud = np.abs(np.sin(np.arange(int(seconds * RATE)) / RATE * 12))
    return torch.from_numpy((0.1 * loud * draw.standard_normal((count, len(loud)))).astype(np.float32))


def seconds_of(run) -> float:
    start = time.process_time()  # a busy machine's clock says nothing
    run()
    return time.process_time() - start


def features(waves: torch.Tensor, kind: str, rounds: int) -> None:
    """Compare one kind of features."""
    import librosa

    ours = Features(FeatureOptions(features=kind, normalize="none"))
    samples = torch.full((len(waves),), waves.shape[1])

    def theirs(wave):
        mel = librosa.feature.melspectrogram(
            y=wave, sr=RATE, n_fft=ours.size, hop_length=ours.hop, win_length=ours.window, n_mels=ours.options.num_mels
        )
        decibels = librosa.power_to_db(mel)
        return librosa.feature.mfcc(S=decibels, n_mfcc=ours.options.num_coefficients) if kind == "mfcc" else decibels

    arrays = list(waves.numpy())
    found = ours.raw(waves, samples)[0].numpy()
    apart = max(float(np.abs(one.T - theirs(wave)).max()) for one, wave in zip(found, arrays, strict=True))
    ways = {
        "librosa": lambda: [theirs(wave) for wave in arrays],
        "dlx, a batch": lambda: ours.raw(waves, samples),
        "dlx, clip by clip": lambda: [ours.raw(waves[n : n + 1], samples[:1]) for n in range(len(waves))],
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            times[name].append(seconds_of(run))
    print(f"{kind}: largest difference {apart:.1e}")
    for name, found_times in times.items():
        ratios = [one / other for one, other in zip(times["librosa"], found_times, strict=True)]
        milliseconds = 1000 * statistics.median(found_times) / len(waves)
        print(f"  {name:<18} {milliseconds:8.3f} ms a clip   {statistics.median(ratios):6.2f} times librosa's speed")


def networks(waves: torch.Tensor, rounds: int) -> None:
    """Measure the real-time factor of networks in evaluation, features counted."""
    ours = Features(FeatureOptions())
    samples = torch.full((len(waves),), waves.shape[1])
    facts = {"num_features": ours.count, "num_classes": 12, "target_vocab_size": 32}
    for name, choices in NETWORKS.items():
        models.get(name)
        model = models.build(name, check(models.signatures[name], choices)[0], facts).eval()
        with torch.no_grad():
            best = statistics.median(seconds_of(lambda m=model: m(*ours(waves, samples))) for _ in range(rounds))
        heard = len(waves) * waves.shape[1] / RATE
        print(f"{name:<12} real-time factor {best / heard:.5f}: hears {heard / best:,.0f} seconds in one")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    waves = clips(asked.clips, asked.seconds)
    for kind in ("log_mel", "mfcc"):
        features(waves, kind, asked.rounds)
    networks(waves, asked.rounds)


if __name__ == "__main__":
    main()
