"""What goes wrong with the published terms, and does not here."""

from __future__ import annotations

import copy
import io
import math

import pytest
import torch
from torch import Tensor, nn

from infopace.regularizers import (
    CLUB,
    MINE,
    CauchySchwarz,
    EnsembleDecorrelation,
    GaussianNoise,
    InfoNCE,
    Layers,
    MatrixRenyi,
    NormalizedHSIC,
    VariationalBottleneck,
)
from infopace.regularizers._fitted import FittedTerm


def related(n: int = 128) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 2, generator=generator)
    return x, x[:, :1] + 0.5 * torch.randn(n, 1, generator=generator)


CRITICS = {
    "club": lambda: CLUB(2, 1, hidden=32, lr=0.01),
    "infonce": lambda: InfoNCE(2, 1, hidden=32, lr=0.01),
    "mine": lambda: MINE(2, 1, noise=0.3, hidden=32, lr=0.01),
}
EVERY_CRITIC = pytest.mark.parametrize("name", CRITICS)


def test_scale_is_no_escape_from_correlations() -> None:
    """Two layers after each other: the first scaled down and the second up is the same network."""
    units = torch.randn(64, 4, generator=torch.Generator().manual_seed(0)).cumsum(1)
    by_covariance = EnsembleDecorrelation(4, correlations=False)
    assert float(by_covariance(units / 10)) == pytest.approx(float(by_covariance(units)) / 1e4)
    by_correlation = EnsembleDecorrelation(4)
    assert float(by_correlation(units / 10)) == pytest.approx(float(by_correlation(units)))
    scale = torch.ones(4, requires_grad=True)
    by_correlation(units * scale).backward()
    assert scale.grad is not None and scale.grad.abs().max() < 1e-5


def test_one_unit_a_group_is_decov() -> None:
    units = torch.randn(32, 6, generator=torch.Generator().manual_seed(0)).cumsum(1)
    c = torch.cov(units.T, correction=0)
    decov = (c.square().sum() - c.diag().square().sum()) / 2
    assert float(EnsembleDecorrelation(6, correlations=False)(units)) * 15 == pytest.approx(float(decov))


def test_units_of_one_group_may_be_alike() -> None:
    one, two = torch.randn(2, 1000, 1, generator=torch.Generator().manual_seed(0))
    alike = torch.cat([one, one, two, two], 1)
    assert float(EnsembleDecorrelation(4, 2)(alike)) < 0.01 < 0.3 < float(EnsembleDecorrelation(4)(alike))
    image = alike[:, :, None, None].expand(-1, -1, 3, 3)
    assert float(EnsembleDecorrelation(4)(image)) == pytest.approx(float(EnsembleDecorrelation(4)(alike)))
    assert "group" in EnsembleDecorrelation(4, 2).state_dict()


def test_a_negative_club_has_no_gradient() -> None:
    """q was fitted to the opposite dependence: the difference is negative, and falls as the layer grows."""
    x, y = related()
    club = CRITICS["club"]()
    club.fit(x, -y, steps=100)
    layer = x.clone().requires_grad_()
    assert float(club.bound(layer, y).detach()) < -0.5
    assert float(club.bound(2 * layer, y).detach()) < float(club.bound(layer, y).detach())
    found = club.eval()(layer, y)
    found.backward()
    assert float(found.detach()) == 0 and layer.grad is not None and not layer.grad.any()


def test_club_is_not_below_what_is_true_once_it_is_fitted() -> None:
    x, y = related(512)
    club = CRITICS["club"]()
    club.fit(x, y, steps=150)
    assert float(club.bound(x, y)) > 0.5 * math.log(1 + 1 / 0.25)


def test_club_learns_small_variances() -> None:
    x, _ = related(512)
    club = CLUB(2, 1, hidden=32, lr=0.02)
    club.fit(x, x[:, :1], steps=150)
    _, log_variance = club._heads(x)
    assert float(log_variance.mean()) < -1.5


@EVERY_CRITIC
def test_a_blind_critic_gives_no_value_and_no_gradient(name: str) -> None:
    x, y = related()
    x.requires_grad_()
    term = CRITICS[name]().eval()
    found = term(x, y)
    found.backward()
    assert float(found.detach()) == pytest.approx(0, abs=1e-5)
    assert x.grad is not None and x.grad.abs().max() < 1e-6


@EVERY_CRITIC
def test_the_network_step_leaves_the_critic(name: str) -> None:
    x, y = related()
    term = CRITICS[name]()
    before = copy.deepcopy(term.state_dict())
    x.requires_grad_()
    term(x, y).backward()
    assert all(p.grad is None and not p.requires_grad for p in term.parameters())
    assert any(not torch.equal(before[f"critic.{k}"], v) for k, v in term.critic.state_dict().items())
    fitted = copy.deepcopy(term.critic.state_dict())
    term.eval()(x, y)
    assert all(torch.equal(fitted[k], v) for k, v in term.critic.state_dict().items())


@EVERY_CRITIC
def test_a_copy_is_fitted_by_itself(name: str) -> None:
    x, y = related()
    term = CRITICS[name]()
    again = copy.deepcopy(term)
    again.fit(x, y.double(), steps=20)
    assert not term.bound(x, y).abs() > 1e-5
    assert again.bound(x, y).abs() > 1e-5


@EVERY_CRITIC
def test_a_saved_critic_goes_on_the_same(name: str) -> None:
    x, y = related()
    term = CRITICS[name]()
    term.fit(x, y, steps=5)
    file = io.BytesIO()
    torch.save(term.state_dict(), file)
    file.seek(0)
    again = CRITICS[name]()
    again.load_state_dict(torch.load(file, weights_only=True))
    values = []
    for one in (term, again):
        torch.manual_seed(1)
        values.append(float(one(x, y)))
    assert values[0] == values[1]


@EVERY_CRITIC
def test_a_critic_that_was_fitted_may_be_moved(name: str) -> None:
    """A state is loaded, and then the module goes to the device of the model: its optimizer goes with it."""
    x, y = (table.double() for table in related())
    term = CRITICS[name]()
    term.fit(x, y, steps=2)
    before = copy.deepcopy(term.critic.state_dict())
    term.double()(x, y)
    state = [entry["exp_avg"] for entry in term.optimizer.state_dict()["state"].values()]
    assert {moment.dtype for moment in state} == {torch.float64}
    assert any(not torch.equal(before[key], value) for key, value in term.critic.state_dict().items())


def test_order_2_needs_a_narrower_kernel() -> None:
    """With three medians there is next to nothing to press on."""
    x, y = related()
    wide, one = MatrixRenyi(2.0), MatrixRenyi(2.0, width=1.0)
    assert float(wide(x, y)) < 0.2 * float(one(x, y))
    assert float(one.shuffled(x, y)) < 0.2 * float(one(x, y))


def test_infonce_shows_at_most_the_logarithm_of_the_batch() -> None:
    x, _ = related(16)
    term = CRITICS["infonce"]()
    term.fit(x, x[:, :1], steps=200)
    assert 1.5 < float(term.bound(x, x[:, :1])) < math.log(16)


def test_more_noise_less_information() -> None:
    x, y = related(256)
    values = []
    for noise in (0.1, 1.0):
        torch.manual_seed(0)
        term = MINE(2, 1, noise=noise, hidden=32, lr=0.01)
        term.fit(x, y, steps=150)
        values.append(sum(float(term.bound(x, y)) for _ in range(10)) / 10)
    assert values[0] > values[1] + 0.2


def test_wide_inputs_are_projected() -> None:
    x, _ = related()
    term = MINE(2, 300, noise=0.3, hidden=32, projection=8, lr=0.01)
    assert term.projection is not None and term.projection.shape == (300, 8)
    assert "projection" in term.state_dict() and term.critic.get_parameter("0.weight").shape == (32, 10)
    wide = torch.randn(128, 300)
    term(x, wide)


def test_the_control_has_equal_noise() -> None:
    """What the model gets has the noise that the term is about, whatever the scale of the layer."""
    torch.manual_seed(0)
    mine = MINE(2, 1, noise=0.3)
    outputs = 7 * torch.randn(20000, 2)
    added = mine.noise(outputs) - outputs
    assert float(added.std()) == pytest.approx(0.3 * float(outputs.square().mean().sqrt()), rel=0.02)
    assert torch.equal(mine.noise.eval()(outputs), outputs)


def test_the_bottleneck_passes_on_what_it_bounds() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    bottleneck = VariationalBottleneck(2, start=1.0)
    inputs = torch.randn(6, 3)
    clean = model[0](inputs)
    with Layers(model, "0", change=bottleneck.sample) as layers:
        first, second = model(inputs), model(inputs)
        assert not torch.equal(first, second)
        assert torch.allclose(layers["0"], clean)
        bottleneck.eval()
        assert torch.equal(model(inputs), model(inputs))
    image = torch.randn(5, 2, 1, 1)
    assert bottleneck.train().sample(image).shape == image.shape
    with pytest.raises(ValueError, match=r"^t must have 2 features an example, got shape \(5, 3\)$"):
        bottleneck.sample(torch.zeros(5, 3))


def test_more_beta_less_information() -> None:
    """The noise is learned: the bound falls as beta rises."""
    bounds = []
    for beta in (0.0, 0.01, 1.0):
        torch.manual_seed(0)
        x, y = related()
        layer, head, term = nn.Linear(2, 2), nn.Linear(2, 1), VariationalBottleneck(2)
        weights = [p for module in (layer, head, term) for p in module.parameters()]
        optimizer = torch.optim.Adam(weights, lr=0.03)
        for _ in range(60):
            optimizer.zero_grad()
            t = layer(x)
            loss = nn.functional.mse_loss(head(term.sample(t)), y) + beta * term(t)
            loss.backward()
            optimizer.step()
        bounds.append(float(term(layer(x)).detach()))
    assert bounds[0] > bounds[1] + 1 > bounds[2] + 1


def test_a_narrow_kernel_finds_as_much_in_shuffled_pairs() -> None:
    x, y = related()
    labels = (y[:, 0] > 0).long()
    narrow, wide = MatrixRenyi(width=0.03), MatrixRenyi()
    assert float(narrow.shuffled(x, labels)) > 0.9 * float(narrow(x, labels)) > 0.5
    assert float(wide.shuffled(x, labels)) < 0.2 * float(wide(x, labels))


def test_a_fixed_width_reads_the_scale() -> None:
    x, y = related()
    fixed = MatrixRenyi(width=1.0, per="sqrt(d)")
    small, large = float(fixed(x / 10, y)), float(fixed(10 * x, y))
    assert small < 0.1 * large


def test_the_entropy_of_a_batch_has_its_limits() -> None:
    for alpha in (1.01, 2.0):
        term = MatrixRenyi(alpha, width=1.0, per="sqrt(d)")
        assert float(term.entropy(torch.zeros(8, 2))) == pytest.approx(0, abs=1e-5)
        assert float(term.entropy(100 * torch.arange(8.0))) == pytest.approx(math.log(8), abs=1e-4)


def test_the_scale_of_a_layer_has_no_gradient_where_the_width_is_the_median() -> None:
    x, y = related()
    for term in (NormalizedHSIC(), MatrixRenyi(), CauchySchwarz()):
        scale = torch.ones((), requires_grad=True)
        term(x * scale, y).backward()
        assert scale.grad is not None and abs(float(scale.grad)) < 1e-4


def test_low_precision_around_a_term_changes_nothing() -> None:
    """Distances in bfloat16 would have two digits."""
    x, y = related()
    for term in (NormalizedHSIC(), MatrixRenyi(2.0), CauchySchwarz()):
        with torch.autocast("cpu", torch.bfloat16):
            found = term(x + 10, y)
        assert float(found) == pytest.approx(float(term(x + 10, y)), rel=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        decorrelated = EnsembleDecorrelation(2)(x)
    assert float(decorrelated) == float(EnsembleDecorrelation(2)(x))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: NormalizedHSIC(width=0.0), "width must be a positive number, got 0.0"),
        (lambda: NormalizedHSIC(ridge=-1.0), "ridge must be a positive number, got -1.0"),
        (lambda: MatrixRenyi(alpha=1.0), "alpha must be above 1, got 1.0"),
        (lambda: EnsembleDecorrelation(6, 4), "groups must divide the 6 features, got 4"),
        (lambda: EnsembleDecorrelation(6, 1), "groups must be at least 2, got 1"),
        (lambda: VariationalBottleneck(0), "features must be at least 1, got 0"),
        (lambda: VariationalBottleneck(2, math.inf), "start must be a finite number, got inf"),
        (lambda: CLUB(0, 2), "x_features must be at least 1, got 0"),
        (lambda: InfoNCE(2, 2, lr=-1.0), "lr must be a positive number, got -1.0"),
        (lambda: CLUB(2, 2, steps=-1), "steps must be at least 0, got -1"),
        (
            lambda: MINE(2, 2, noise=0.0),
            "noise must be a positive number, got 0.0: without noise I(X;T) is infinite",
        ),
        (lambda: GaussianNoise(math.nan), "noise must be a positive number, got nan"),
    ],
)
def test_settings_that_are_none_are_refused(build: object, message: str) -> None:
    assert callable(build)
    with pytest.raises(ValueError) as caught:
        build()
    assert str(caught.value) == message


def test_every_critic_is_of_the_table() -> None:
    assert {type(build()) for build in CRITICS.values()} == set(FittedTerm.__subclasses__())
