"""Model S (recipe `model_s` of rung) as it is written in a notebook with Keras on TensorFlow: augmentation layers, L2, dropout, Adam.

Needs, in an environment of its own: tensorflow>=2.16

    python keras_model_s.py --data FILE.npz --seconds 60 --epochs 30 --seed 0 --threads 2 [--batch 64] [--precision bfloat16]

What a peer reads and prints is told in docs/bench.md.
`--segments` is for benchmarks/throughput.py: it trains for as many seconds as each line of the input says, and prints what was done.
"""

import argparse
import json
import os
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--segments", action="store_true")
    return parser.parse_args()


def model_s(shape, classes):
    """Three blocks of two convolutions; 815,914 parameters for ten classes of 32 x 32 pixels."""
    kernels, dense = keras.regularizers.L2(1e-5), keras.regularizers.L2(1e-4)
    model = keras.Sequential([keras.Input(shape), layers.Rescaling(1 / 255)])
    model.add(layers.RandomFlip("horizontal"))
    model.add(layers.RandomRotation(0.05))
    model.add(layers.RandomZoom(0.05))
    model.add(layers.RandomContrast(0.05))
    model.add(layers.RandomBrightness(0.05, value_range=(0, 1)))
    for filters in (32, 64, 128):
        for _ in range(2):
            model.add(layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_regularizer=kernels))
            model.add(layers.BatchNormalization())
        model.add(layers.MaxPooling2D(2))
    model.add(layers.Flatten())
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(256, activation="relu", kernel_regularizer=dense))
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(classes, activation="softmax", kernel_regularizer=dense, dtype="float32"))
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Epochs(keras.callbacks.Callback):
    """Prints a line an epoch, and stops before an epoch that would end after the seconds asked for."""

    def __init__(self, started, seconds, images):
        super().__init__()
        self.seconds, self.images = seconds, images
        self.epoch_started, self.trained = started, 0.0  # what is built before the first epoch is charged to it

    def on_test_begin(self, logs=None):
        self.testing_started = time.perf_counter()
        self.last = self.testing_started - self.epoch_started
        self.trained += self.last

    def on_test_end(self, logs=None):
        self.tested = time.perf_counter() - self.testing_started

    def on_epoch_end(self, epoch, logs=None):
        row = {"seconds": self.trained, "images": (epoch + 1) * self.images, "accuracy": float(logs["val_accuracy"]), "validation_seconds": self.tested}
        print(json.dumps(row), flush=True)
        if self.trained + self.last > self.seconds:
            self.model.stop_training = True
        self.epoch_started = time.perf_counter()


class Segments(keras.callbacks.Callback):
    """Lets training go on for the seconds that a line of the input says, again and again; it ends with the input."""

    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def on_train_begin(self, logs=None):
        self.wait()

    def on_train_batch_end(self, step, logs=None):
        self.images += self.batch
        if time.perf_counter() >= self.until:
            print(json.dumps({"images": self.images, "seconds": time.perf_counter() - self.begun}), flush=True)
            self.wait()

    def wait(self):
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        self.begun, self.images = time.perf_counter(), 0
        self.until = self.begun + float(line)


def main(asked):
    tf.config.threading.set_intra_op_parallelism_threads(asked.threads)
    tf.config.threading.set_inter_op_parallelism_threads(asked.threads)
    keras.utils.set_random_seed(asked.seed)
    if asked.precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    data = np.load(asked.data)
    images, labels = data["x_train"], data["y_train"]
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__, "numpy": np.__version__, "python": sys.version.split()[0]}
    started = time.perf_counter()
    model = model_s(images.shape[1:], int(labels.max()) + 1)
    if asked.segments:
        print(json.dumps({"versions": versions, "parameters": model.count_params()}), flush=True)
        model.fit(images, labels, batch_size=asked.batch, epochs=1_000_000, verbose=0, callbacks=[Segments(asked.batch)])
    plateau = keras.callbacks.ReduceLROnPlateau(factor=0.1, patience=3)
    stopping = keras.callbacks.EarlyStopping(patience=6)
    model.fit(
        images,
        labels,
        batch_size=asked.batch,
        epochs=asked.epochs,
        validation_data=(data["x_test"], data["y_test"]),
        verbose=0,
        callbacks=[plateau, stopping, Epochs(started, asked.seconds, len(images))],
    )
    print(json.dumps({"versions": versions, "parameters": model.count_params()}), flush=True)


if __name__ == "__main__":
    main(arguments())
