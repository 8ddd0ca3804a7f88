"""One learning rate a layer, each driven by the information in its own layer's outputs."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import infopace

EPOCHS = 10


def main() -> infopace.MutualInformationLR:
    torch.manual_seed(0)
    inputs = torch.randn(1500, 20)
    # No single input is enough to know the label: it is the quadrant of two sums.
    labels = 2 * (inputs[:, :10].sum(1) > 0).long() + (inputs[:, 10:].sum(1) > 0).long()
    model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 4))

    optimizer = torch.optim.SGD(infopace.layer_groups(model), lr=0.05, momentum=0.9)
    scheduler = infopace.MutualInformationLR(
        optimizer,
        model,
        infopace.Probe.sample((inputs, labels), n=500),
        infopace.Bounds(lr_min=1e-3, lr_max=0.05),
        infopace.Vasudevan2020(EPOCHS),
    )

    for _ in range(EPOCHS):
        for batch in torch.randperm(len(inputs)).split(50):
            optimizer.zero_grad()
            cross_entropy(model(inputs[batch]), labels[batch]).backward()
            optimizer.step()
        scheduler.observe()
        scheduler.step()

    for group, layer in enumerate(scheduler.driving_layers):
        first, *_, last = scheduler.history[layer]
        rates = [decisions[group].lr for decisions in scheduler.decisions[:EPOCHS]]
        print(f"{layer}: {first:.2f} -> {last:.2f} nats, learning rates", *(f"{rate:.4f}" for rate in rates))
    return scheduler


if __name__ == "__main__":
    main()
