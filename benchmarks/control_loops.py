"""Contestants of control_speed.py: loops of PyTorch over gymnasium's environments, written by hand for one case each.

They do what the algorithms ask for and no more: no log, no check of numbers, no checkpoint, nothing that could be resumed.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections import deque
from collections.abc import Callable
from typing import Any

RECENT = 20  # episodes whose mean return says whether anything was learnt


def layers(sizes: list[int], activation: Any) -> Any:
    """Make dense layers with an activation between them."""
    from torch import nn

    made: list[Any] = []
    for before, after in itertools.pairwise(sizes):
        made += [nn.Linear(before, after), activation()]
    return nn.Sequential(*made[:-1])


def orthogonal(network: Any, last: float) -> Any:
    """Fill weights as PPO's have them."""
    from torch import nn

    dense = [module for module in network if isinstance(module, nn.Linear)]
    for number, module in enumerate(dense):
        nn.init.orthogonal_(module.weight, last if number == len(dense) - 1 else math.sqrt(2))
        nn.init.zeros_(module.bias)
    return network


class Copies:
    """Copies of an environment one after the other, begun again where an episode ends, and the returns of their episodes."""

    def __init__(self, name: str, count: int) -> None:
        import gymnasium
        import numpy as np

        self.all = [gymnasium.make(name, disable_env_checker=True) for _ in range(count)]
        self.seen = np.stack([one.reset(seed=number)[0] for number, one in enumerate(self.all)])
        self.totals, self.returns = [0.0] * count, deque[float](maxlen=RECENT)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any]:
        """Act, and return rewards, what followed, and where an episode was terminated or truncated."""
        import numpy as np

        results = [one.step(action) for one, action in zip(self.all, actions, strict=True)]
        following = np.stack([result[0] for result in results])
        seen = following.copy()
        for number, (_, reward, terminated, truncated, _) in enumerate(results):
            self.totals[number] += reward
            if terminated or truncated:
                self.returns.append(self.totals[number])
                self.totals[number] = 0.0
                seen[number] = self.all[number].reset()[0]
        self.seen = seen
        rewards, terminated, truncated = (np.array([result[word] for result in results]) for word in (1, 2, 3))
        return rewards, following, terminated, truncated

    def learned(self) -> float:
        """Return the mean return of the last episodes."""
        return sum(self.returns) / max(len(self.returns), 1)


class Memory:
    """The last frames of one environment, in arrays."""

    def __init__(self, capacity: int, size: int, action: Any) -> None:
        import numpy as np

        self.arrays = (
            np.zeros((capacity, size), np.float32), np.zeros((capacity, *action.shape), action.dtype),
            np.zeros(capacity, np.float32), np.zeros((capacity, size), np.float32), np.zeros(capacity, np.float32),
        )  # fmt: skip
        self.capacity, self.written = capacity, 0
        self.draw = np.random.default_rng(0)

    def add(self, *frame: Any) -> None:
        """Remember a frame in place of the oldest."""
        for array, value in zip(self.arrays, frame, strict=True):
            array[self.written % self.capacity] = value
        self.written += 1

    def batch(self, size: int) -> list[Any]:
        """Draw frames."""
        import torch

        rows = self.draw.integers(0, min(self.written, self.capacity), size)
        return [torch.from_numpy(array[rows]) for array in self.arrays]


def advantages(words: dict[str, Any], last: Any, discount: float, gae_lambda: float) -> Any:
    """Compute generalised advantages (T, N) of a rollout (Schulman et al. 2016)."""
    import torch

    found, carried, after = torch.zeros_like(words["reward"]), torch.zeros_like(last), last
    for step in range(len(found) - 1, -1, -1):
        going_on = 1 - words["ended"][step]
        error = words["reward"][step] + discount * after * going_on - words["value"][step]
        carried = error + discount * gae_lambda * going_on * carried
        found[step], after = carried, words["value"][step]
    return found


def ppo(settings: dict[str, Any], updates: int, watch: Callable[[int], None]) -> float:
    """PPO of CartPole."""
    import torch
    from torch import nn

    copies, discount = Copies("CartPole-v1", settings["copies"]), settings["discount"]
    actor, critic = (orthogonal(layers([4, 64, 64, size], nn.Tanh), gain) for size, gain in ((2, 0.01), (1, 1.0)))
    parameters = [*actor.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.001, fused=True)
    frames, update = settings["copies"] * settings["steps"], 0
    while update < updates:
        words: dict[str, Any] = {w: [] for w in ("input", "action", "log_probability", "value", "reward", "ended")}
        with torch.no_grad():
            for _ in range(settings["steps"]):
                seen = torch.from_numpy(copies.seen)
                shares = actor(seen).log_softmax(-1)
                action = torch.multinomial(shares.exp(), 1)
                rewards, following, terminated, truncated = copies.step(action[:, 0].tolist())
                reward = torch.from_numpy(rewards).float()
                if (cut := torch.from_numpy(truncated & ~terminated)).any():
                    reward[cut] += discount * critic(torch.from_numpy(following)[cut]).squeeze(-1)
                ended = torch.from_numpy(terminated | truncated).float()
                row = (seen, action, shares.gather(1, action)[:, 0], critic(seen)[:, 0], reward, ended)
                for word, value in zip(words, row, strict=True):
                    words[word].append(value)
            words = {word: torch.stack(value) for word, value in words.items()}
            last = critic(torch.from_numpy(copies.seen))[:, 0]
            words["advantage"] = advantages(words, last, discount, settings["gae_lambda"])
            words["return"] = words["advantage"] + words["value"]
            flat = {word: value.flatten(0, 1) for word, value in words.items()}
        for _ in range(settings["passes"]):
            order = torch.randperm(frames)
            for start in range(0, frames, settings["batch_size"]):
                batch = {word: value[order[start : start + settings["batch_size"]]] for word, value in flat.items()}
                shares = actor(batch["input"]).log_softmax(-1)
                ratio = (shares.gather(1, batch["action"])[:, 0] - batch["log_probability"]).exp()
                gain = (batch["advantage"] - batch["advantage"].mean()) / (batch["advantage"].std() + 1e-8)
                surrogate = torch.minimum(ratio * gain, ratio.clamp(0.8, 1.2) * gain).mean()
                loss = 0.5 * (critic(batch["input"])[:, 0] - batch["return"]).square().mean() - surrogate
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 0.5)
                optimizer.step()
                update += 1
                watch(update)
    return copies.learned()


def dqn(settings: dict[str, Any], updates: int, watch: Callable[[int], None]) -> float:
    """DQN of CartPole."""
    import numpy as np
    import torch
    from torch import nn
    from torch.nn.functional import smooth_l1_loss

    copies, memory = Copies("CartPole-v1", 1), Memory(settings["capacity"], 4, np.zeros((), np.int64))
    network = layers([4, 64, 64, 2], nn.ReLU)
    target = copy.deepcopy(network)
    parameters = list(network.parameters())
    optimizer = torch.optim.Adam(parameters, lr=0.001, fused=True)
    draw, update = np.random.default_rng(1), 0
    while update < updates:
        seen = copies.seen[0]
        if memory.written < settings["warmup"] or draw.random() < settings["chance"]:
            action = int(draw.integers(2))
        else:
            with torch.no_grad():
                action = int(network(torch.from_numpy(seen)).argmax())
        reward, following, terminated, _ = copies.step([action])
        memory.add(seen, action, reward[0], following[0], terminated[0])
        if memory.written <= settings["warmup"]:
            continue
        before, actions, rewards, after, ends = memory.batch(settings["batch_size"])
        with torch.no_grad():
            wanted = rewards + settings["discount"] * (1 - ends) * target(after).amax(1)
        loss = smooth_l1_loss(network(before).gather(1, actions[:, None])[:, 0], wanted)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 10)
        optimizer.step()
        update += 1
        if update % settings["target_every"] == 0:
            target.load_state_dict(network.state_dict())
        watch(update)
    return copies.learned()


def squashed(policy: Any) -> tuple[Any, Any]:
    """Draw the tanh of normal actions, with the log of their density."""
    import torch
    from torch.nn.functional import softplus

    mean, deviation = policy.chunk(2, -1)
    deviation = deviation.clamp(-20, 2)
    noise = torch.randn_like(mean)
    raw = mean + deviation.exp() * noise
    slope = 2 * (math.log(2) - raw - softplus(-2 * raw))
    return raw.tanh(), -(noise.square() / 2 + deviation + math.log(2 * math.pi) / 2 + slope).sum(-1)


def sac(settings: dict[str, Any], updates: int, watch: Callable[[int], None]) -> float:
    """SAC of Pendulum."""
    import numpy as np
    import torch
    from torch import nn

    copies, memory = Copies("Pendulum-v1", 1), Memory(settings["capacity"], 3, np.zeros(1, np.float32))
    actor, first, second = (layers([size, 64, 64, out], nn.ReLU) for size, out in ((3, 2), (4, 1), (4, 1)))
    targets = [copy.deepcopy(critic) for critic in (first, second)]
    logarithm = torch.zeros((), requires_grad=True)
    both = [*first.parameters(), *second.parameters()]
    followers = [parameter for target in targets for parameter in target.parameters()]
    adams = [torch.optim.Adam(group, lr=0.001, fused=True) for group in (both, actor.parameters(), [logarithm])]
    draw, update = np.random.default_rng(1), 0

    def least(critics: Any, seen: Any, action: Any) -> Any:
        joined = torch.cat((seen, action), 1)
        return torch.minimum(*(critic(joined)[:, 0] for critic in critics))

    def step(optimizer: Any, loss: Any) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    while update < updates:
        seen = copies.seen[0]
        if memory.written < settings["warmup"]:
            action = draw.uniform(-1, 1, 1).astype(np.float32)
        else:
            with torch.no_grad():
                action = squashed(actor(torch.from_numpy(seen)))[0].numpy()
        reward, following, terminated, _ = copies.step([2 * action])
        memory.add(seen, action, reward[0], following[0], terminated[0])
        if memory.written <= settings["warmup"]:
            continue
        before, actions, rewards, after, ends = memory.batch(settings["batch_size"])
        temperature = logarithm.detach().exp()
        with torch.no_grad():
            later, density = squashed(actor(after))
            worth = least(targets, after, later) - temperature * density
            wanted = rewards + settings["discount"] * (1 - ends) * worth
        joined = torch.cat((before, actions), 1)
        step(adams[0], sum((critic(joined)[:, 0] - wanted).square().mean() / 2 for critic in (first, second)))
        drawn, density = squashed(actor(before))
        step(adams[1], (temperature * density - least((first, second), before, drawn)).mean())
        step(adams[2], -logarithm * (density.detach() - 1).mean())
        with torch.no_grad():
            torch._foreach_lerp_(followers, both, 0.005)
        update += 1
        watch(update)
    return copies.learned()
