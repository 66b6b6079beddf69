"""In which mode of an Orin, with which stack and how many sequences at once, are tokens fast and cheap in energy?

python optuna_search.py
"""

from __future__ import annotations

import optuna

from roofsim.spaces.optuna_objective import objective

AXES = {
    "model": "Qwen2.5-1.5B",
    "device": "orin@7w,orin@15w,orin@25w,orin",
    "runtime": "transformers-4.52-eager,cuda-graph",
    "weights": "bf16,int4-g128",
    "batch": "1..32*2",
    "prompt": "512",
    "generate": "256",
}


def main(trials: int = 60) -> optuna.Study:
    """Search, and print the designs that no other is better than."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    wanted = objective(
        AXES, {"tpot": "min", "J_per_token": "min"}, derive={"J_per_token": "energy / (batch * generate)"},
        where="memory <= capacity",
    )  # fmt: skip
    study = optuna.create_study(directions=wanted.directions, sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(wanted, trials)
    best = {tuple(trial.values): trial for trial in study.best_trials}
    for (tpot, energy), trial in sorted(best.items()):
        values = trial.user_attrs["values"]
        chosen = ", ".join(str(values[name]) for name in ("device", "runtime", "weights", "batch"))
        print(f"{1e3 * tpot:8.1f} ms a token  {energy:6.3f} J  {chosen}")
    return study


if __name__ == "__main__":
    main()
