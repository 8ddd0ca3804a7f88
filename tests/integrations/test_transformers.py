"""Transformers: the run of a Trainer is that of the plain loop; checkpoints, logs and stopping are the Trainer's."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainingArguments

from infopace import HoldAndDecay, MutualInformationLR, Probe
from infopace.integrations.transformers import pace

from ..small_run import same
from .plain import BATCH, EPOCHS, STEPS, digits, sgd, small_net

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch.optim", "ignore:.*pin_memory.*")


class Net(nn.Module):
    """A network with the interface that a Trainer needs."""

    def __init__(self) -> None:
        super().__init__()
        self.net = small_net()

    def forward(self, pixels: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        logits = self.net(pixels)
        found = {"logits": logits}
        return found if labels is None else {"loss": nn.functional.cross_entropy(logits, labels), **found}


def items() -> list[dict[str, Any]]:
    return [
        {"pixels": pixels, "labels": label, "number": number}
        for number, (pixels, label) in enumerate(zip(*digits(), strict=True))
    ]


def probe() -> Probe:
    return Probe.sample([{"pixels": item["pixels"], "labels": int(item["labels"])} for item in items()], 200)


class Train:
    """A run in a Trainer, with the batches that it has trained on."""

    def __init__(self, folder: Path, *, model: nn.Module | None = None, **settings: Any) -> None:
        options = settings.pop("options", {"every": 5})
        self.batches: list[list[int]] = []
        usual: dict[str, Any] = {
            "num_train_epochs": EPOCHS,
            "max_grad_norm": 0.0,
            "save_strategy": "no",
            "logging_steps": 5,
        }
        usual["disable_tqdm"] = True
        self.model = Net() if model is None else model
        self.trainer = Trainer(
            self.model,
            TrainingArguments(
                str(folder),
                per_device_train_batch_size=settings.pop("batch", BATCH),
                use_cpu=True,
                report_to="none",
                remove_unused_columns=False,
                **{**usual, **settings},
            ),
            train_dataset=items(),  # pyright: ignore[reportArgumentType]
            data_collator=self.collate,
            optimizers=(sgd(self.model), None) if model is None else (None, None),
        )
        pace(self.trainer, probe(), **options)

    def collate(self, batch: list[dict[str, Any]]) -> dict[str, Tensor]:
        self.batches.append([item["number"] for item in batch])
        return {name: torch.stack([item[name] for item in batch]) for name in ("pixels", "labels")}

    def train(self, resume: str | None = None) -> Train:
        self.trainer.train(resume_from_checkpoint=resume)
        return self

    @property
    def scheduler(self) -> MutualInformationLR:
        scheduler = self.trainer.lr_scheduler
        assert isinstance(scheduler, MutualInformationLR)
        return scheduler


class Plain:
    """The plain loop on given batches."""

    def __init__(
        self, batches: list[list[int]], accumulate: int = 1, clip: float | None = None, **options: Any
    ) -> None:
        self.model = Net()
        optimizer = sgd(self.model)
        steps = len(batches) // accumulate
        options = {"policy": HoldAndDecay(steps=steps), "every": 5, **options}
        self.scheduler = MutualInformationLR(optimizer, self.model, probe(), **options)
        pixels, labels = digits()
        for number, batch in enumerate(batches, 1):
            (self.model(pixels[batch], labels[batch])["loss"] / accumulate).backward()
            if number % accumulate == 0:
                if clip is not None:
                    nn.utils.clip_grad_norm_(self.model.parameters(), clip)
                optimizer.step()
                optimizer.zero_grad()


def assert_alike(run: Train, plain: Plain) -> None:
    assert run.scheduler.explain() == plain.scheduler.explain()
    assert run.scheduler.history == plain.scheduler.history
    assert run.scheduler.decisions == plain.scheduler.decisions
    assert same(run.model.state_dict(), plain.model.state_dict())


def test_steps_are_those_of_the_plain_loop(tmp_path: Path) -> None:
    run = Train(tmp_path).train()
    assert len(run.batches) == EPOCHS * STEPS
    assert_alike(run, Plain(run.batches))


@pytest.mark.slow
def test_a_number_of_steps_is_the_plan(tmp_path: Path) -> None:
    run = Train(tmp_path, max_steps=100).train()
    assert len(run.batches) == 100
    assert_alike(run, Plain(run.batches))
    assert run.scheduler.finished


def test_accumulated_and_clipped_gradients(tmp_path: Path) -> None:
    run = Train(tmp_path, batch=BATCH // 2, gradient_accumulation_steps=2, max_grad_norm=0.5).train()
    assert_alike(run, Plain(run.batches, accumulate=2, clip=0.5))


@pytest.mark.slow
def test_mixed_precision(tmp_path: Path) -> None:
    assert Train(tmp_path, bf16=True).train().scheduler.history["output"][-1] > 0.9


@pytest.mark.parametrize(
    "after", [pytest.param(30, marks=pytest.mark.slow), 46, pytest.param(5, marks=pytest.mark.slow)]
)
def test_a_checkpoint_resumes_with_the_same_numbers(tmp_path: Path, after: int) -> None:
    """At the end of an epoch, in the middle of one, and in the middle of a trial."""
    whole = Train(tmp_path, save_strategy="steps", save_steps=after).train()
    again = Train(tmp_path / "again").train(resume=str(tmp_path / f"checkpoint-{after}"))
    assert same(again.scheduler.state_dict(), whole.scheduler.state_dict())
    assert same(again.model.state_dict(), whole.model.state_dict())


def test_logs_hold_information_and_the_learning_rate(tmp_path: Path) -> None:
    run = Train(tmp_path).train()
    logs = [one for one in run.trainer.state.log_history if "learning_rate" in one]
    assert len(logs) == EPOCHS * STEPS / 5
    assert logs[-1]["information"] == run.scheduler.measurement.output.estimate.nats  # pyright: ignore[reportOptionalMemberAccess]
    decay = [one["learning_rate"] for one in logs if one["step"] > EPOCHS * STEPS / 2]
    assert decay == sorted(decay, reverse=True) and decay[-1] < 0.05 * decay[0]


def test_the_progress_bar_shows_information_and_the_learning_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Train(tmp_path, max_steps=20, disable_tqdm=False).train()
    bar = capsys.readouterr().err.strip().splitlines()[-1]
    history = run.scheduler.measurement.output.estimate.nats  # pyright: ignore[reportOptionalMemberAccess]
    assert f"information={history:.3g}, learning_rate=" in bar


@pytest.mark.slow
def test_it_ends_where_the_rule_says_so(tmp_path: Path) -> None:
    run = Train(tmp_path, num_train_epochs=300, options={"every": 5, "policy": HoldAndDecay()}).train()
    assert run.scheduler.finished
    assert run.trainer.state.global_step < 300 * STEPS


def test_another_scheduler_is_refused(tmp_path: Path) -> None:
    run = Train(tmp_path)
    optimizer = sgd(run.model)
    run.trainer.lr_scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    with pytest.raises(ValueError, match="must be given no scheduler beside infopace's, got StepLR"):
        pace(run.trainer, probe())


class OutOfMemory(TrainerCallback):
    """An error of a batch that is too large, after so many steps."""

    def __init__(self, after: int) -> None:
        self.after: int | None = after

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.after:
            self.after = None
            raise RuntimeError("CUDA out of memory.")


@pytest.mark.parametrize("after", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_a_run_that_begins_anew_with_a_smaller_batch_begins_with_the_first_weights(
    tmp_path: Path, after: int
) -> None:
    run = Train(tmp_path, max_steps=100, auto_find_batch_size=True)
    run.trainer.add_callback(OutOfMemory(after))
    run.train()
    smaller = int(0.9 * BATCH)
    seen = next(number for number, batch in enumerate(run.batches) if len(batch) == smaller)
    assert_alike(run, Plain(run.batches[seen : seen + 100]))  # one more was fetched


def test_a_second_call_of_train_is_a_run_of_its_own(tmp_path: Path) -> None:
    run = Train(tmp_path, max_steps=100).train()
    first, best = run.scheduler, run.scheduler.history["output"][-1]
    run.train()
    assert run.scheduler is not first and run.scheduler.finished
    assert "nats at 0.1," in run.scheduler.found[0]  # where the trials of the first run began
    assert run.scheduler.history["output"][0] > best - 0.2


def test_an_interrupted_trial_is_put_back_by_the_next_call_of_train(tmp_path: Path) -> None:
    run = Train(tmp_path, max_steps=100)
    interrupt = OutOfMemory(7)
    run.trainer.add_callback(interrupt)
    with pytest.raises(RuntimeError, match="out of memory"):
        run.train()
    done = len(run.batches)
    run.train()
    assert_alike(run, Plain(run.batches[done:]))


def lora() -> Any:
    torch.manual_seed(0)
    return peft.get_peft_model(Net(), peft.LoraConfig(target_modules=["net.0", "net.2"], r=4))


def test_adapters_are_paced(tmp_path: Path) -> None:
    run = Train(tmp_path, model=lora(), learning_rate=0.01).train()
    first, *_, last = run.scheduler.history["output"]
    assert last > first + 0.1


@pytest.mark.slow
def test_the_merged_model_may_be_measured(tmp_path: Path) -> None:
    model = lora()
    merged = {"every": 5, "measured": lambda: copy.deepcopy(model).merge_and_unload()}
    run = Train(tmp_path / "merged", model=model, options=merged).train()
    usual = Train(tmp_path / "usual", model=lora()).train()
    assert run.scheduler.history["output"] == pytest.approx(usual.scheduler.history["output"], abs=1e-4)
