"""Looks inside a network in training: callables that take a model, give numbers, and leave the model as it was.

spread = ActivationSpread(probe)
spread(model)["veca"]
"""

from infopace.diagnostics._activation_spread import ActivationSpread as ActivationSpread
from infopace.diagnostics._diagnostics import Diagnostics as Diagnostics
from infopace.diagnostics._diagnostics import read_rows as read_rows
from infopace.diagnostics._information_plane import InformationPlane as InformationPlane
from infopace.diagnostics._information_plane import Plane as Plane
from infopace.diagnostics._information_plane import Point as Point
from infopace.diagnostics._plot import plot_rows as plot_rows
from infopace.diagnostics._through_noise import information_through_noise as information_through_noise
