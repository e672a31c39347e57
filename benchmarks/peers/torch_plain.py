"""A small residual network as it is written in a notebook with plain PyTorch: DataLoader, random crop and flip image by image, Adam, a falling rate.

Needs, in any environment: torch>=2.4, numpy

    python torch_plain.py --data FILE.npz --seconds 60 --epochs 30 --seed 0 --threads 2 [--batch 64] [--precision bfloat16] [--flip no] [--workers 2]

What a peer reads and prints is told in docs/bench.md. The rate falls once to a tenth, after two thirds of the seconds.
"""

import argparse
import contextlib
import json
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--flip", choices=("yes", "no"), default="yes")
    parser.add_argument("--workers", type=int, default=0, help="processes that make batches; 0: the training's own")
    return parser.parse_args()


class Images(Dataset):
    """Images as float tensors, normalised; in training each is moved by up to an eighth of its side and perhaps mirrored."""

    def __init__(self, images, labels, mean, deviation, move=0, flip=False):
        self.images = torch.from_numpy(images).permute(0, 3, 1, 2)
        self.labels = torch.from_numpy(labels.astype(np.int64))
        self.mean, self.deviation, self.move, self.flip = mean, deviation, move, flip

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, row):
        image = (self.images[row].float() / 255 - self.mean) / self.deviation
        if self.move:
            height, width = image.shape[1:]
            padded = functional.pad(image, (self.move,) * 4)
            top, left = torch.randint(0, 2 * self.move + 1, (2,)).tolist()
            image = padded[:, top : top + height, left : left + width]
        if self.flip and torch.rand(()) < 0.5:
            image = image.flip(2)
        return image, self.labels[row]


class Residual(nn.Module):
    """Two convolutions and what came in."""

    def __init__(self, before, filters, stride):
        super().__init__()
        self.first = nn.Conv2d(before, filters, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(filters)
        self.second = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(filters)
        same = before == filters and stride == 1
        self.beside = nn.Identity() if same else nn.Sequential(nn.Conv2d(before, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        inner = self.second_norm(self.second(functional.relu(self.first_norm(self.first(x)))))
        return functional.relu(inner + self.beside(x))


def network(channels, classes):
    """A residual network of six blocks: 32, 64 and 128 filters."""
    blocks = [Residual(32, 32, 1), Residual(32, 32, 1), Residual(32, 64, 2), Residual(64, 64, 1), Residual(64, 128, 2), Residual(128, 128, 1)]
    stem = nn.Sequential(nn.Conv2d(channels, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
    return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, classes))


def accuracy(model, loader, half):
    model.eval()
    right = 0
    with torch.inference_mode(), half():
        for images, labels in loader:
            right += int((model(images).argmax(1) == labels).sum())
    return right / len(loader.dataset)


def main(asked):
    torch.set_num_threads(asked.threads)
    torch.manual_seed(asked.seed)
    data = np.load(asked.data)
    images, labels = data["x_train"], data["y_train"]
    started = time.perf_counter()
    shares = images.reshape(-1, images.shape[-1]) / 255
    mean, deviation = (torch.tensor(values, dtype=torch.float32)[:, None, None] for values in (shares.mean(0), shares.std(0)))
    training = Images(images, labels, mean, deviation, images.shape[1] // 8, asked.flip == "yes")
    loader = DataLoader(training, batch_size=asked.batch, shuffle=True, num_workers=asked.workers, drop_last=True)
    validation = DataLoader(Images(data["x_test"], data["y_test"], mean, deviation), batch_size=500)
    model = network(images.shape[-1], int(labels.max()) + 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def half():
        return torch.autocast("cpu", torch.bfloat16) if asked.precision == "bfloat16" else contextlib.nullcontext()

    trained, epoch_started = 0.0, started
    for epoch in range(1, asked.epochs + 1):
        model.train()
        for batch, targets in loader:
            with half():
                loss = functional.cross_entropy(model(batch), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        last = time.perf_counter() - epoch_started
        trained += last
        testing = time.perf_counter()
        row = {"seconds": trained, "images": epoch * len(loader) * asked.batch, "accuracy": accuracy(model, validation, half)}
        print(json.dumps({**row, "validation_seconds": time.perf_counter() - testing}), flush=True)
        if trained + last > asked.seconds:
            break
        if trained + last > asked.seconds * 2 / 3:
            optimizer.param_groups[0]["lr"] = 1e-4
        epoch_started = time.perf_counter()
    print(json.dumps({"versions": {"torch": torch.__version__, "python": sys.version.split()[0]}}), flush=True)


if __name__ == "__main__":
    main(arguments())
