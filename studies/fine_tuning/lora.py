"""LoRA (Hu et al. 2021, arXiv:2106.09685): a frozen linear layer and a product of two thin matrices that is trained."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RANK, ALPHA = 8, 16


class LoRALinear(nn.Module):
    """W x + b + (alpha / r) B A x with W and b frozen; A (r, in) as torch begins a linear layer, B (out, r) zero."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Parameter(torch.empty(RANK, layer.in_features))
        self.up = nn.Parameter(torch.zeros(layer.out_features, RANK))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(.., in) -> (.., out)."""
        return self.layer(x) + ALPHA / RANK * F.linear(F.linear(x, self.down), self.up)


def add_lora(model: nn.Module, head: str = "head") -> None:
    """Freeze the model but for its head, and add LoRA to each linear layer inside it."""
    for name, weight in model.named_parameters():
        weight.requires_grad_(name.startswith(f"{head}."))
    places = [
        (module, name)
        for module in model.modules()
        for name, child in module.named_children()
        if isinstance(child, nn.Linear) and name != head
    ]
    for module, name in places:
        layer = getattr(module, name)
        assert isinstance(layer, nn.Linear), "a linear layer was looked for"
        setattr(module, name, LoRALinear(layer))
