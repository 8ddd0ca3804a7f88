"""torch's Muon, which also takes kernels of convolutions."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import torch
from torch import Tensor


class KernelMuon(torch.optim.Muon):
    """Muon for matrices and for kernels of convolutions, each as a matrix with a row for each output channel.

    So does its author (Jordan 2024). torch's Muon takes matrices only.

    Args:
        params: Weights of two dimensions or more, or parameter groups.
        lr: The learning rate.
        **options: torch's.
    """

    def __init__(self, params: Any, lr: float, **options: Any) -> None:
        # torch refuses what is no matrix before it has looked at a gradient.
        super().__init__([torch.zeros(1, 1)], lr, **options)
        self.param_groups.clear()
        params = list(params)
        for group in params if params and isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(group)

    def _init_group(
        self,
        group: MutableMapping[str, Any],
        params_with_grad: list[Tensor],
        grads: list[Tensor],
        muon_momentum_bufs: list[Tensor],
    ) -> bool:
        for weight in group["params"]:
            # As the weight lies in memory, so that a matrix shares it.
            if weight.grad is not None and "momentum_buffer" not in self.state[weight]:
                self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        is_complex = super()._init_group(group, params_with_grad, grads, muon_momentum_bufs)
        weights = list(params_with_grad)
        for values in (params_with_grad, grads, muon_momentum_bufs):
            values[:] = [_as_matrix(one, weight) for one, weight in zip(values, weights, strict=True)]
        return is_complex


def _as_matrix(values: Tensor, weight: Tensor) -> Tensor:
    """Values (out, in, ...) of a weight as (out, k), with columns in the order of the weight's memory.

    So the matrix of the weight itself shares its memory, in channels-last format too.
    """
    inner = sorted(range(1, weight.ndim), key=weight.stride, reverse=True)
    return values.permute(0, *inner).flatten(1)
