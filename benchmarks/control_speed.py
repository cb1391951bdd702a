"""Whole training loops of PPO, SAC and DQN beside stable-baselines3 and loops written by hand, in one run.

Each contestant lives through the same number of frames and makes the same number of updates, in the same sizes: on one thread,
each in a process of its own, in turn, several times. What counts is processor time, from the end of a warm-up on, and ratios
are taken round by round. PPO is told in frames a second, SAC and DQN in updates. Evaluation lies outside the timed updates,
for the others have none. The mean return of the last episodes stands beside each, for a loop must learn to count.

    dlx     `dlx train`, with its memory or rollouts, its check for non-finite numbers, a log line every 100 updates
    sb3     stable-baselines3 as it comes, with a Monitor around the environment
    hand    control_loops.py: a loop for this case alone

    python benchmarks/control_speed.py [--rounds 5] [--updates 4000] [--cases ppo sac dqn] [--only dlx hand]

stable-baselines3 asks for versions of its own: `python -m venv ../sb3`, and there `pip install -e '.[control]' stable-baselines3`.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
from collections.abc import Callable
from typing import Any

import contest
import control_loops

WARM, LINE = 400, 100  # updates before the timed ones, and from one line of the log to the next
PPO = {"copies": 8, "steps": 32, "passes": 20, "batch_size": 256, "discount": 0.98, "gae_lambda": 0.8}
SAC = {"capacity": 20_000, "warmup": 1000, "batch_size": 256, "discount": 0.99}
DQN = {"capacity": 20_000, "warmup": 1000, "batch_size": 64, "discount": 0.99, "target_every": 500, "chance": 0.05}
SETTINGS: dict[str, dict[str, Any]] = {"ppo": PPO, "sac": SAC, "dqn": DQN}
FRAMES = {"ppo": PPO["copies"] * PPO["steps"] / PPO["passes"], "sac": 1, "dqn": 1}  # a batch
HIDDEN = "[{dense: {size: 64, activation: relu}}, {dense: {size: 64, activation: relu}}]"
CONFIGS = {
    "ppo": """
task: ppo
data: {name: rollouts, environment: CartPole-v1, DATA, episodes: 1}
model: actor_critic
""",
    "sac": f"""
task: sac
data: {{name: replay, environment: Pendulum-v1, DATA, episodes: 1}}
model: {{name: actor_and_twin_critics, actor: {HIDDEN}, critic: {HIDDEN}}}
""",
    "dqn": f"""
task: {{name: dqn, double: false, target_every: 500, exploration_start: 0.05, exploration_end: 0.05}}
data: {{name: replay, environment: CartPole-v1, DATA, episodes: 1}}
model: {{name: q_network, body: {HIDDEN}}}
""",
}
CLIP = {"ppo": "clip_norm: 0.5, ", "sac": "", "dqn": "clip_norm: 10, "}


class Stopwatch:
    """Reads the clocks at the end of the warm-up and at that of the timed updates."""

    def __init__(self, updates: int) -> None:
        self.updates, self.clock, self.found = updates, contest.Clock(), dict[str, float]()

    def __call__(self, update: int) -> None:
        """Look whether an update is one of the two."""
        if update == WARM:
            self.clock.start()
        elif update == WARM + self.updates and not self.found:
            self.found = self.clock.stop(self.updates)


def built(case: str, updates: int) -> Any:
    """Make dlx's experiment."""
    from dlx.assembly.experiment import prepare
    from dlx.config import spec

    settings = {key: value for key, value in SETTINGS[case].items() if key not in ("target_every", "chance")}
    text = CONFIGS[case].replace("DATA", ", ".join(f"{key}: {value}" for key, value in settings.items()))
    text += f"optimizer: {{name: adam, lr: 0.001}}\nsteps: {updates}\ndevice: {{threads: 1}}\n"
    text += f"trainer: {{{CLIP[case]}evaluate_every: 1000000000, log_every: {LINE}}}\n"
    return prepare(spec.parse(text, "control_speed"))


def dlx(case: str, stopwatch: Stopwatch) -> float:
    returns: list[float] = []

    def watch(step, scalars):
        if not stopwatch.found:
            returns.extend(value for name, value in scalars.items() if name == "episode_return")
        stopwatch(step)

    contest.train(built(case, WARM + stopwatch.updates + 1), watch)  # the last is followed by an evaluation and a checkpoint
    return returns[-1] if returns else float("nan")


def sb3(case: str, stopwatch: Stopwatch) -> float:
    import stable_baselines3 as library
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    settings = SETTINGS[case]
    shared = {"learning_rate": 0.001, "gamma": settings["discount"], "batch_size": settings["batch_size"], "device": "cpu"}
    remembered = {"learning_starts": settings.get("warmup"), "buffer_size": settings.get("capacity"), "train_freq": 1}

    class Watch(BaseCallback):
        """Count updates by the frames that belong to them: rollouts are watched at their beginnings, else every frame."""

        def _on_rollout_start(self) -> None:
            if case == "ppo":
                stopwatch(round(self.num_timesteps / FRAMES[case]))

        def _on_step(self) -> bool:
            if case != "ppo":
                stopwatch(self.num_timesteps - 1 - settings["warmup"])  # the frame's own update comes after it
            return not stopwatch.found

    if case == "ppo":
        environments = make_vec_env("CartPole-v1", PPO["copies"])
        lengths = {"n_steps": PPO["steps"], "n_epochs": PPO["passes"], "gae_lambda": PPO["gae_lambda"]}
        model = library.PPO("MlpPolicy", environments, **shared, **lengths)
    elif case == "sac":
        hidden = {"net_arch": [64, 64]}
        model = library.SAC("MlpPolicy", make_vec_env("Pendulum-v1"), **shared, **remembered, policy_kwargs=hidden)
    else:
        exploration = {"exploration_initial_eps": DQN["chance"], "exploration_final_eps": DQN["chance"]}
        model = library.DQN(
            "MlpPolicy", make_vec_env("CartPole-v1"), **shared, **remembered, **exploration,
            target_update_interval=DQN["target_every"], policy_kwargs={"net_arch": [64, 64]},
        )  # fmt: skip
    model.learn(10**9, callback=Watch())
    recent = [episode["r"] for episode in model.ep_info_buffer][-control_loops.RECENT :]
    return statistics.fmean(recent)


def hand(case: str, stopwatch: Stopwatch) -> float:
    loops: dict[str, Callable[..., float]] = {"ppo": control_loops.ppo, "sac": control_loops.sac, "dqn": control_loops.dqn}
    return loops[case](SETTINGS[case], WARM + stopwatch.updates, stopwatch)


CONTESTANTS = {"dlx": dlx, "sb3": sb3, "hand": hand}
NEEDS = {"sb3": ["stable_baselines3"]}


def child(name: str, case: str, updates: int) -> None:
    """Be one contestant."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    stopwatch = Stopwatch(updates)
    learned = CONTESTANTS[name](case, stopwatch)
    print(json.dumps({**stopwatch.found, "learned": learned}))


def train(case: str, updates: int, name: str) -> dict[str, float]:
    """Run one contestant in a process of its own."""
    arguments = ["--updates", updates, "--child", name, case]
    return contest.child(__file__, *arguments, settings={"OMP_NUM_THREADS": "1"})


def table(case: str, found: dict[str, list[dict[str, float]]]) -> None:
    """Print one case."""
    unit = "frames" if case == "ppo" else "updates"
    print(f"\n{case}: {unit} a second of processor time; mean return of the last episodes of training")
    rates = {name: [(FRAMES[case] if case == "ppo" else 1) / row["work"] for row in rows] for name, rows in found.items()}
    learned = {name: f"{statistics.median(row['learned'] for row in rows):8.0f}" for name, rows in found.items()}
    contest.table(rates, "8.0f", {"return": learned})


def main() -> None:
    """Let them train in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=4000, help="timed ones: whole rollouts and log lines, so hundreds")
    parser.add_argument("--cases", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--child", nargs=2, metavar=("NAME", "CASE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.updates % LINE:
        parser.error(f"--updates {options.updates}: a multiple of {LINE} is wanted")
    if options.child:
        child(*options.child, options.updates)
        return
    names = contest.present(options.only, NEEDS)
    print(contest.machine("torch", "gymnasium", *(["stable_baselines3"] if "sb3" in names else [])))
    for case in options.cases:
        run = functools.partial(train, case, options.updates)
        table(case, contest.in_turn(names, options.rounds, run, swap=True))


if __name__ == "__main__":
    main()
