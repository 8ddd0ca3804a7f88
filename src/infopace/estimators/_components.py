"""Wide outputs in the few directions in which they differ most, where neighbours are near."""

from __future__ import annotations

import torch
from torch import Tensor

from infopace._typing import Float
from infopace.estimators._inputs import as_matrix
from infopace.estimators._neighbour_search._distances import column_chunks


def principal_components(x: Float[Tensor, "n d"]) -> Float[Tensor, "n m"]:
    """The first m = log2(n) principal components of x, rounded down; x itself where it has no more columns.

    Their number comes from n, as neighbours need more examples for each column more. Columns have the scale that they
    have. With more columns than examples the components come from the products of the examples.
    """
    x = as_matrix(x, "x")
    n, d = x.shape
    wanted = max(n.bit_length() - 1, 1)
    if d <= wanted:
        return x
    if d <= n:
        rows = x.double() - x.double().mean(0)
        return rows @ torch.linalg.eigh(rows.T @ rows)[1][:, -wanted:]
    products = torch.zeros(n, n, dtype=torch.float64, device=x.device)
    for chunk, _ in column_chunks(x):
        rows = chunk - chunk.mean(0)
        products.addmm_(rows, rows.T)
    squares, axes = torch.linalg.eigh(products)
    return axes[:, -wanted:] * squares[-wanted:].clamp(min=0).sqrt()
