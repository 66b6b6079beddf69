"""Whether the intervals of a calibration hold what they say, on runs that the model itself made.

usage: python tools/simulate_calibration.py [SEEDS]

Each simulation draws the parameters of an H100 from their priors, makes 192 figures of four models with 10 % of
log-normal noise, fits them, and counts how often the 95 % intervals hold the true parameters and the measurements of
runs at other lengths. Prints the shares, which should be near 95 %: from 90 to 98 %. The page docs/calibration.md
states the result for 40 seeds.
"""

import sys

from roofsim import library
from roofsim.fitting.simulation import Stack, coverage, design

MODELS = ("Qwen2.5-0.5B", "Llama-3.2-1B", "mamba2-780m", "mamba-790m")


def main() -> None:
    """Print the shares."""
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
    device = library.device("h100-sxm")
    stack = Stack(device, library.runtime("transformers-5-eager"), library.host("h100-vm"))
    rows = list(design(MODELS, (512, 2048, 8192, 32768), (1, 8)))
    new = list(design(MODELS, (1024, 16384), (1, 4)))
    found = coverage(stack, rows, new, seeds, noise=0.1)
    print(f"{len(seeds)} simulations of {len(rows)} figures each, 95 % intervals")
    print(f"determined parameters inside  {found.fitted:.1%}")
    print(f"all parameters inside         {found.parameters:.1%}")
    print(f"new measurements inside       {found.predictions:.1%}")


if __name__ == "__main__":
    main()
