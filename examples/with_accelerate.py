"""Accelerate: a loop under an Accelerator whose learning rate infopace finds and sets."""

import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import infopace
from infopace.integrations import readings
from infopace.integrations.accelerate import pace

EPOCHS = 10


def main() -> float:
    torch.manual_seed(0)
    pixels, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.from_numpy(pixels / 16).float(), torch.from_numpy(labels))
    train, validation = torch.utils.data.random_split(data, [1400, 397])
    model = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10))

    accelerator = Accelerator(cpu=True)
    model, optimizer, loader = accelerator.prepare(
        model, torch.optim.AdamW(model.parameters()), DataLoader(train, batch_size=32, shuffle=True)
    )
    probe = infopace.Probe.sample(train, n=500)
    scheduler = pace(accelerator, model, optimizer, loader, probe, epochs=EPOCHS)

    for epoch in range(EPOCHS):
        for inputs, targets in loader:
            accelerator.backward(nn.functional.cross_entropy(model(inputs), targets))
            optimizer.step()
            optimizer.zero_grad()
        scheduler.observe()
        scheduler.step()
        accelerator.log(readings(scheduler), step=epoch)
        if scheduler.finished:
            break

    model.eval()
    inputs, targets = validation[:]
    with torch.no_grad():
        accuracy = (model(inputs).argmax(1) == targets).float().mean().item()
    accelerator.print(scheduler.explain())
    accelerator.print(f"validation accuracy {accuracy:.1%}")
    return accuracy


if __name__ == "__main__":
    main()
