"""The diagnostics whose cost is measured, each called once after an epoch, on the same examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from infopace import Probe
from infopace.diagnostics import ActivationSpread, GoldilocksRatio, GradientNoise, InformationPlane

EXAMPLES = 500


def diagnostics_of(images: Tensor, targets: Tensor) -> Mapping[str, Callable[[nn.Module], Any]]:
    """Each as the library makes it. The first is what the scheduler measures anyway, to compare with."""
    probe = Probe(images[:EXAMPLES], targets[:EXAMPLES])
    return {
        "the scheduler's measurement": probe.measure,
        "VECA and VOVU": ActivationSpread(probe),
        "gradient noise": GradientNoise(probe, F.cross_entropy),
        "information plane": InformationPlane(probe, noise=1.0),
        "Goldilocks ratio": GoldilocksRatio(probe, F.cross_entropy),
    }
