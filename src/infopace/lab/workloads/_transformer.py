"""The block of the small Transformers: attention and an MLP, each after a norm and beside the identity."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Pre-norm block of a Transformer: attention with some heads, then an MLP four times as wide.

    Args:
        width: Numbers a token.
        heads: Attention heads; they divide the width.
        causal: Whether a token sees only itself and those before it.
    """

    def __init__(self, width: int, heads: int, *, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """(n, T, width) -> (n, T, width); `seen` (n, T) bool: the tokens that are attended to, None: all."""
        n, length, width = x.shape
        parts = self.query_key_value(self.norm1(x)).view(n, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mask = None if seen is None else seen[:, None, None, :]
        found = F.scaled_dot_product_attention(query, key, value, mask, is_causal=self.causal)
        x = x + self.out(found.transpose(1, 2).reshape(n, length, width))
        return x + self.narrow(F.gelu(self.widen(self.norm2(x))))
