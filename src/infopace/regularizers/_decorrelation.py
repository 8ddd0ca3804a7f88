"""EDM: groups of a layer's units as base learners of an ensemble, kept uncorrelated; DeCov is its limit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from infopace._checks import flag, shown, whole
from infopace._typing import Float, Shaped
from infopace.regularizers._features import features as features_of


class EnsembleDecorrelation(nn.Module):
    """EDM: the mean squared correlation between units of different groups; no unit.

        R = sum_(a, b of different groups) ( r_ab^2 - 1/(n - 1) ) / number of such pairs      correlations = True
        R = sum_(a, b of different groups) c_ab^2 / number of such pairs                      correlations = False

    The units of a layer are split evenly into groups, in their order; c is their covariance over the batch (1/n), r
    their correlation. Within a group units may be alike. One unit a group is DeCov, up to a constant:

        DeCov = 1/2 ( |C|^2 - |diag C|^2 ) = d (d - 1) / 2 * R      groups = d, correlations = False

    With covariances a network can make R small without decorrelation: it scales the layer down and the next one up.
    With correlations, the default, scale changes nothing. Independent units have r^2 of 1/(n - 1) by chance, which is
    taken off. Their c^2 of c_aa c_bb / (n - 1) is left in, as published: use batches much larger than a group. A unit
    that is constant has correlation 0.

    The value stays the same when the examples are permuted or the layer is moved. A rotation mixes units and changes
    it.
    The paper's formula is not known to us: this is our reconstruction of it from its abstract.

    Args:
        features: The number of units: of the second axis of the layer.
        groups: Into how many groups they are split; a divisor of `features`, at least 2. None: one unit a group.
        correlations: Correlations, or covariances.

    The grouping is a buffer, `group`: it is saved with the module.

    Shapes: term(t) with t (n, units), or (n, units, ...) of a convolution, whose means over space count; n >= 4. The
    result is a scalar.

    Raises:
        ValueError: features that cannot be split evenly into the groups, t of another width.

    Sources: Gu, Hou, Zhang and Zhang, IJCAI 2018, doi:10.24963/ijcai.2018/301; Cogswell et al., ICLR 2016,
        arXiv:1511.06068 (DeCov).

    >>> t = torch.arange(8.0)[:, None] * torch.tensor([[1.0, -2.0]])
    >>> round(float(EnsembleDecorrelation(2)(t)), 3), float(EnsembleDecorrelation(2, correlations=False)(t))
    (0.857, 110.25)
    """

    group: Tensor

    def __init__(self, features: int, groups: int | None = None, correlations: bool = True) -> None:
        super().__init__()
        features = whole("features", features, 2)
        groups = features if groups is None else whole("groups", groups, 2)
        if features % groups:
            raise ValueError(f"groups must divide the {features} features, got {shown(groups)}")
        self.correlations = flag("correlations", correlations)
        self.register_buffer("group", torch.arange(groups).repeat_interleave(features // groups))

    def forward(self, t: Shaped[Tensor, "n units ..."]) -> Float[Tensor, ""]:
        """The value for the outputs of a layer, with gradients."""
        if isinstance(t, Tensor) and t.ndim > 2:
            t = t.flatten(2).mean(2)
        table = features_of("t", t, len(self.group))
        centred = table - table.mean(0)
        # A constant unit stays 0.
        centred = (
            nn.functional.normalize(centred, dim=0) if self.correlations else centred / len(table) ** 0.5
        )
        with torch.autocast(t.device.type, enabled=False):
            squares = (centred.T @ centred).square()
        chance = 1 / (len(table) - 1) if self.correlations else 0.0
        return squares[self.group[:, None] != self.group].mean() - chance

    def extra_repr(self) -> str:
        """The settings, as the module prints them."""
        groups = len(self.group.unique())
        return f"features={len(self.group)}, groups={groups}, correlations={self.correlations}"
