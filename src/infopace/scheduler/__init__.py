"""Probe -> policy -> optimizer, as a torch learning-rate scheduler."""

from infopace.scheduler._copies import Snapshot as Snapshot
from infopace.scheduler._explain import Explanation as Explanation
from infopace.scheduler._pacer import Pacer as Pacer
from infopace.scheduler._roll_back import RollBack as RollBack
from infopace.scheduler._roll_back import RollBackError as RollBackError
from infopace.scheduler._scheduler import MutualInformationLR as MutualInformationLR
from infopace.scheduler._several import Optimizers as Optimizers
from infopace.scheduler._steps import uncounted_steps as uncounted_steps
