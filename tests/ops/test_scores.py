"""Scores against slow loops, closed forms, scipy and scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from sklearn.metrics import mutual_info_score

from dljax import InputError
from dljax.ops import scores

SIZES = (3, 4, 5)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(2, 14, 17, 3)).astype(np.float32)
    return x, np.clip(x + rng.normal(size=x.shape) / 5, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def grid():
    """Every point of a grid of factors, ten times, [600, 3]."""
    points = np.stack(np.unravel_index(np.arange(np.prod(SIZES)), SIZES), 1)
    return jnp.array(np.tile(points, (10, 1)))


def test_psnr_of_a_known_error():
    x = jnp.zeros((2, 4, 5, 1))
    found = scores.psnr(x, jnp.stack([x[0] + 0.1, x[1] + 0.01]))
    np.testing.assert_allclose(found, [20, 40], rtol=1e-5)
    np.testing.assert_allclose(scores.psnr(x, x + 51, top=255), 20 * np.log10(5), rtol=1e-5)
    assert jnp.isinf(scores.psnr(x, x)).all()


def slow_ssim(x: np.ndarray, y: np.ndarray, top: float) -> float:
    """Wang et al. 2004, eq. 13, window by window in double precision; x and y [h, w]."""
    taps = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    weights = np.outer(taps, taps) / np.outer(taps, taps).sum()
    c1, c2 = (0.01 * top) ** 2, (0.03 * top) ** 2
    found = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = (v[i : i + 11, j : j + 11].astype(float) for v in (x, y))
            mu_a, mu_b = (weights * a).sum(), (weights * b).sum()
            var_a, var_b = (weights * (a - mu_a) ** 2).sum(), (weights * (b - mu_b) ** 2).sum()
            cov = (weights * (a - mu_a) * (b - mu_b)).sum()
            luminance = (2 * mu_a * mu_b + c1) / (mu_a**2 + mu_b**2 + c1)
            found.append(luminance * (2 * cov + c2) / (var_a + var_b + c2))
    return float(np.mean(found))


@pytest.mark.parametrize("top", [1.0, 255.0])
def test_ssim_is_the_slow_loops(images, top):
    x, y = (top * each for each in images)
    slow = [np.mean([slow_ssim(a[..., c], b[..., c], top) for c in range(3)]) for a, b in zip(x, y)]  # noqa: B905
    np.testing.assert_allclose(jax.jit(scores.ssim, static_argnums=2)(x, y, top), slow, rtol=1e-4)


def test_ssim_is_1_of_itself_alone_symmetric_and_falls_with_noise(images):
    x, y = images
    np.testing.assert_allclose(scores.ssim(x, x), 1, rtol=1e-5)
    np.testing.assert_allclose(scores.ssim(x, y), scores.ssim(y, x), rtol=1e-5)
    half = (x + y) / 2
    assert (scores.ssim(x, y) < scores.ssim(x, half)).all() and (scores.ssim(x, half) < 1).all()
    assert (scores.ssim(x, 1 - x) < 0).all()


def test_ssim_of_two_flat_images_is_their_luminance_alone():
    flat = jnp.ones((12, 12, 1))
    c = 0.01**2
    expected = (2 * 0.2 * 0.6 + c) / (0.2**2 + 0.6**2 + c)
    assert scores.ssim(0.2 * flat, 0.6 * flat) == pytest.approx(expected, rel=1e-3)


def test_a_window_beyond_the_image_is_refused():
    x = jnp.zeros((8, 8, 1))
    with pytest.raises(InputError, match="8 x 8"):
        scores.ssim(x, x)
    np.testing.assert_allclose(scores.ssim(x, x, window=7), 1)


def test_bins_are_numpys_histogram_and_a_constant_code_has_one():
    codes = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    codes[:, 2] = 0.7
    found = np.asarray(scores.bins(jnp.array(codes), 20))
    for k in range(2):
        counts = np.histogram(codes[:, k], 20)[0]
        np.testing.assert_array_equal(np.bincount(found[:, k], minlength=20), counts)
    assert (found[:, 2] == 0).all()


def test_information_is_scikit_learns(grid):
    rng = np.random.default_rng(1)
    codes = jnp.array(np.asarray(grid) @ rng.normal(size=(3, 4)) + rng.normal(size=(600, 4)))
    found = scores.code_information(codes, grid, SIZES, 8)
    inside = np.asarray(scores.bins(codes, 8))
    expected = [[mutual_info_score(inside[:, j], grid[:, k]) for k in range(3)] for j in range(4)]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_mig_of_disentangled_duplicated_and_idle_codes(grid):
    mig = jax.jit(scores.mig, static_argnums=(2, 3))
    idle = jnp.zeros((600, 2))
    apart = jnp.concatenate([grid * jnp.array([[0.3, -2, 1]]), idle], 1)
    assert mig(apart, grid, SIZES) == pytest.approx(1, abs=1e-4)
    assert mig(apart[:, ::-1], grid, SIZES) == pytest.approx(1, abs=1e-4)  # whatever the order
    assert mig(jnp.tile(apart, (1, 2)), grid, SIZES) == pytest.approx(0, abs=1e-5)
    assert mig(idle, grid, SIZES) == pytest.approx(0, abs=1e-5)
    one_twice = jnp.concatenate([apart, apart[:, :1]], 1)
    assert mig(one_twice, grid, SIZES) == pytest.approx(2 / 3, abs=1e-4)


@pytest.fixture(scope="module")
def made():
    """Factors [n, F] drawn uniformly, and codes of them: the factors, turned, and noise."""
    rng = np.random.default_rng(0)
    factors = rng.integers(0, (4, 5, 6), (3000, 3))
    apart = (factors - factors.mean(0)) / factors.std(0) + 0.01 * rng.normal(size=factors.shape)
    # each of three codes tells of all factors alike: a rotation about their diagonal
    c, s = 2 / 3, 1 / 3
    turn = np.array([[c, c, s], [s, -c, c], [-c, s, c]]) @ np.diag([1, 1, -1])
    codes = {"apart": apart, "turned": apart @ turn, "noise": rng.normal(size=factors.shape)}
    return factors, codes


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("apart", 0.95, 1.0), ("turned", 0.0, 0.6), ("noise", 0.0, 0.15)],
)
def test_dci_of_codes_made_by_hand(made, name, low, high):
    factors, codes = made
    train, test = np.split(codes[name], 2)
    found = scores.dci(train, factors[:1500], test, factors[1500:])
    assert low <= found.disentanglement <= high and low <= found.completeness <= high
    right = {"apart": (0.99, 1), "turned": (0.7, 1), "noise": (0.1, 0.3)}[name]
    assert right[0] <= found.informativeness <= right[1]


def test_importances_are_scored_by_hand():
    assert scores.importance_scores(np.eye(3)) == pytest.approx((1, 1))
    assert scores.importance_scores(np.ones((4, 3))) == pytest.approx((0, 0), abs=1e-9)
    # two codes share a factor: each tells of one alone, and a third of the factors is not complete
    both = [[1, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 2]]
    complete = (1 - np.log(2) / np.log(4) + 2) / 3
    assert scores.importance_scores(both) == pytest.approx((1, complete))


@pytest.mark.parametrize(
    ("name", "low", "high"), [("apart", 0.9, 1.0), ("turned", 0.0, 0.2), ("noise", 0.0, 0.03)]
)
def test_mig_of_codes_made_by_hand(made, name, low, high):
    factors, codes = made
    assert low <= scores.mig(jnp.array(codes[name]), jnp.array(factors), (4, 5, 6)) <= high


@pytest.mark.parametrize(("name", "low", "high"), [("apart", 1, 1), ("noise", 0.2, 0.5)])
def test_the_factor_metric_of_codes_made_by_hand(made, name, low, high):
    factors, codes = made
    rng, groups = np.random.default_rng(1), []
    for vote in range(240):
        same = factors[:, vote % 3] == rng.integers(0, 4)
        groups.append(codes[name][rng.choice(np.flatnonzero(same), 30)].var(0))
    spread = np.stack(groups) / codes[name].var(0)
    fixed = np.arange(240) % 3
    assert low <= scores.factor_metric(spread[:120], fixed[:120], spread[120:], fixed[120:]) <= high
    idle = np.concatenate([np.full((240, 1), np.inf), spread], 1)
    found = scores.factor_metric(idle[:120], fixed[:120], idle[120:], fixed[120:])
    assert low <= found <= high


def test_one_code_is_not_taken_apart():
    with pytest.raises(InputError, match="at least 2 codes and 2 factors"):
        scores.dci(np.ones((4, 1)), np.ones((4, 2), int), np.ones((4, 1)), np.ones((4, 2), int))


def test_mig_of_a_code_that_tells_half_of_a_factor():
    """A code that tells one of the factor's two bits, and another that tells nothing: 1 / 2."""
    factor = jnp.arange(400)[:, None] % 4
    codes = jnp.concatenate([factor // 2, factor * 0], 1).astype(jnp.float32)
    assert scores.mig(codes, factor, (4,)) == pytest.approx(0.5, abs=1e-5)


def test_mig_of_a_sweep_is_that_of_each_member(grid):
    codes = jax.random.normal(jax.random.key(0), (3, 600, 4)) + grid[None, :, :1]
    mig = jax.jit(lambda z: scores.mig(z, grid, SIZES))
    found = jax.jit(jax.vmap(mig))(codes)
    np.testing.assert_allclose(found[1], mig(codes[1]), rtol=1e-4)
    with pytest.raises(InputError, match="2 codes"):
        scores.mig(codes[0, :, :1], grid, SIZES)


def differences(key, mixing: np.ndarray, votes: int, pairs: int = 20):
    """Mean differences of codes `factors @ mixing` for pairs that share a factor, and which."""
    k_factor, k_first, k_second = jax.random.split(key, 3)
    factor = jax.random.randint(k_factor, (votes,), 0, 3)
    first, second = (jax.random.normal(k, (votes, pairs, 3)) for k in (k_first, k_second))
    same = jax.nn.one_hot(factor, 3, dtype=bool)[:, None]
    return jnp.abs((first - jnp.where(same, first, second)) @ mixing).mean(1), factor


def test_the_beta_metric_is_1_of_disentangled_codes_and_chance_of_rotated_ones():
    k_train, k_test = jax.random.split(jax.random.key(0))

    def metric(mixing: np.ndarray) -> float:
        return scores.beta_metric(
            *differences(k_train, mixing, 300), *differences(k_test, mixing, 300)
        )

    assert metric(np.eye(3)) == 1
    assert metric(np.diag([1e-3, 1, 50])) == 1  # a code's scale tells nothing
    assert metric(np.eye(3)[:, :1]) < 0.8  # one code tells one factor of three
    assert metric(np.ones((3, 3))) < 0.5


def test_accuracy_within_groups():
    correct, group = jnp.array([1, 0, 1, 1, 0, 1]) == 1, jnp.array([0, 0, 1, 1, 1, 3])
    np.testing.assert_allclose(scores.group_accuracy(correct, group, 4), [0.5, 2 / 3, np.nan, 1])


def spd(rng, d: int, rank: int) -> np.ndarray:
    root = rng.normal(size=(d, rank))
    return root @ root.T / rank


def test_frechet_of_shifted_and_scaled_gaussians():
    mean, cov = jnp.array([1.0, 2, 3]), jnp.diag(jnp.array([1.0, 4, 9]))
    frechet = jax.jit(scores.frechet)
    assert frechet(mean, cov, mean, cov) == pytest.approx(0, abs=1e-4)
    assert frechet(mean, cov, mean + 2, cov) == pytest.approx(12, rel=1e-5)
    # of independent coordinates: the squared differences of their standard deviations
    assert frechet(mean, cov, mean, 4 * cov) == pytest.approx(1 + 4 + 9, rel=1e-5)
    assert frechet(mean, cov, mean, 0 * cov) == pytest.approx(14, rel=1e-5)


@pytest.mark.parametrize(("p_rank", "q_rank"), [(30, 30), (4, 30), (4, 5)])
def test_frechet_is_that_of_scipys_root_also_of_flat_gaussians(p_rank, q_rank):
    rng = np.random.default_rng(p_rank)
    means, covs = rng.normal(size=(2, 12)), (spd(rng, 12, p_rank), spd(rng, 12, q_rank))
    product = covs[0] @ covs[1] + 1e-12 * np.eye(12)
    root = scipy.linalg.sqrtm(product).real
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(covs[0] + covs[1] - 2 * root)
    args = [jnp.array(each, jnp.float32) for each in (means[0], covs[0], means[1], covs[1])]
    assert scores.frechet(*args) == pytest.approx(expected, rel=1e-3)
    assert scores.frechet(*args[2:], *args[:2]) == pytest.approx(expected, rel=1e-3)


def test_a_constant_factor_does_not_count(grid):
    """Nothing can be told of it, whose entropy is 0: the gap is that of the others."""
    still = jnp.concatenate([grid, grid[:, :1] * 0 + 1], 1)
    codes, mig = grid * jnp.array([[1.0, 1, 0]]), jax.jit(scores.mig, static_argnums=2)
    assert mig(codes, still, (*SIZES, 2)) == pytest.approx(2 / 3, abs=1e-4)
    assert mig(codes, 0 * still, (*SIZES, 2)) == 0
