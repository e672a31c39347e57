"""A whole Keras script; docs/from-keras.md shows the recipe that says the same. Needs tensorflow: python examples/from_keras.py [SEED]"""

import sys

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import classification_report, confusion_matrix
from sklearn.model_selection import train_test_split

keras.utils.set_random_seed(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
digits = load_digits()
x, y = (digits.images / 16).reshape(-1, 8, 8, 1), digits.target
x_rest, x_test, y_rest, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
x_train, x_val, y_train, y_val = train_test_split(x_rest, y_rest, test_size=0.2, stratify=y_rest, random_state=0)

model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.RandomTranslation(0.1, 0.1),
        keras.layers.Conv2D(32, 3, padding="same", activation="relu", kernel_initializer="he_normal"),
        keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(64, 3, padding="same", activation="relu", kernel_initializer="he_normal"),
        keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu", kernel_initializer="he_normal", kernel_regularizer=keras.regularizers.L2(1e-4)),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(10, activation="softmax", kernel_initializer="he_normal"),
    ]
)
model.summary()
model.compile(keras.optimizers.RMSprop(), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(
    x_train,
    y_train,
    batch_size=32,
    epochs=30,
    validation_data=(x_val, y_val),
    callbacks=[
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.2, patience=3),
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=8, restore_best_weights=True),
    ],
    verbose=2,
)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
answers = model.predict(x_test, verbose=0).argmax(axis=1)
print(f"test accuracy {accuracy:.4f}")
print(classification_report(y_test, answers))
print(confusion_matrix(y_test, answers))

# The same parts for rung: rung train parts.npz --recipe from_keras.toml
np.savez("parts.npz", x_train=x_train, y_train=y_train, x_validation=x_val, y_validation=y_val, x_test=x_test, y_test=y_test)
