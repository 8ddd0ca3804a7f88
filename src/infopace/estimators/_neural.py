"""Neural bounds of mutual information, measured on examples that neither trained nor stopped the critic."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from infopace._checks import check_choice
from infopace._typing import Float
from infopace.estimators._critic import Critic, all_scores, new_critic, train_critic
from infopace.estimators._estimate import Caution, Estimate
from infopace.estimators._inputs import as_classes, as_matrix, as_targets
from infopace.estimators._neural_bounds import (
    donsker_varadhan,
    infonce,
    jensen_shannon,
    pair_scores,
    running_log_mean,
    smile,
)
from infopace.estimators._plug_in import entropy

BOUNDS = ("mine", "infonce", "smile")
# Song & Ermon's middle value. Clipping at e^5 costs nothing at the few nats that a thousand examples can show.
_CLIP = 5.0
_FEWEST = 20
# Scores of all pairs of so many examples are held at once: 32 MB in float64.
_MOST_HELD = 2000


def neural_bound(
    x: Any, y: Any, *, bound: str = "mine", seed: int = 0, batch: int = 128, steps: int = 2000
) -> Estimate:
    """I(X;Y) in nats as a trained critic shows it on held-out examples.

    Three fifths of the examples train a critic T(x, y), and one fifth stops it. The value is the bound on the last
    fifth. So overfitting gains nothing, and independent blocks measure about 0. The price is a value from n / 5
    examples. `std_error` is the spread of their terms; it leaves out how critics would differ.

    Args:
        x: (n, ...) floating examples.
        y: (n,) integers, which are class labels (one-hot to the critic), or (n, ...) floats.
        bound: "mine" (Donsker-Varadhan, its gradient corrected by a moving average), "infonce" (steady, but never above
            ln batch) or "smile" (clipped; steadier than MINE, no strict bound).
        seed: Of the split, the first weights and the batches. No global generator is touched.
        batch: Pairs in a batch, and in a scored batch for InfoNCE.
        steps: At most so many steps of the critic.

    Columns are standardised on the examples that train. "mine" and "infonce" are lower bounds in expectation, up to the
    finite sample inside the logarithm (McAllester & Stratos, AISTATS 2020). They are loose where n is small or the
    information large. At most 2,000 examples each stop and measure; all others train.

    Raises:
        ValueError: nan or inf, an empty or mismatched input, under 20 examples, an unknown bound.
    """
    check_choice("bound", bound, BOUNDS)
    matrix = as_matrix(x, "x")
    targets = as_targets(y, len(matrix)).to(matrix.device)
    n = len(matrix)
    for name, value, least in (("n", n, _FEWEST), ("batch", batch, 2), ("steps", steps, 1)):
        if value < least:
            raise ValueError(f"{name} must be at least {least} for a neural bound, got {value}")
    ceiling = math.inf
    if not targets.is_floating_point():
        ceiling = entropy(targets)
        classes, sizes = as_classes(targets)
        targets = torch.nn.functional.one_hot(classes, len(sizes)).to(matrix.dtype)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(n, generator=generator).to(matrix.device)
    held = min(n // 5, _MOST_HELD)
    test, stop, train = order[:held], order[held : 2 * held], order[2 * held :]
    blocks = [_standardized(block, train) for block in (matrix, targets)]
    tested, stopping = ((blocks[0][part], blocks[1][part]) for part in (test, stop))
    critic = new_critic(blocks[0].shape[1], blocks[1].shape[1], generator)
    critic = train_critic(
        [tensor.to(matrix.device) for tensor in critic],
        (blocks[0][train], blocks[1][train]),
        _Loss(bound),
        lambda critic: float(_held_out_terms(critic, stopping, bound, batch).mean()),
        batch=min(batch, len(train)),
        steps=steps,
        generator=generator,
    )
    terms = _held_out_terms(critic, tested, bound, batch)
    warnings = []
    if not bool(terms.any()):
        warnings.append(
            Caution("inside-noise", "the critic found no information that held on held-out examples")
        )
    scored = min(batch, held)
    if bound == "infonce" and float(terms.mean()) > 0.9 * math.log(scored):
        sentence = f"the value is near its limit ln {scored}: take a larger batch or more examples"
        warnings.append(Caution("beyond-reach", sentence))
    std_error = float(terms.std() / len(terms) ** 0.5)
    return Estimate(float(terms.mean()), std_error, bound, len(terms), 0, "", ceiling, tuple(warnings))


class _Loss:
    """What the critic minimises, from the scores of a batch. MINE's keeps its moving average."""

    def __init__(self, bound: str) -> None:
        self._bound = bound
        self._log_mean: Tensor | None = None

    def __call__(self, scores: Float[Tensor, "b b"]) -> Float[Tensor, ""]:
        if self._bound == "infonce":
            return -infonce(scores)
        joint, product = pair_scores(scores)
        if self._bound == "smile":
            return -jensen_shannon(joint, product)
        self._log_mean = running_log_mean(self._log_mean, product)
        return -donsker_varadhan(joint, product, self._log_mean)


def _held_out_terms(
    critic: Critic, examples: tuple[Tensor, Tensor], bound: str, batch: int
) -> Float[Tensor, " n"]:
    """One term for each example, in float64: the mean is the bound, the spread its sampling noise.

    For InfoNCE they are the terms of batches. For the other two let U = < e^T > over the pairs of different examples, T
    clipped for SMILE. Example i has T_ii - ln U - (r_i + c_i - 2 U) / U, with r_i and c_i the means of e^T over its
    pairs. That is its first-order share in the value (Hoeffding's projection of a U-statistic).
    """
    x, y = examples
    if bound == "infonce":
        parts = zip(x.tensor_split(-(-len(x) // batch)), y.tensor_split(-(-len(x) // batch)), strict=True)
        scores = [all_scores(critic, a, b).detach().double() for a, b in parts]
        return torch.cat([math.log(len(s)) + s.diagonal() - s.logsumexp(1) for s in scores])
    scores = all_scores(critic, x, y).detach().double()
    joint, product = pair_scores(scores)
    value = donsker_varadhan(joint, product) if bound == "mine" else smile(joint, product, _CLIP)
    log_mean = joint.mean() - value
    ratio = ((scores.clamp(-_CLIP, _CLIP) if bound == "smile" else scores) - log_mean).exp()
    ratio.fill_diagonal_(0)
    share = (ratio.sum(0) + ratio.sum(1)) / (len(scores) - 1)
    return joint - log_mean - (share - 2)


def _standardized(block: Float[Tensor, "n d"], train: Tensor) -> Float[Tensor, "n d"]:
    """Columns of mean 0 and mean square 1 over the examples that train, in float32; constant ones become 0."""
    fitted = block[train].double()
    mean, deviation = fitted.mean(0), fitted.std(0, correction=0)
    factor = torch.where(deviation > 1e-12 * mean.abs(), 1 / deviation.clamp(min=1e-300), 0.0)
    return ((block - mean) * factor).float()
