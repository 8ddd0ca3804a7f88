"""Find the bounds of the learning rate before training, then train between them."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import infopace
from infopace.range_test import Race


def build_model() -> nn.Module:
    """A small perceptron with fresh weights."""
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def main(epochs: int = 5) -> infopace.RangeTest:
    """Test, train, say why the learning rate moved."""
    images, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(labels))
    loader = DataLoader(data, batch_size=32, shuffle=True)
    torch.manual_seed(0)
    model = build_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    probe = infopace.Probe.sample(data)
    found = infopace.find_bounds(
        model,
        optimizer,
        F.cross_entropy,
        loader,
        probe,
        epochs=epochs,
        fresh=build_model,
        # Without a limit the test of so short a run would cost many times as much as the run.
        method=Race(most=1.5),
    )
    print(found)

    # The rule uses the number of epochs, because it is fixed beforehand.
    policy = infopace.HoldAndDecay(epochs)
    scheduler = infopace.MutualInformationLR(optimizer, model, probe, found.bounds, policy)
    for _ in range(epochs):
        model.train()
        for inputs, targets in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
        scheduler.observe()
        scheduler.step()
    print(scheduler.explain())
    return found


if __name__ == "__main__":
    main()
