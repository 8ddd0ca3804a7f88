"""A plain training loop whose learning rate is paced by the information in the network's outputs."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import infopace

EPOCHS = 20


def make_data(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """8x8 pictures of ten fixed patterns under noise, with their labels."""
    patterns = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (n,), generator=generator)
    return patterns[labels] + 0.5 * torch.randn(n, 1, 8, 8, generator=generator), labels


def main() -> float:
    torch.manual_seed(0)
    inputs, labels = make_data(2000, seed=1)
    test_inputs, test_labels = make_data(1000, seed=2)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=True)
    scheduler = infopace.MutualInformationLR(
        optimizer,
        model,
        infopace.Probe.sample((inputs, labels), n=500),
        policy=infopace.HoldAndDecay(EPOCHS),
        steps_per_epoch=len(inputs) // 100,
    )

    for _ in range(EPOCHS):
        for batch in torch.randperm(len(inputs)).split(100):
            optimizer.zero_grad()
            cross_entropy(model(inputs[batch]), labels[batch]).backward()
            optimizer.step()
        scheduler.observe()
        scheduler.step()
        if scheduler.finished:
            break

    with torch.no_grad():
        accuracy = (model(test_inputs).argmax(1) == test_labels).float().mean().item()
    print(scheduler.explain())
    print(f"test accuracy {accuracy:.1%}")
    return accuracy


if __name__ == "__main__":
    main()
