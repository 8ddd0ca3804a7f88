"""The baselines by name: ways to train that measure no information. Each has its own grid of learning rates."""

from __future__ import annotations

from infopace.lab.baselines._adaptive import ADAPTIVE_BASELINES
from infopace.lab.baselines._averaged import AVERAGED_BASELINES
from infopace.lab.baselines._baseline import Baseline as Baseline
from infopace.lab.baselines._baseline import Setting as Setting
from infopace.lab.baselines._lars import LARS_BASELINES
from infopace.lab.baselines._of_the_run import BASELINES_OF_THE_RUN
from infopace.lab.baselines._refined import REFINED_BASELINES
from infopace.lab.baselines._self_tuned import SELF_TUNED_BASELINES
from infopace.lab.baselines._sgd import SGD_BASELINES
from infopace.lab.baselines._signals import SIGNAL_BASELINES
from infopace.lab.baselines._warmed import WARMED_BASELINES

_FAMILIES = (
    BASELINES_OF_THE_RUN,
    SGD_BASELINES,
    ADAPTIVE_BASELINES,
    LARS_BASELINES,
    AVERAGED_BASELINES,
    SELF_TUNED_BASELINES,
    WARMED_BASELINES,
    SIGNAL_BASELINES,
    REFINED_BASELINES,
)

BASELINES: dict[str, Baseline] = {baseline.name: baseline for family in _FAMILIES for baseline in family}
