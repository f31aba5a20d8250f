"""Made-up surfaces with a cliff, on which the search may be tuned: benchmarks/cliff_surfaces.csv.

Each has two regimes, without and with thinking, whose lengths and scores change slowly with λ, and
a think ratio that climbs within a few hundredths to two tenths of λ. Half of them keep the think
ratio to themselves, as many published tables do.
"""

import csv
import sys

import numpy as np


def main() -> None:
    """Write the CSV to standard output."""
    random = np.random.default_rng(2026)
    lambdas = np.round(np.linspace(0, 1, 11), 1)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["pair", "method", "lambda", "probe", "mean", "tokens", "think_percent"])
    for number in range(8):
        centre, width = random.uniform(0.35, 0.8), random.uniform(0.02, 0.08)
        thinking = 1 / (1 + np.exp(-(lambdas - centre) / width))
        base, ratio = np.exp(random.uniform(np.log(600), np.log(9000))), random.uniform(1.4, 3)
        short = base * np.exp(random.uniform(-0.3, 0.3) * lambdas)
        long = base * ratio * np.exp(random.uniform(0, 1.2) * (lambdas - centre))
        level, gain = random.uniform(-1.2, 0.8), random.uniform(0, 1.4)
        without = level + random.uniform(-0.3, 0.8) * lambdas
        with_ = level + gain + random.uniform(-0.5, 0.8) * (lambdas - centre)
        score = (1 - thinking) / (1 + np.exp(-without)) + thinking / (1 + np.exp(-with_))
        tokens = (1 - thinking) * short + thinking * long
        for row in zip(lambdas, score, tokens, thinking, strict=True):
            method = {0.0: "instruct", 1.0: "thinking"}.get(row[0], "interpolation")
            share = f"{100 * row[3]:.1f}" if number % 2 else ""
            values = [f"cliff-{number}", f"{100 * row[1]:.2f}", f"{row[2]:.0f}", share]
            writer.writerow(["cliffs", method, row[0], *values])


if __name__ == "__main__":
    main()
