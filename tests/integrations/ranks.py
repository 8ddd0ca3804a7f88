"""What each of two processes does under a framework, for test_several_processes."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from infopace import MutualInformationLR

from .plain import BATCH, EPOCHS, digits, sgd, small_net, small_probe


def _report(scheduler: MutualInformationLR, model: nn.Module) -> dict[str, Any]:
    assert dist.get_world_size() == 2
    return {
        "rates": [[one.lr for one in decisions] for decisions in scheduler.decisions],
        "information": scheduler.history["output"],
        "last": scheduler.get_last_lr(),
        "found": scheduler.found,
        "finding": scheduler.finding,
        "weights": [float(weight.double().norm()) for weight in model.parameters()],
    }


def lightning(folder: str) -> dict[str, Any]:
    import lightning as framework

    from infopace.integrations.lightning import MutualInformationCallback

    class Module(framework.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = small_net(norm=True)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.net(inputs)

        def training_step(self, batch: Any, number: int) -> Tensor:
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return sgd(self.net)

    module, callback = Module(), MutualInformationCallback(small_probe())
    trainer = framework.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        devices=2,
        strategy="ddp",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        default_root_dir=folder,
        callbacks=[callback],
    )
    trainer.fit(module, DataLoader(TensorDataset(*digits()), batch_size=BATCH // 2))
    assert callback.scheduler is not None
    return _report(callback.scheduler, module)


def transformers(folder: str) -> dict[str, Any]:
    from transformers import Trainer, TrainingArguments

    from infopace.integrations.transformers import pace

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = small_net(norm=True)

        def forward(self, pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
            logits = self.net(pixels)
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    items: Any = [{"pixels": pixels, "labels": label} for pixels, label in zip(*digits(), strict=True)]
    model = Net()
    arguments = TrainingArguments(
        folder,
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=BATCH // 2,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
    )
    trainer = Trainer(model, arguments, train_dataset=items)
    from infopace import Probe

    pixels, labels = digits()
    pace(trainer, Probe({"pixels": pixels, "labels": labels}, labels), every=5)
    trainer.train()
    scheduler = trainer.lr_scheduler
    assert isinstance(scheduler, MutualInformationLR)
    return _report(scheduler, model)


def accelerate(folder: str) -> dict[str, Any]:
    from accelerate import Accelerator

    from infopace.integrations.accelerate import pace

    accelerator = Accelerator(cpu=True)
    net = small_net(norm=True)
    loader = DataLoader(TensorDataset(*digits()), batch_size=BATCH // 2)
    model, optimizer, loader = accelerator.prepare(net, sgd(net), loader)
    scheduler = pace(accelerator, model, optimizer, loader, small_probe(), epochs=EPOCHS)
    for _ in range(EPOCHS):
        for inputs, labels in loader:
            accelerator.backward(nn.functional.cross_entropy(model(inputs), labels))
            optimizer.step()
            optimizer.zero_grad()
        scheduler.observe()
        scheduler.step()
    accelerator.save_state(folder + "/state")
    accelerator.load_state(folder + "/state")
    torch.distributed.barrier()
    return _report(scheduler, model)
