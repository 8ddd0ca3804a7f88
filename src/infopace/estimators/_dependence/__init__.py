"""Models of how two vectors depend on each other, chosen on held-out examples and corrected by neighbours."""

from infopace.estimators._dependence._calibrated import Calibrated as Calibrated
from infopace.estimators._dependence._calibrated import calibrated_information as calibrated_information
from infopace.estimators._dependence._features import projected_on_classes as projected_on_classes
