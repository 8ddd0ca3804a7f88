"""Samples -> nats. Pure functions of tensors, on any device, with no model in sight."""

from infopace.estimators._conditional import conditional_mutual_information as conditional_mutual_information
from infopace.estimators._decoder import decoder_bound as decoder_bound
from infopace.estimators._estimate import Caution as Caution
from infopace.estimators._estimate import Estimate as Estimate
from infopace.estimators._inputs import OutOfRangeError as OutOfRangeError
from infopace.estimators._labels import entropy as entropy
from infopace.estimators._linear_probe import linear_probe_bound as linear_probe_bound
from infopace.estimators._mutual_information import mutual_information as mutual_information
