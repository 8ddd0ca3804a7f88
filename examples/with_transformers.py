"""Transformers: a small language model learns to count, and infopace finds and sets the learning rate."""

import tempfile

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

import infopace
from infopace.integrations.transformers import pace

LENGTH = 16


def make_data(n: int) -> list[dict[str, torch.Tensor]]:
    """Sequences that count up in steps of 1, 2 or 3, modulo 32."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(32, (n, 1), generator=generator)
    step = torch.randint(1, 4, (n, 1), generator=generator)
    tokens = (first + step * torch.arange(LENGTH)) % 32
    return [{"input_ids": row, "labels": row} for row in tokens]


def main() -> infopace.MutualInformationLR:
    torch.manual_seed(0)
    data = make_data(600)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=32, n_positions=LENGTH, n_embd=32, n_layer=1, n_head=2))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            num_train_epochs=6,
            per_device_train_batch_size=20,
            logging_steps=20,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        )
        trainer = Trainer(model, arguments, train_dataset=data)  # pyright: ignore[reportArgumentType]
        pace(trainer, infopace.Probe.sample(data, n=100), every=20)
        trainer.train()

    scheduler = trainer.lr_scheduler
    assert isinstance(scheduler, infopace.MutualInformationLR)
    print(scheduler.explain())
    return scheduler


if __name__ == "__main__":
    main()
