"""Logistic regression on the pixels as it is written in a notebook with scikit-learn: scaled, fitted by stochastic gradients, a pass an epoch.

Needs, in any environment: scikit-learn>=1.5, numpy

    python sklearn_logistic.py --data FILE.npz --seconds 60 --epochs 30 --seed 0 --threads 2

What a peer reads and prints is told in docs/bench.md.
"""

import argparse
import json
import sys
import time

import numpy as np
import sklearn
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main(asked):
    data = np.load(asked.data)
    images, labels = data["x_train"], data["y_train"]
    started = time.perf_counter()
    scaler = StandardScaler()
    pixels = scaler.fit_transform(images.reshape(len(images), -1) / 255)
    others = scaler.transform(data["x_test"].reshape(len(data["x_test"]), -1) / 255)
    model = SGDClassifier(loss="log_loss", alpha=1e-3, random_state=asked.seed, n_jobs=asked.threads)
    order, trained, epoch_started = np.random.default_rng(asked.seed), 0.0, started
    for epoch in range(1, asked.epochs + 1):
        rows = order.permutation(len(pixels))
        model.partial_fit(pixels[rows], labels[rows], classes=np.unique(labels))
        last = time.perf_counter() - epoch_started
        trained += last
        testing = time.perf_counter()
        row = {"seconds": trained, "images": epoch * len(images), "accuracy": model.score(others, data["y_test"])}
        print(json.dumps({**row, "validation_seconds": time.perf_counter() - testing}), flush=True)
        if trained + last > asked.seconds:
            break
        epoch_started = time.perf_counter()
    print(json.dumps({"versions": {"scikit-learn": sklearn.__version__, "python": sys.version.split()[0]}}), flush=True)


if __name__ == "__main__":
    given = arguments()
    with threadpool_limits(given.threads):
        main(given)
