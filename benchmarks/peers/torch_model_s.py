"""Model S (recipe `model_s` of rung) as it is written in a notebook with plain PyTorch: DataLoader, augmentation image by image, L2 in the loss, Adam.

Needs, in any environment: torch>=2.4, numpy

    python torch_model_s.py --data FILE.npz --seconds 60 --epochs 30 --seed 0 --threads 2 [--batch 64] [--precision bfloat16] [--workers 2]

What a peer reads and prints is told in docs/bench.md.
"""

import argparse
import contextlib
import json
import math
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
    parser.add_argument("--workers", type=int, default=0, help="processes that make batches; 0: the training's own")
    return parser.parse_args()


def between(reach):
    return float(torch.empty(()).uniform_(-reach, reach))


def augmented(image):
    """Mirror, turn by up to 18 degrees, zoom, change contrast and brightness by up to 5 %; float (C,H,W), 0..1."""
    if torch.rand(()) < 0.5:
        image = image.flip(2)
    angle, scale = math.radians(between(18)), 1 + between(0.05)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle), 0.0], [math.sin(angle), math.cos(angle), 0.0]]) * scale
    grid = functional.affine_grid(turn[None], [1, *image.shape], align_corners=False)
    image = functional.grid_sample(image[None], grid, padding_mode="reflection", align_corners=False)[0]
    mean = image.mean(dim=(1, 2), keepdim=True)
    return ((image - mean) * (1 + between(0.05)) + mean + between(0.05)).clamp(0, 1)


class Images(Dataset):
    """Images as float tensors, 0..1."""

    def __init__(self, images, labels, change=None):
        self.images = torch.from_numpy(images).permute(0, 3, 1, 2)
        self.labels = torch.from_numpy(labels.astype(np.int64))
        self.change = change

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, row):
        image = self.images[row].float() / 255
        return self.change(image) if self.change else image, self.labels[row]


def model_s(channels, size, classes):
    """Three blocks of two convolutions; 815,914 parameters and batch norm's means and variances for ten classes of 32 x 32 pixels."""
    layers = []
    for filters in (32, 64, 128):
        for _ in range(2):
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Dropout(0.5), nn.Linear(128 * (size // 8) ** 2, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, classes)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def penalty(model):
    """L2 of the kernels: 1e-5 of convolutions, 1e-4 of dense layers."""
    shares = {nn.Conv2d: 1e-5, nn.Linear: 1e-4}
    return sum(shares[type(layer)] * layer.weight.square().sum() for layer in model if type(layer) in shares)


def scores(model, loader, half):
    """Return accuracy and mean loss, the penalty included."""
    model.eval()
    right, loss = 0, 0.0
    with torch.inference_mode(), half():
        for images, labels in loader:
            answers = model(images).float()
            right += int((answers.argmax(1) == labels).sum())
            loss += float(functional.cross_entropy(answers, labels, reduction="sum"))
        return right / len(loader.dataset), loss / len(loader.dataset) + float(penalty(model))


def main(asked):
    torch.set_num_threads(asked.threads)
    torch.manual_seed(asked.seed)
    data = np.load(asked.data)
    images, labels = data["x_train"], data["y_train"]
    started = time.perf_counter()
    loader = DataLoader(Images(images, labels, augmented), batch_size=asked.batch, shuffle=True, num_workers=asked.workers)
    validation = DataLoader(Images(data["x_test"], data["y_test"]), batch_size=500)
    model = model_s(images.shape[-1], images.shape[1], int(labels.max()) + 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=2)  # 2 allowed: Keras' patience 3

    def half():
        return torch.autocast("cpu", torch.bfloat16) if asked.precision == "bfloat16" else contextlib.nullcontext()

    trained, epoch_started, best, since = 0.0, started, math.inf, 0
    for epoch in range(1, asked.epochs + 1):
        model.train()
        for batch, targets in loader:
            with half():
                loss = functional.cross_entropy(model(batch), targets)
            optimizer.zero_grad()
            (loss + penalty(model)).backward()
            optimizer.step()
        last = time.perf_counter() - epoch_started
        trained += last
        testing = time.perf_counter()
        accuracy, value = scores(model, validation, half)
        row = {"seconds": trained, "images": epoch * len(images), "accuracy": accuracy, "validation_seconds": time.perf_counter() - testing}
        print(json.dumps(row), flush=True)
        plateau.step(value)
        best, since = (value, 0) if value < best else (best, since + 1)
        if trained + last > asked.seconds or since >= 6:
            break
        epoch_started = time.perf_counter()
    print(json.dumps({"versions": {"torch": torch.__version__, "python": sys.version.split()[0]}}), flush=True)


if __name__ == "__main__":
    main(arguments())
