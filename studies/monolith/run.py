"""A ResNet-8 trained block by block, and end to end; see README.md. Rows: results/monolith.jsonl."""

from __future__ import annotations

import argparse
import dataclasses
import time
from typing import Any

import torch
from torch import nn

from studies.monolith import blocks
from studies.monolith.blocks import Images, Work, accuracy, images, train_paced, train_planned, with_head
from studies.shared.rows import RESULTS, Setting, make_missing, read

NAME = "monolith"
SEEDS = (0, 1, 2)
TUNING_SEED = 1000
RATES = (0.03, 0.1, 0.3)
TUNING_EPOCHS = 20
JOINT_EPOCHS, JOINT_SHARE = 5, 0.1
BY_BLOCKS, RULE, EQUAL_EPOCHS, EQUAL_WORK, TUNING = (
    "block by block",
    "end to end, the rule",
    "end to end, equal epochs",
    "end to end, equal work",
    "tuning",
)
Row = dict[str, Any]


def main() -> None:
    """Make the rows that are missing: the tuning runs, then all four for each seed."""
    parser = argparse.ArgumentParser(description="A network trained block by block")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    make_missing(NAME, [{"way": TUNING, "seed": TUNING_SEED, "lr": lr} for lr in RATES], run)
    for seed in arguments.seeds:
        make_missing(
            NAME,
            [{"way": way, "seed": seed} for way in (BY_BLOCKS, RULE, EQUAL_WORK, EQUAL_EPOCHS)],
            run,
        )


def run(setting: Setting) -> Row:
    """One run: test accuracies (after each stage), epochs, work in epochs end to end, and seconds."""
    torch.manual_seed(setting["seed"])
    parts, data = blocks.blocks(), images()
    started = time.perf_counter()
    if setting["way"] == BY_BLOCKS:
        row = by_blocks(parts, data)
    else:
        model = with_head(*parts)
        with Work(model, data.train[0]) as work:
            row = end_to_end(model, data, setting)
        row = {"test": [accuracy(model, data.test)], **row, "work": work.total}
    of_an_epoch = Work(with_head(*blocks.blocks()), data.train[0]).of_training(len(data.train[1]))
    row["work"] = round(row["work"] / of_an_epoch, 3)
    return {**row, "seconds": round(time.perf_counter() - started, 1)}


def by_blocks(parts: list[nn.Module], data: Images) -> Row:
    """Each block with a proxy until the rule is over, then all together with the last proxy."""
    stages, tests, work, seen = [], [], 0.0, data
    model = nn.Sequential()
    for block in parts:
        # A proxy has the channels of its block.
        model = with_head(block)
        with Work(model, seen.train[0]) as counted:
            stage = train_paced(model, seen)
        tests.append(accuracy(model, seen.test))
        stages.append({**dataclasses.asdict(stage), "work": counted.total})
        work += counted.total
        if block is not parts[-1]:
            kept = Work(block, seen.train[0])
            seen, examples = seen.through(block), len(seen.train[1]) + len(seen.held_out[1])
            work += kept.of_passing(examples)
    whole = nn.Sequential(*parts, *list(model)[1:])
    with Work(whole, data.train[0]) as counted:
        rate = JOINT_SHARE * stages[-1]["rate"]
        train_planned(whole, data, JOINT_EPOCHS, rate, cosine=False)
    epochs = sum(stage["epochs"] for stage in stages) + JOINT_EPOCHS
    tests.append(accuracy(whole, data.test))
    return {"test": tests, "epochs": epochs, "work": work + counted.total, "stages": stages}


def end_to_end(model: nn.Module, data: Images, setting: Setting) -> Row:
    """The whole network at once, in the way of the setting."""
    if setting["way"] == RULE:
        found = train_paced(model, data)
        return {"epochs": found.epochs, "rate": found.rate, "why": found.why, "held_out": found.held_out}
    if setting["way"] == TUNING:
        epochs, lr = TUNING_EPOCHS, setting["lr"]
    else:
        other = made(BY_BLOCKS, setting["seed"])
        epochs = other["epochs"] if setting["way"] == EQUAL_EPOCHS else max(round(other["work"]), 1)
        lr = tuned_rate()
    train_planned(model, data, epochs, lr, cosine=True)
    return {"epochs": epochs, "rate": lr}


def made(way: str, seed: int) -> Row:
    """The row of a run that is there."""
    wanted = {"way": way, "seed": seed}
    return next(row for row in read(RESULTS / f"{NAME}.jsonl") if row["setting"] == wanted)


def tuned_rate() -> float:
    """The rate of the cosine with the best test accuracy; of equal ones the smaller."""
    rows = [row for row in read(RESULTS / f"{NAME}.jsonl") if row["setting"]["way"] == TUNING]
    return max(rows, key=lambda row: (row["test"][-1], -row["setting"]["lr"]))["setting"]["lr"]


if __name__ == "__main__":
    main()
