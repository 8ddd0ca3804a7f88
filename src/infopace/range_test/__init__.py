"""Short trials of learning rates before a run -> the bounds of the learning rate. Begin with `find_bounds`."""

from infopace.range_test._algorithm2 import Algorithm2 as Algorithm2
from infopace.range_test._find_bounds import find_bounds as find_bounds
from infopace.range_test._find_bounds import merge_trials as merge_trials
from infopace.range_test._race import Race as Race
from infopace.range_test._records import Candidate as Candidate
from infopace.range_test._records import Evaluation as Evaluation
from infopace.range_test._records import Trial as Trial
from infopace.range_test._result import RangeTest as RangeTest
from infopace.range_test._result import RangeTestError as RangeTestError
from infopace.range_test._result import Row as Row
