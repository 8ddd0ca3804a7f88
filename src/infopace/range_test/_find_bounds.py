"""find_bounds: trials of learning rates before a run -> the bounds of the learning rate."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from infopace._checks import check_choice, check_seed, shown, whole
from infopace.model.layers import check_model, check_parameters, pick_layers
from infopace.model.processes import trained_by
from infopace.probe import Measuring, Probe
from infopace.range_test._algorithm2 import Algorithm2
from infopace.range_test._method import Settings
from infopace.range_test._race import Race
from infopace.range_test._records import ATTRIBUTES, Candidate
from infopace.range_test._restored import restored
from infopace.range_test._result import RangeTest, RangeTestError
from infopace.range_test._trainee import Trainee
from infopace.range_test._trial_files import TrialFolder, read_settings
from infopace.scheduler._several import as_one

Listener = Callable[[int, Candidate], None]
METHODS = (Race, Algorithm2)


def find_bounds(
    model: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer],
    loss: Callable[[Tensor, Tensor], Tensor],
    batches: Any,
    probe: Probe,
    *,
    epochs: int,
    fresh: Callable[[], nn.Module] | None = None,
    method: Race | Algorithm2 | None = None,
    attribute: str = "auto",
    layer_wise: bool = False,
    precision: torch.dtype | None = None,
    scaler: Any = None,
    seed: int = 0,
    folder: str | Path | None = None,
    identity: Mapping[str, Any] | None = None,
    only: Collection[int] | None = None,
    on_candidate: Listener | None = None,
    unpack: Callable[[Any], tuple[Any, Any]] | None = None,
    measuring: Measuring | None = None,
) -> RangeTest:
    """Find the bounds of the learning rate by short trials; puts back everything it touches, bit for bit.

        found = infopace.find_bounds(model, optimizer, F.cross_entropy, loader, probe, epochs=50, fresh=Net)
        scheduler = infopace.MutualInformationLR(optimizer, model, probe, bounds=found.bounds)

    The bounds are those of the parameter group with the largest learning rate. The other groups keep their ratio to it
    in every trial, as they do under `MutualInformationLR`.

    Args:
        model: The model, on its device.
        optimizer: The optimizer of the run, with its momentum and weight decay. Of its learning rates only the ratios
            between parameter groups matter. Or several in a list, such as Muon and AdamW.
        loss: (outputs, targets) -> mean loss, a scalar. The probe's labels come in the shape and the type that the
            batches have. Where the loss is a module, its buffers are put back, too.
        batches: What an epoch trains on: a data loader, or anything with a length whose iteration gives batches. It is
            iterated anew for each candidate. A batch is a pair (inputs, targets). It may be longer: as many inputs as
            the probe has, then the targets; the rest is ignored. It may be a dict: the targets are "labels", "label",
            "targets", "target" or "y", the inputs have the names that the probe's have, or there is only one. Random
            generators that it keeps are put back, but not those of other processes (see docs/how-to/find-bounds.md).
        probe: The examples on which candidates are compared, in evaluation mode.
        epochs: Epochs of the run that the test serves; its cost is measured by that.
        fresh: Builds a new model; each trial takes fresh weights from it. None starts every trial from the weights
            given, for fine-tuning; trials then differ in the order of batches and in dropout.
        method: `Race()`, economical, the default; or `Algorithm2()`, the test of Vasudevan 2020 as printed.
        attribute: "accuracy", "loss" or "information" drives the test; "auto" takes accuracy for labels and
            information for continuous targets.
        layer_wise: Find bounds of each layer as well, by the parameter groups that `layer_groups` makes. Race: each
            layer's rate is raced while the others keep lr_top. Algorithm2: by each layer's own information, which the
            probe must measure.
        precision: Run forward passes under autocast to this type.
        scaler: The run's GradScaler.
        seed: Equal seeds give equal results.
        folder: Keep a file a trial there. A killed test goes on where it was; processes that share the folder share out
            the trials; a finished trial is never run again.
        identity: What the trials depend on and the test has no access to, such as a digest of the data: names to plain
            values. It is kept in the folder, and a folder with another one is refused.
        only: Run these trials only. Where others are still to be run, RangeTestError of kind "unfinished" is raised.
        on_candidate: Called with (trial, candidate) as each is finished.
        unpack: batch -> (inputs, targets), for batches that are none of these.
        measuring: What is measured of the probe, and how. Error bars are always computed. None: the output; for
            Algorithm2 by layer the layers of the parameter groups.

    Returns:
        The bounds, every curve, the spread and the cost.

    Raises:
        TypeError: what is no model, optimizer, probe or method.
        ValueError: a word, a number or an input that does not fit; a batch that is not finite; an optimizer that holds
            parameters which are not the model's, and would not be put back; a model that several processes train.
        RangeTestError: no answer, with the reason: the range is too narrow, every candidate crashes, nothing
            learns, trials disagree, trials are missing.

    Source: Vasudevan, Entropy 2020, 22(5):560, Algorithm 2.
    """
    optimizer = as_one(optimizer)
    method = Race() if method is None else method
    _check_kinds(model, optimizer, probe, method, measuring)
    _check_alone(model)
    _check_makers(loss, fresh, folder)
    check_parameters(optimizer, model)
    attribute = _attribute(attribute, probe)
    epochs, seed = whole("epochs", epochs, 1), check_seed(seed)
    if not (precision is None or isinstance(precision, torch.dtype)):
        raise ValueError(f"precision must be a torch type, such as torch.bfloat16, got {shown(precision)}")
    if not (scaler is None or hasattr(scaler, "state_dict")):
        raise ValueError(f"scaler must be a GradScaler, got {shown(scaler)}")
    if only is not None:
        if isinstance(only, str | bytes) or not isinstance(only, Collection):
            raise ValueError(f"only must be numbers of trials, such as [0, 1], got {shown(only)}")
        only = [whole("only", number) for number in only]
    layers = _layers(optimizer, layer_wise)
    if measuring is None:
        # The methods were made and tested with the neighbour estimate.
        measuring = method.measuring(layers).replace(signal="neighbours" if probe.has_distance else "auto")
    method.check_layers(layers, {*pick_layers(model, measuring.layers), "output"} if layers else ())
    trainee = Trainee(
        model,
        optimizer,
        loss,
        batches,
        probe,
        measuring=measuring,
        fresh=fresh,
        precision=precision,
        scaler=scaler,
        seed=seed,
        attribute=attribute,
        unpack=unpack,
    )
    silent = trainee.silent(layers) if layers else []
    if silent:
        raise ValueError(
            f"layer {silent[0]!r} must run in the forward pass to have bounds of its own, got no output from it; "
            "layer_groups leaves it out where its parameters are frozen"
        )
    settings = Settings(
        method,
        attribute,
        tuple(layers),
        epochs * trainee.steps_per_epoch,
        trainee.momentum,
        trainee.nesterov,
        {
            **(identity or {}),
            "seed": seed,
            "steps_per_epoch": trainee.steps_per_epoch,
            "fresh": fresh is not None,
            "lr_factors": trainee.factors,
            "weight_decay": [float(group.get("weight_decay", 0.0)) for group in optimizer.param_groups],
            "precision": str(precision),
            "loss": getattr(loss, "__qualname__", type(loss).__qualname__),
            "probe_examples": probe.n,
            "probe_targets": _digest(probe.targets),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        },
    )
    count = settings.all_trials
    wrong = [number for number in only or () if not 0 <= number < count]
    if wrong:
        raise ValueError(f"only must hold trials in 0..{count - 1}, got {wrong[0]}")
    with tempfile.TemporaryDirectory() as scratch:
        files = TrialFolder(scratch if folder is None else folder, settings.to_json())
        run = _Runner(trainee, settings, files, on_candidate)
        with restored(model, optimizer, batches, scaler, loss):
            for number in _needed(settings, files) if only is None else sorted(only):
                run.trial(number, wait=only is None)
            # Trials that another process held are finished by now, or its death has freed them. More may be needed.
            while only is None and (missing := _missing(settings, files)):
                run.trial(missing[0], wait=True, patient=True)
        return merge_trials(files.path)


def merge_trials(folder: str | Path) -> RangeTest:
    """The result of the trials in a folder, from their files alone.

    Raises:
        TypeError: what is no path.
        ValueError: no range test is there, or a file that none wrote.
        RangeTestError: trials are missing, or they give no answer.
    """
    _check_path(folder)
    path = Path(folder)
    content = read_settings(path)
    if content is None:
        raise ValueError(f"the folder must hold a range test, got {path} without test.json")
    try:
        settings = Settings.from_json(content, METHODS)
    except ValueError as error:
        raise ValueError(f"{path / 'test.json'} must be the settings of a range test: {error}") from None
    files = TrialFolder(path, content)
    if missing := _missing(settings, files):
        listed = ", ".join(map(str, missing[:8])) + (" .." if len(missing) > 8 else "")
        count = len(_needed(settings, files))
        raise RangeTestError(
            "unfinished", f"{len(missing)} of {count} trials are not finished in {path}: {listed}"
        )
    return settings.method.conclude(settings, files.finished())


def _needed(settings: Settings, files: TrialFolder) -> range:
    """The trials that the result takes, as far as the finished ones can show."""
    return range(settings.method.trials_needed(settings, files.finished()))


def _missing(settings: Settings, files: TrialFolder) -> list[int]:
    finished = files.finished()
    return [number for number in _needed(settings, files) if number not in finished]


class _Runner:
    """Runs trials that nobody has run, and writes them down."""

    def __init__(
        self, trainee: Trainee, settings: Settings, files: TrialFolder, on_candidate: Listener | None
    ) -> None:
        self._trainee, self._settings, self._files = trainee, settings, files
        self._on_candidate = on_candidate

    def trial(self, number: int, *, wait: bool, patient: bool = False) -> None:
        """Run a trial if it is not finished. Where another process holds it: leave it, or wait for it if patient."""
        if number in self._files.finished():
            return
        for needed in self._settings.method.trials_before(self._settings, number):
            if needed not in self._files.finished():
                if not wait:
                    raise RangeTestError(
                        "unfinished", f"trial {number} needs trial {needed}, which is not finished"
                    )
                self.trial(needed, wait=True, patient=True)
        with self._files.claim(number, patient=patient) as claim:
            if claim is None or claim.is_finished:
                return

            def keep(candidate: Candidate) -> None:
                claim.keep(candidate)
                if self._on_candidate is not None:
                    self._on_candidate(number, candidate)

            known = {candidate.lr: candidate for candidate in claim.candidates}
            self._settings.method.run_trial(
                self._settings, number, self._trainee, self._files.finished(), known, keep
            )
            claim.finish()


def _digest(values: Tensor) -> str:
    content = f"{values.dtype}{tuple(values.shape)}".encode() + values.cpu().double().numpy().tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


def _attribute(attribute: object, probe: Probe) -> str:
    """What drives the test, "auto" resolved."""
    check_choice("attribute", attribute, ("auto", *ATTRIBUTES))
    labelled = probe.classes is not None and not probe.targets.is_floating_point()
    if attribute == "auto":
        return "accuracy" if labelled else "information"
    if attribute == "accuracy" and not labelled:
        raise ValueError(
            "attribute 'accuracy' needs integer labels, one an example, got "
            f"{'floating' if probe.targets.is_floating_point() else 'other'} targets; take 'information' or 'loss'"
        )
    return str(attribute)


def _check_alone(model: nn.Module) -> None:
    if (count := trained_by(model)) > 1:
        raise ValueError(
            f"find_bounds needs a model that one process trains, got one of {count}; give rank 0 the model without "
            "its wrapper, and send the bounds with processes_of().from_first"
        )


def _check_kinds(model: object, optimizer: object, probe: object, method: object, measuring: object) -> None:
    check_model(model)
    if not isinstance(optimizer, Optimizer) or isinstance(optimizer, torch.optim.LBFGS):
        raise TypeError(
            f"optimizer must be a torch Optimizer that steps without a closure, got {type(optimizer).__name__}"
        )
    if not isinstance(probe, Probe):
        raise TypeError(f"probe must be a Probe, got {type(probe).__name__}; Probe.sample draws one")
    if probe.forward is not None:
        raise ValueError(
            "find_bounds trains on (inputs, targets) and needs a probe of such examples, got one with a forward; "
            "give a probe without, or choose bounds by hand"
        )
    if not isinstance(method, METHODS):
        raise TypeError(f"method must be Race(...) or Algorithm2(...), got {shown(method)}")
    if not (measuring is None or isinstance(measuring, Measuring)):
        raise TypeError(f"measuring must be Measuring(...), got {shown(measuring)}")


def _check_makers(loss: object, fresh: object, folder: object) -> None:
    if isinstance(loss, type) or not callable(loss):
        raise TypeError(f"loss must be a function of (outputs, targets), got {shown(loss)}")
    if fresh is not None and (isinstance(fresh, nn.Module) or not callable(fresh)):
        raise TypeError(f"fresh must be a function that builds a model, got {type(fresh).__name__}")
    if folder is not None:
        _check_path(folder)


def _check_path(folder: object) -> None:
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"folder must be a path, got {shown(folder)}")


def _layers(optimizer: Optimizer, layer_wise: bool) -> list[str]:
    if not layer_wise:
        return []
    names = [group.get("layer") for group in optimizer.param_groups]
    if None in names:
        raise ValueError(
            f"layer_wise needs parameter groups made by layer_groups, got group {names.index(None)} without a layer"
        )
    # A layer may have several groups, for weights with decay and biases without.
    return list(dict.fromkeys(map(str, names)))
