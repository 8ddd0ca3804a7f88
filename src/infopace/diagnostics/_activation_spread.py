"""VECA and VOVU: how unevenly the activations of a hidden layer are spread."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from infopace._checks import shown
from infopace._typing import Float
from infopace.diagnostics._outputs import check_probe, last_hidden, named_layer
from infopace.probe import Probe


class ActivationSpread:
    """VECA and VOVU of a hidden layer, beside the mean variance of its units; no unit.

        VECA = |C|_F^2 / d - (tr C / d)^2                 variance of the eigenvalues of C
        VECA normalised = VECA / (tr C / d)^2              the same, without the scale of the layer
        VOVU = variance over units of diag C
        mean variance = tr C / d

    C = (1/n) T'T is the covariance of the d units over the probe's n examples, T with its column means taken off. With
    more units than examples |C|_F comes from the n x n products of the examples, which have the same eigenvalues but
    for zeros.

    Both were proposed as signs of overfitting: they would rise with the test loss, so that training could be stopped
    without validation data. Read them beside `mean_variance` and the number of the epoch. On two tasks the epoch
    followed the test loss at least as closely after its minimum, and with weight decay both fell while it rose
    (`studies/veca`). So claim nothing from them under weight decay, or under batch norm, which was not measured.

    The measures stay the same when examples or units are permuted. VECA and the mean variance stay the same when the
    layer is rotated, VOVU does not. A factor a of the whole layer multiplies VECA and VOVU by a^4, the mean variance by
    a^2, and leaves the normalised VECA. Factors of single units, which the next layer of a ReLU network can take back,
    change all four.

    Args:
        probe: The examples.
        layer: The name of the layer, whose output is taken as it is; of (n, d, ..) the means over places count. None:
            the last hidden layer, which is what the last layer with weights gets.

    Calling it with a model gives {"veca", "veca_normalised", "vovu", "mean_variance"} and leaves the model as it was.
    veca_normalised is 0 where no unit varies.

    Raises:
        TypeError: a probe that is none.
        ValueError: a layer that is no name; when called, one that is unknown, did not run or has fewer than 2 units.

    Sources: VECA, 2020, and VOVU, 2021: reconstructed from their abstracts, the full texts were not read.

    >>> from infopace import Probe
    >>> probe = Probe(torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [2.0, 1.0]]), torch.tensor([0, 1, 0, 1]))
    >>> ActivationSpread(probe, "0")(nn.Sequential(nn.Identity(), nn.Linear(2, 2)))
    {'veca': 0.140625, 'veca_normalised': 0.36, 'vovu': 0.140625, 'mean_variance': 0.625}
    """

    def __init__(self, probe: Probe, layer: str | None = None) -> None:
        self.probe = check_probe(probe)
        if layer is not None and not (isinstance(layer, str) and layer):
            raise ValueError(f"layer must be the name of a layer, got {shown(layer)}")
        self.layer = layer

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> dict[str, float]:
        """The four numbers of the model as it is."""
        given = (
            last_hidden(self.probe, model)
            if self.layer is None
            else named_layer(self.probe, model, self.layer)
        )
        return spread_of(given)


def spread_of(values: Float[Tensor, "n d"]) -> dict[str, float]:
    """The measures of activations (n, d).

    Raises:
        ValueError: fewer than 2 units or examples, nan or inf.
    """
    n, d = values.shape
    if n < 2 or d < 2:
        raise ValueError(f"a layer must have at least 2 examples and 2 units, got shape {(n, d)}")
    if not bool(values.isfinite().all()):
        raise ValueError(f"activations must be finite, got {float(values[~values.isfinite()][0])}")
    table = values.double() if values.device.type != "mps" else values.float()
    table = table - table.mean(0)
    variances = table.square().mean(0)
    products = table.T @ table if d <= n else table @ table.T
    mean = float(variances.mean())
    veca = max(float(products.square().sum()) / (n * n * d) - mean**2, 0.0)
    return {
        "veca": veca,
        "veca_normalised": veca / mean**2 if mean > 0 else 0.0,
        "vovu": float(variances.var(correction=0)),
        "mean_variance": mean,
    }
