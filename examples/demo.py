"""From nothing to a tested classifier: five seeds on the handwritten digits that scikit-learn carries.

Run with: make demo (or python examples/demo.py [FOLDER OF RUNS])
"""

from __future__ import annotations

import statistics
import sys

import rung


def main(out: str = "runs") -> None:
    accuracies = []
    for seed in range(5):
        run = rung.train("digits", "digits", seed=seed, out=out, why="the demonstration: does the whole way work here?")
        opening = rung.test(run)
        accuracies.append(opening.scores.accuracy.value)
        print(f"seed {seed}: test accuracy {100 * accuracies[-1]:.2f} %, report {run.report}")
    mean, deviation = 100 * statistics.mean(accuracies), 100 * statistics.stdev(accuracies)
    print(f"five seeds: mean test accuracy {mean:.2f} %, standard deviation {deviation:.2f} points, over seeds and their splits")
    print("findings of the last run:")
    for sentence in rung.findings(run):
        print(f"- {sentence}")


if __name__ == "__main__":
    main(*sys.argv[1:])
