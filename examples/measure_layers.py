"""How much do the layers of a model know about the labels? Nothing is trained."""

import torch
from torch import nn

import infopace


def main() -> infopace.Measurement:
    torch.manual_seed(0)
    labels = torch.arange(4).repeat(150)
    inputs = torch.randn(600, 2) + 3.0 * torch.stack([labels % 2, labels // 2], dim=1)
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 4))

    # By neighbours: the untrained output predicts nothing yet, but it holds information as the layers do.
    measurement = infopace.Probe(inputs, labels).measure(model, layers="all", signal="neighbours")
    print(f"there are {measurement.reference:.2f} nats to know")
    for name, layer in measurement.layers.items():
        low, high = layer.estimate.interval
        print(f"{name}: {layer.estimate.nats:.2f} nats ({low:.2f} to {high:.2f}) in {layer.width} units")

    # The same estimator works on any samples, without a model.
    estimate = infopace.mutual_information(inputs, labels)
    low, high = estimate.interval
    print(f"the inputs: {estimate.nats:.2f} nats ({low:.2f} to {high:.2f})")
    return measurement


if __name__ == "__main__":
    main()
