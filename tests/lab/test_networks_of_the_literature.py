"""Networks of the literature: the surrogate gradient exactly, the binary features, and the sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from infopace.lab.optimizers import AdamWRecipe, SGDRecipe
from infopace.lab.workloads import WORKLOADS
from infopace.lab.workloads.handwritten_symbols import black_and_white
from infopace.lab.workloads.movie_polarity import SentenceNet, SeparableConv
from infopace.lab.workloads.spike_mnist import (
    FEATURES,
    MAPS,
    TAU,
    SpikingClassifier,
    contrasts,
    floor,
    spike,
    spikes_of,
)


@pytest.mark.parametrize("tau", [TAU, 2.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_surrogate_gradient_is_1_up_to_a_quarter_of_tau(tau: float, dtype: torch.dtype) -> None:
    end = torch.tensor(tau / 4, dtype=dtype)
    above = torch.nextafter(end, end + 1)
    below = torch.nextafter(torch.zeros((), dtype=dtype), torch.tensor(-1.0, dtype=dtype))
    z = torch.stack([-end, below, torch.zeros_like(end), end / 2, end, above, 100 * end]).requires_grad_()
    found = spike(z, tau)
    assert found.tolist() == [0, 0, 1, 1, 1, 1, 1] and found.dtype == dtype
    weights = torch.arange(2.0, 9.0, dtype=dtype)
    (found * weights).sum().backward()
    assert z.grad is not None and z.grad.tolist() == [0, 0, 4, 5, 6, 0, 0]


def test_spikes_are_exactly_0_or_1_and_outputs_whole_numbers() -> None:
    z = torch.randn(10_000, generator=torch.Generator().manual_seed(0)).mul(3).requires_grad_()
    assert set(spike(z).tolist()) == {0.0, 1.0}
    assert torch.equal(floor(z), z.floor())
    floor(z).sum().backward()
    assert z.grad is not None and bool((z.grad == 1).all())


def test_the_gradient_of_the_network_is_that_of_the_formula() -> None:
    torch.manual_seed(0)
    model = SpikingClassifier(20).eval()
    x, labels = (torch.rand(6, FEATURES) < 0.1).float(), torch.arange(6)
    logits = model(x)
    F.cross_entropy(logits, labels).backward()
    with torch.no_grad():
        z = model.hidden(x)
        inside = (z >= 0) & (z <= TAU / 4)
        back = (logits.softmax(1) - F.one_hot(labels, 10)) / 6
        to_hidden = (back @ model.out.weight) * inside
    assert 0 < inside.float().mean() < 1
    assert torch.equal(logits, model.out((z >= 0).float()).floor())
    assert model.out.weight.grad is not None and model.hidden.weight.grad is not None
    torch.testing.assert_close(model.out.weight.grad, back.T @ (z >= 0).float())
    torch.testing.assert_close(model.hidden.weight.grad, to_hidden.T @ x)


def test_contrasts_are_where_a_pixel_differs_from_its_surround() -> None:
    assert not contrasts(torch.full((1, 1, 28, 28), 200, dtype=torch.uint8))[..., 3:-3, 3:-3].any()
    image = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    image[0, 0, 10, 12] = 255  # a bright pixel, and a dark one
    image[1] = 255 - image[0]
    found = contrasts(image)
    assert found.shape == (2, 2, 27, 27)
    assert found[0, :, 10, 12].tolist() == [1, 0] and found[1, :, 10, 12].tolist() == [0, 1]
    # Off-centre is what on-centre is of the negative; its edge differs, where the surround is cut off.
    assert torch.equal(found[0, 0, 3:-3, 3:-3], found[1, 1, 3:-3, 3:-3])


def test_features_are_spikes_of_fixed_maps() -> None:
    images = torch.randint(0, 256, (3, 1, 28, 28), generator=torch.Generator().manual_seed(1)).byte()
    found = spikes_of(images)
    assert found.shape == (3, FEATURES) and FEATURES == 3_630 and found.dtype == torch.uint8
    assert set(found.unique().tolist()) == {0, 1}
    torch.rand(5)  # the global generator plays no part
    assert torch.equal(found[1:], spikes_of(images[1:]))
    # Two pixels to the right in an image are one place to the right in each map.
    image = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    image[..., 8:16, 8:11] = 255
    here, there = (spikes_of(one).view(MAPS, 11, 11) for one in (image, image.roll(2, 3)))
    assert here.any() and torch.equal(here[:, :, :-1], there[:, :, 1:])


def test_symbols_are_ink_or_paper() -> None:
    grey = torch.tensor([0, 127, 128, 255], dtype=torch.uint8).view(1, 1, 2, 2)
    assert black_and_white(grey).flatten().tolist() == [0, 0, 1, 1]


def test_networks_and_optimizers_are_those_of_the_papers() -> None:
    """Of what was readable: the order of the layers, and which optimizer."""
    spiking = WORKLOADS["spike-mnist"]
    assert isinstance(spiking.optimizer, SGDRecipe) and spiking.optimizer.momentum == 0
    assert [tuple(p.shape) for p in spiking.build_model().parameters()] == [
        (300, 3_630),
        (300,),
        (10, 300),
        (10,),
    ]
    symbols = WORKLOADS["handwritten-symbols"]
    assert isinstance(symbols.optimizer, AdamWRecipe)
    layers = [m for m in symbols.build_model().modules() if isinstance(m, nn.Linear | nn.ReLU)]
    assert [getattr(layer, "out_features", "ReLU") for layer in layers] == [256, "ReLU", 128, "ReLU", 10]
    text = SentenceNet()
    assert isinstance(WORKLOADS["movie-polarity"].optimizer, AdamWRecipe)
    assert all(isinstance(conv, SeparableConv) for conv in text.convs) and len(text.convs) == 2
    assert text.classes.out_channels == 2  # as many filters as classes, then the mean over the words
    assert sum(p.numel() for p in text.parameters()) == 438_658
