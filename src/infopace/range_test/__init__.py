"""Trials of learning rates before training -> a table -> the bounds of the learning rate."""

from infopace.range_test._methods import Algorithm2 as Algorithm2
from infopace.range_test._methods import Race as Race
from infopace.range_test._range_test import find_bounds as find_bounds
from infopace.range_test._range_test import merge_trials as merge_trials
from infopace.range_test._records import Candidate as Candidate
from infopace.range_test._records import Look as Look
from infopace.range_test._records import Trial as Trial
from infopace.range_test._refusal import RangeTestError as RangeTestError
from infopace.range_test._result import RangeTest as RangeTest
from infopace.range_test._table import Row as Row
