"""LARS: the step of each layer is proportional to the norm of its weights."""

from __future__ import annotations

from torch.optim.lr_scheduler import PolynomialLR

from infopace.lab.baselines._baseline import Baseline, Setting
from infopace.lab.steps import Steps

# In steps of 1-2-5. Higher than for SGD, because the trust coefficient is 0.001. [measured] On digits the best of ten
# rates half a decade apart was 3. At 10 the network stayed at chance: the biases have a trust of 1.
_GRID = (5e-2, 1e-1, 2e-1, 5e-1, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


def _lars(setting: Setting) -> Steps:
    from pytorch_optimizer import LARS

    optimizer = LARS(
        setting.model.parameters(),
        lr=setting.lr,
        momentum=setting.sgd.momentum,  # You et al. (2017): heavy-ball, not Nesterov's
        weight_decay=setting.sgd.weight_decay,
    )
    return Steps(optimizer, per_batch=PolynomialLR(optimizer, setting.steps, power=2.0))


LARS_BASELINES = (Baseline("lars", "LARS (You 2017), quadratic decay to zero", _lars, _GRID),)
