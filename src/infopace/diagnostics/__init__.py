"""Looks inside a network in training: callables that take a model, give numbers, and leave the model as it was.

    spread = ActivationSpread(probe)
    spread(model)["veca"]

Functions of the same say more, of any examples: `goldilocks_ratio`, `gradient_noise`.
"""

from infopace.diagnostics._activation_spread import ActivationSpread as ActivationSpread
from infopace.diagnostics._diagnostics import Diagnostics as Diagnostics
from infopace.diagnostics._diagnostics import read_rows as read_rows
from infopace.diagnostics._effective_rate import effective_rate as effective_rate
from infopace.diagnostics._effective_rate import effective_rates as effective_rates
from infopace.diagnostics._goldilocks import Curvature as Curvature
from infopace.diagnostics._goldilocks import FullCurvature as FullCurvature
from infopace.diagnostics._goldilocks import GoldilocksRatio as GoldilocksRatio
from infopace.diagnostics._goldilocks import goldilocks_ratio as goldilocks_ratio
from infopace.diagnostics._goldilocks import hutchinson_ratio as hutchinson_ratio
from infopace.diagnostics._gradient_noise import GradientNoise as GradientNoise
from infopace.diagnostics._gradient_noise import NoiseOfGradients as NoiseOfGradients
from infopace.diagnostics._gradient_noise import gradient_noise as gradient_noise
from infopace.diagnostics._information_plane import InformationPlane as InformationPlane
from infopace.diagnostics._information_plane import Plane as Plane
from infopace.diagnostics._information_plane import Point as Point
from infopace.diagnostics._plot import plot_rows as plot_rows
from infopace.diagnostics._through_noise import information_through_noise as information_through_noise
