"""Lightning: one callback finds and sets the learning rate, and ends the run."""

import lightning
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import infopace
from infopace.integrations.lightning import MutualInformationCallback


class Classifier(lightning.LightningModule):
    """Its `forward` gives the scores that are measured."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.net(pixels)

    def training_step(self, batch: list[torch.Tensor], number: int) -> torch.Tensor:
        pixels, labels = batch
        return nn.functional.cross_entropy(self(pixels), labels)

    def validation_step(self, batch: list[torch.Tensor], number: int) -> None:
        pixels, labels = batch
        self.log("accuracy", (self(pixels).argmax(1) == labels).float().mean(), prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters())


def main() -> float:
    lightning.seed_everything(0, verbose=False)
    pixels, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.from_numpy(pixels / 16).float(), torch.from_numpy(labels))
    train, validation = torch.utils.data.random_split(data, [1400, 397])

    paced = MutualInformationCallback(infopace.Probe.sample(train, n=500))
    trainer = lightning.Trainer(
        max_epochs=10,
        accelerator="cpu",
        callbacks=[paced],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(
        Classifier(), DataLoader(train, batch_size=32, shuffle=True), DataLoader(validation, batch_size=397)
    )

    accuracy = float(trainer.callback_metrics["accuracy"])
    if paced.scheduler is not None:
        print(paced.scheduler.explain())
    print(f"validation accuracy {accuracy:.1%}")
    return accuracy


if __name__ == "__main__":
    main()
