"""infopace: a learning rate from what a neural network has learned.

    probe = Probe.sample(train_data)
    plan = HoldAndDecay(epochs)
    scheduler = MutualInformationLR(optimizer, model, probe, policy=plan, steps_per_epoch=len(train_loader))

The first steps find the rate. Call `scheduler.observe()` and `scheduler.step()` at the end of each epoch. All
information is in nats. The rest is reached by the name of its room: `infopace.estimators.entropy`,
`infopace.policies.simulate`, `infopace.range_test`.
"""

from infopace import diagnostics as _diagnostics  # noqa: F401 - opens infopace.diagnostics
from infopace import regularizers as _regularizers  # noqa: F401 - opens infopace.regularizers
from infopace.estimators import Estimate as Estimate
from infopace.estimators import mutual_information as mutual_information
from infopace.model import layer_groups as layer_groups
from infopace.policies import Bounds as Bounds
from infopace.policies import Decision as Decision
from infopace.policies import HoldAndDecay as HoldAndDecay
from infopace.policies import Policy as Policy
from infopace.policies import Vasudevan2020 as Vasudevan2020
from infopace.probe import Measurement as Measurement
from infopace.probe import Probe as Probe
from infopace.range_test import RangeTest as RangeTest
from infopace.range_test import RangeTestError as RangeTestError
from infopace.range_test import find_bounds as find_bounds
from infopace.scheduler import MutualInformationLR as MutualInformationLR

__all__ = [
    "Bounds",
    "Decision",
    "Estimate",
    "HoldAndDecay",
    "Measurement",
    "MutualInformationLR",
    "Policy",
    "Probe",
    "RangeTest",
    "RangeTestError",
    "Vasudevan2020",
    "find_bounds",
    "layer_groups",
    "mutual_information",
]
