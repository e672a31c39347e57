"""What Keras computes, written to reference.json beside this file: the tests beside it have no Keras.

By hand, where tensorflow is installed: python tests/against_keras/make_reference.py
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

OPTIMIZERS = ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "AdamW", "Adamax", "Nadam")
LOSSES = {
    "cross_entropy": "categorical_crossentropy",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
    "hinge": "hinge",
    "kl": "kl_divergence",
}
INITIALISERS = {
    "glorot_uniform": "GlorotUniform",
    "glorot_normal": "GlorotNormal",
    "he_uniform": "HeUniform",
    "he_normal": "HeNormal",
    "lecun_normal": "LecunNormal",
    "normal": "RandomNormal",
    "uniform": "RandomUniform",
}


def numbers(values: Any) -> Any:
    """Return nested lists with the digits that float32 holds."""
    return [numbers(v) for v in values] if np.ndim(values) else float(f"{float(values):.9g}")


def optimizers() -> dict[str, Any]:
    """Weights (6,) after each of 5 steps at default settings, for gradients near 1 and near 0.01."""
    generator = np.random.default_rng(0)
    start, gradients = generator.normal(size=6).astype("float32"), generator.normal(size=(5, 6)).astype("float32")
    weights: dict[str, Any] = {}
    for scale in (1.0, 0.01):
        for name in OPTIMIZERS:
            variable, optimizer = keras.Variable(start), getattr(keras.optimizers, name)()
            after = []
            for gradient in gradients:
                optimizer.apply([tf.constant(gradient * np.float32(scale))], [variable])
                after.append(numbers(variable.numpy()))
            weights[f"{name.lower()} {scale}"] = after
    return {"start": numbers(start), "gradients": numbers(gradients), "weights": weights}


def losses() -> dict[str, Any]:
    """Loss of each image and gradient of their mean by the logits (7,5), for one-hot labels."""
    generator = np.random.default_rng(1)
    logits, labels = (3 * generator.normal(size=(7, 5))).astype("float32"), np.array([0, 1, 2, 3, 4, 4, 0])
    found = {}
    for name, keras_name in LOSSES.items():
        variable = tf.Variable(logits)
        with tf.GradientTape() as tape:
            values = getattr(keras.losses, keras_name)(tf.one_hot(labels, 5), tf.nn.softmax(variable))
            mean = tf.reduce_mean(values)
        found[name] = {"values": numbers(values.numpy()), "gradient": numbers(tape.gradient(mean, variable).numpy())}
    return {"logits": numbers(logits), "labels": labels.tolist(), "losses": found}


def batch_norm() -> dict[str, Any]:
    """Moving mean and variance after 3 batches in training mode: dense (16,4) and of maps (16,5,5,4); and the answer to the first in evaluation mode."""
    found = {}
    for name, shape in {"dense": (3, 16, 4), "maps": (3, 16, 5, 5, 4)}.items():
        batches = (2 * np.random.default_rng(2).normal(size=shape) + 1).astype("float32")
        layer = keras.layers.BatchNormalization()
        for batch in batches:
            layer(batch, training=True)
        answer = layer(batches[0], training=False).numpy().reshape(-1, 4)[:2]
        found[name] = {"mean": numbers(layer.moving_mean.numpy()), "variance": numbers(layer.moving_variance.numpy()), "answer": numbers(answer)}
    return found


def initialisers() -> dict[str, Any]:
    """Highest value and standard deviation of kernels: a convolution 3 x 3 from 64 to 128, and dense from 500 to 400."""
    found: dict[str, Any] = {}
    for name, keras_name in INITIALISERS.items():
        for kind, shape in {"convolution": (3, 3, 64, 128), "dense": (500, 400)}.items():
            values = np.asarray(getattr(keras.initializers, keras_name)(seed=0)(shape))
            found.setdefault(name, {})[kind] = {"highest": numbers(np.abs(values).max()), "deviation": numbers(values.std())}
    return found


class Stub:
    """As much of a model as the callbacks look at."""

    def __init__(self) -> None:
        self.optimizer = keras.optimizers.SGD(0.001)
        self.stop_training = False
        self.weights = 0

    def get_weights(self) -> int:
        return self.weights

    def set_weights(self, weights: int) -> None:
        self.weights = weights


def callbacks() -> list[dict[str, Any]]:
    """Learning rate after each epoch, the epoch that stops, and that of the weights which are left, from 1, for given values of the monitor."""
    found = []
    for seed, mode, settings in (
        (0, "min", {"factor": 0.1, "patience": 3, "min_lr": 0.0, "stop": 6}),
        (1, "min", {"factor": 0.2, "patience": 3, "min_lr": 1e-4, "stop": 5}),
        (2, "max", {"factor": 0.5, "patience": 2, "min_lr": 0.0, "stop": 8}),
        (3, "min", {"factor": 0.5, "patience": 1, "min_lr": 1e-5, "stop": 30}),
    ):
        generator = np.random.default_rng(seed)
        falling = 2 * np.exp(-np.arange(30) / 6) + 0.5 + 0.05 * generator.normal(size=30)
        values = [float(v) for v in np.round(falling if mode == "min" else 1 / falling, 3)]
        model = Stub()
        plateau = keras.callbacks.ReduceLROnPlateau(monitor="m", mode=mode, **{k: v for k, v in settings.items() if k != "stop"})
        early = keras.callbacks.EarlyStopping(monitor="m", mode=mode, patience=settings["stop"], restore_best_weights=True)
        for callback in (plateau, early):
            callback.set_model(model)
            callback.on_train_begin()
        rates = []
        for epoch, value in enumerate(values):
            model.weights = epoch + 1
            plateau.on_epoch_end(epoch, {"m": value})
            rates.append(numbers(model.optimizer.learning_rate.numpy()))
            early.on_epoch_end(epoch, {"m": value})
            if model.stop_training:
                break
        early.on_train_end()
        stopped = early.stopped_epoch + 1 if model.stop_training else None
        found.append({"mode": mode, **settings, "values": values, "rates": rates, "stopped": stopped, "weights_left": model.weights})
    return found


def augmentation() -> dict[str, Any]:
    """One image (1,6,6,2) in 0..1 after each change, by an amount that is not left to chance."""
    layers, images = keras.layers, np.random.default_rng(4).random((1, 6, 6, 2)).astype("float32")
    changes = {
        "rotation 18 reflect": layers.RandomRotation((0.05, 0.05)),
        "rotation -72 edge": layers.RandomRotation((-0.2, -0.2), fill_mode="nearest"),
        "rotation 18 zero": layers.RandomRotation((0.05, 0.05), fill_mode="constant"),
        "zoom 0.2 reflect": layers.RandomZoom((0.2, 0.2)),
        "zoom -0.2 reflect": layers.RandomZoom((-0.2, -0.2)),
        "shift 0.3 reflect": layers.RandomTranslation((0.3, 0.3), (0.3, 0.3)),
        "shift -0.3 edge": layers.RandomTranslation((-0.3, -0.3), (-0.3, -0.3), fill_mode="nearest"),
        "brightness 0.2 reflect": layers.RandomBrightness((0.2, 0.2), value_range=(0, 1)),
    }
    found = {name: numbers(np.asarray(layer(images, training=True))) for name, layer in changes.items()}
    contrast = layers.RandomContrast(0.5, value_range=(0, 1))
    found["contrast 0.3 reflect"] = numbers(np.asarray(contrast.transform_images(tf.constant(images), {"contrast_factor": 1.3})))
    return found


TRAININGS: dict[str, dict[str, Any]] = {
    "same, relu, adam": {"padding": "same", "activation": "relu", "optimizer": "Adam", "clipvalue": None},
    "valid, tanh, sgd, clipped": {"padding": "valid", "activation": "tanh", "optimizer": "SGD", "clipvalue": 0.05},
}


def trainings() -> dict[str, Any]:
    """Five steps of a whole network with L2: loss of each (with the penalty), then loss, accuracy and probabilities on other images in evaluation mode.

    Weights and images are drawn as the test draws them: in order of the layers, kernels in Keras' shapes.
    """
    found = {}
    for name, how in TRAININGS.items():
        generator = np.random.default_rng(3)
        l2 = keras.regularizers.L2
        layers: list[Any] = [keras.Input((11, 11, 2))]
        for filters in (3, 4):
            layers.append(keras.layers.Conv2D(filters, 3, padding=how["padding"], activation=how["activation"], kernel_regularizer=l2(1e-2)))
            layers += [keras.layers.BatchNormalization(), keras.layers.MaxPooling2D()]
        layers += [keras.layers.Flatten(), keras.layers.Dense(5, "relu", kernel_regularizer=l2(3e-2)), keras.layers.Dense(3, "softmax")]
        model = keras.Sequential(layers)
        for layer in model.layers:
            if hasattr(layer, "kernel"):
                layer.kernel.assign(0.4 * generator.normal(size=layer.kernel.shape))
        images, others = (generator.random(size=(8, 11, 11, 2)).astype("float32") for _ in range(2))
        labels = np.array([0, 1, 2, 0, 1, 2, 0, 1])
        optimizer = getattr(keras.optimizers, how["optimizer"])(clipvalue=how["clipvalue"])
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        steps = []
        for _ in range(5):
            model.reset_metrics()
            steps.append(numbers(model.train_on_batch(images, labels)[0]))
        loss, accuracy = model.evaluate(others, labels, verbose=0)
        answers = numbers(model.predict(others, verbose=0))
        found[name] = {**how, "steps": steps, "loss": numbers(loss), "accuracy": numbers(accuracy), "answers": answers}
    return found


def main() -> None:
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    whole = {
        "source": {"keras": keras.__version__, "tensorflow": tf.__version__, "numpy": np.__version__, "python": sys.version.split()[0]},
        "optimizers": optimizers(),
        "losses": losses(),
        "batch_norm": batch_norm(),
        "initialisers": initialisers(),
        "callbacks": callbacks(),
        "augmentation": augmentation(),
        "trainings": trainings(),
    }
    text = json.dumps(whole, indent=1)
    Path(__file__).with_name("reference.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
