"""A model and fixed examples -> the information in each layer."""

from infopace.probe._probe import LayerInformation as LayerInformation
from infopace.probe._probe import Measurement as Measurement
from infopace.probe._probe import Probe as Probe
