"""LARS: every layer's step in proportion to the norm of its weights."""

from __future__ import annotations

from torch.optim.lr_scheduler import PolynomialLR

from infopace.lab.rivals._rival import Rival, Setting
from infopace.lab.steps import Steps

# Half a decade apart. The trust coefficient is 0.001, so rates that suit SGD are a hundred times these for matrices
# and the same for biases, whose trust is 1.
_GRID = (3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0, 30.0, 100.0)


def _lars(setting: Setting) -> Steps:
    from pytorch_optimizer import LARS

    optimizer = LARS(
        setting.model.parameters(),
        lr=setting.lr,
        momentum=setting.momentum,  # You et al. (2017): heavy-ball, not Nesterov's
        weight_decay=setting.weight_decay,
    )
    return Steps(optimizer, per_batch=PolynomialLR(optimizer, setting.steps, power=2.0))


LARS_RIVALS = (Rival("lars", "LARS (You 2017), quadratic decay to zero", _lars, _GRID),)
