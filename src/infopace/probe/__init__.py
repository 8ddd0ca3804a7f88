"""A model and fixed examples -> the information at its output, or in each layer."""

from infopace.probe._measuring import LayerInformation as LayerInformation
from infopace.probe._measuring import Measurement as Measurement
from infopace.probe._measuring import Measuring as Measuring
from infopace.probe._probe import Probe as Probe
from infopace.probe._reference import reference_of as reference_of
