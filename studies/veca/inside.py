"""One run on digits with wrong labels, seen from inside: rows in results/inside.jsonl, picture in docs/images."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from infopace import Probe
from infopace.diagnostics import ActivationSpread, Diagnostics, InformationPlane, plot_rows, read_rows
from infopace.lab.environment import set_determinism
from studies.shared.page import ROOT
from studies.shared.rows import RESULTS
from studies.veca.run import LABELS, MOMENTUM, RATE, TASKS, examples_of, model_of, tested

SEED, EVERY, EXAMPLES, NOISE = 0, 6, 1_000, 2.0
ROWS = RESULTS / "inside.jsonl"


def main() -> None:
    """Record the run if there are no rows, and draw it."""
    if not ROWS.exists():
        record()
    plot_rows(read_rows(ROWS)).savefig(ROOT / "docs" / "images" / "inside.png", dpi=100)


def record() -> None:
    """Train as `studies.veca.run` does, without weight decay, and record every sixth epoch."""
    set_determinism(1, torch.device("cpu"))
    task = TASKS["digits"]
    train, held_out, test = examples_of(task, LABELS["wrong"], SEED)
    model, draws = model_of(task, SEED), torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=MOMENTUM)
    probe = Probe.sample((train.inputs, train.labels), EXAMPLES)
    diagnostics = Diagnostics(
        model,
        InformationPlane(probe, NOISE),
        last_hidden_layer=ActivationSpread(probe),
        loss=lambda model: {
            "test, right labels": tested(model, test)["test_loss"],
            "held out, some wrong": tested(model, held_out)["test_loss"],
            "training, some wrong": tested(model, train)["test_loss"],
        },
    )
    diagnostics.record(0)
    for epoch in range(1, task.epochs + 1):
        for batch in torch.randperm(len(train.labels), generator=draws).split(task.batch_size):
            optimizer.zero_grad()
            cross_entropy(model(train.inputs[batch]), train.labels[batch]).backward()
            optimizer.step()
        if epoch % EVERY == 0:
            diagnostics.record(epoch)
    diagnostics.save(ROWS)


if __name__ == "__main__":
    main()
