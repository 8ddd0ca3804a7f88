"""infopace: the learning rate of a neural network, paced by mutual information."""

from infopace.estimators import Estimate as Estimate
from infopace.estimators import decoder_bound as decoder_bound
from infopace.estimators import entropy as entropy
from infopace.estimators import mutual_information as mutual_information
