"""Designs for Qwen2.5-0.5B tried by a policy that learns: `python gymnasium_search.py`.

The policy is the cross-entropy method: designs are drawn, and what the best tenth have in common is drawn more often.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from roofsim.spaces import gym_environment

AXES = {
    "model": "Qwen2.5-0.5B",
    "device": "orin",
    "runtime": "transformers-4.52-eager,cuda-graph",
    "prompt": "4k",
    "device.memory.bandwidth": "0.5x..4x*1.1892",
    "device.peak.matrix.bf16": "0.5x..4x*1.1892",
    "host.dispatch": "0.25x..2x*1.4142",
}
PRICE = "device.memory.bandwidth / 1e11 + device.peak.matrix.bf16 / 1e13"
"""What a design costs here: so much for bandwidth, so much for the peak, in units of our own."""


def main(rounds: int = 12, drawn: int = 40) -> dict[str, Any]:
    """Learn for some rounds, and print the best design."""
    environment = gymnasium.make(
        gym_environment.NAME, axes=AXES, objectives={"total_time": "min", "price": "min"}, derive={"price": PRICE},
        where="memory <= capacity", steps=rounds * drawn,
    )  # fmt: skip
    _, info = environment.reset(seed=0)
    random = np.random.default_rng(0)
    chances = [np.full(n, 1 / n) for n in environment.action_space.nvec]
    for _ in range(rounds):
        actions = np.array([[random.choice(len(each), p=each) for each in chances] for _ in range(drawn)])
        rewards = []
        for action in actions:
            _, reward, _, _, info = environment.step(action)
            rewards.append(reward)
        best = actions[np.argsort(rewards)[-drawn // 10 :]]
        for i, each in enumerate(chances):
            share = np.bincount(best[:, i], minlength=len(each)) / len(best)
            chances[i] = 0.3 * each + 0.7 * share
    print(f"{info['best_reward']:.3f}  {info['best_values']}")
    return info


if __name__ == "__main__":
    main()
