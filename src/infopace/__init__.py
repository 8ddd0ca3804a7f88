"""infopace: the learning rate of a neural network, paced by mutual information.

    probe = Probe.sample(train_set)
    scheduler = MutualInformationLR(optimizer, model, probe, bounds=Bounds(1e-4, 0.05))

Call `scheduler.observe()` and `scheduler.step()` at the end of each epoch. All information is in nats.
"""

from infopace.estimators import Caution as Caution
from infopace.estimators import Estimate as Estimate
from infopace.estimators import conditional_mutual_information as conditional_mutual_information
from infopace.estimators import decoder_bound as decoder_bound
from infopace.estimators import entropy as entropy
from infopace.estimators import linear_probe_bound as linear_probe_bound
from infopace.estimators import mutual_information as mutual_information
from infopace.model.layers import layer_groups as layer_groups
from infopace.model.layers import weight_layers as weight_layers
from infopace.policies import Bounds as Bounds
from infopace.policies import Decision as Decision
from infopace.policies import HeldOut as HeldOut
from infopace.policies import HoldAndAnneal as HoldAndAnneal
from infopace.policies import Policy as Policy
from infopace.policies import Vasudevan2018 as Vasudevan2018
from infopace.policies import Vasudevan2020 as Vasudevan2020
from infopace.policies import Wang2024 as Wang2024
from infopace.policies import simulate as simulate
from infopace.probe import LayerInformation as LayerInformation
from infopace.probe import Measurement as Measurement
from infopace.probe import Probe as Probe
from infopace.range_test import Algorithm2 as Algorithm2
from infopace.range_test import Candidate as Candidate
from infopace.range_test import Race as Race
from infopace.range_test import RangeTest as RangeTest
from infopace.range_test import RangeTestError as RangeTestError
from infopace.range_test import Trial as Trial
from infopace.range_test import merge_trials as merge_trials
from infopace.range_test import range_test as range_test
from infopace.scheduler import MutualInformationLR as MutualInformationLR
from infopace.scheduler import RollBackError as RollBackError

__all__ = [
    "Algorithm2",
    "Bounds",
    "Candidate",
    "Caution",
    "Decision",
    "Estimate",
    "HeldOut",
    "HoldAndAnneal",
    "LayerInformation",
    "Measurement",
    "MutualInformationLR",
    "Policy",
    "Probe",
    "Race",
    "RangeTest",
    "RangeTestError",
    "RollBackError",
    "Trial",
    "Vasudevan2018",
    "Vasudevan2020",
    "Wang2024",
    "conditional_mutual_information",
    "decoder_bound",
    "entropy",
    "layer_groups",
    "linear_probe_bound",
    "merge_trials",
    "mutual_information",
    "range_test",
    "simulate",
    "weight_layers",
]
