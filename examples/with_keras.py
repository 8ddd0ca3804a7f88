"""Keras 3 on torch: one callback finds and sets the learning rate, and ends the run."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
from sklearn.datasets import load_digits

import infopace
from infopace.integrations.keras import MutualInformationCallback


def main() -> float:
    keras.utils.set_random_seed(0)
    pixels, labels = load_digits(return_X_y=True)
    pixels = (pixels / 16).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adamw", loss, metrics=["accuracy"])

    paced = MutualInformationCallback(infopace.Probe.sample((pixels[:1400], labels[:1400]), n=500))
    history = model.fit(
        pixels[:1400],
        labels[:1400],
        validation_data=(pixels[1400:], labels[1400:]),
        epochs=10,
        callbacks=[paced],
    )

    accuracy = history.history["val_accuracy"][-1]
    if paced.scheduler is not None:
        print(paced.scheduler.explain())
    print(f"validation accuracy {accuracy:.1%}")
    return accuracy


if __name__ == "__main__":
    main()
