"""Looks inside a network in training: callables model -> {name: number} that leave the model as it was.

spread = ActivationSpread(probe)
spread(model)["veca"]
"""

from infopace.diagnostics._activation_spread import ActivationSpread as ActivationSpread
