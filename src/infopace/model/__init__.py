"""What a model is made of: its layers, one forward pass, copies of what training changes, random state."""

from infopace.model.layers import layer_groups as layer_groups
from infopace.model.layers import weight_layers as weight_layers
from infopace.model.processes import ProcessError as ProcessError
from infopace.model.processes import Processes as Processes
from infopace.model.processes import processes_of as processes_of
