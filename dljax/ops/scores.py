"""How good pictures, latent codes and samples are (S34, S35, S38, S39, S43).

For the area under a ROC curve use scikit-learn's `roc_auc_score` on the host.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, Real
from numpy.typing import ArrayLike

from dljax.errors import InputError
from dljax.ops.divergences import entropy, information_gain
from dljax.typing import AnyArray, Array

Images = Real[AnyArray, "*batch h w c"]
Codes = Real[AnyArray, "n K"]
Factors = Int[AnyArray, "n F"]
Mean = Float[AnyArray, "d"]
Covariance = Float[AnyArray, "d d"]


def psnr(x: Images, y: Images, top: float = 1.0) -> Float[Array, "*batch"]:
    """`10 log10(top^2 / mean (x - y)^2)` decibels of images [..., h, w, c] in [0, top]."""
    return 10 * jnp.log10(top**2 / jnp.mean((x - y) ** 2, (-3, -2, -1)))


def ssim(
    x: Images, y: Images, top: float = 1.0, window: int = 11, sigma: float = 1.5
) -> Float[Array, "*batch"]:
    """Structural similarity of images [..., h, w, c] in [0, top], at most 1, and 1 iff they agree.

    `(2 m_x m_y + a)(2 s_xy + b) / ((m_x^2 + m_y^2 + a)(s_x^2 + s_y^2 + b))` with a = (top / 100)^2,
    b = (3 top / 100)^2, and means and (co)variances under a Gaussian window; then the mean over
    channels and over the windows that lie inside. Raises InputError if `window` does not fit into
    the image. Wang et al. 2004, eqs. 13 to 17.
    """
    h, w = x.shape[-3:-1]
    if not 1 <= window <= min(h, w):
        raise InputError(f"the window of {window} pixels must fit into the image of {h} x {w}")
    rows, columns = gaussian_windows(h, window, sigma), gaussian_windows(w, window, sigma)

    def mean(image: Images) -> Array:
        return jnp.einsum("ih,jw,...hwc->...ijc", rows, columns, image)

    m_x, m_y = mean(x), mean(y)
    var_x, var_y, cov = mean(x * x) - m_x**2, mean(y * y) - m_y**2, mean(x * y) - m_x * m_y
    a, b = (0.01 * top) ** 2, (0.03 * top) ** 2
    alike = (2 * m_x * m_y + a) * (2 * cov + b) / ((m_x**2 + m_y**2 + a) * (var_x + var_y + b))
    return alike.mean((-3, -2, -1))


def gaussian_windows(n: int, window: int, sigma: float) -> Float[np.ndarray, "places {n}"]:
    """Each row the normalised Gaussian window at one of its places in 0..n - 1."""
    taps = np.exp(-0.5 * ((np.arange(window) - (window - 1) / 2) / sigma) ** 2)
    rows = np.zeros((n - window + 1, n), np.float32)
    for place, row in enumerate(rows):
        row[place : place + window] = taps / taps.sum()
    return rows


def bins(codes: Real[AnyArray, "rows *K"], n: int = 20) -> Int[Array, "rows *K"]:
    """Codes [..., K] over the first axis into `n` bins of equal width from least to greatest."""
    low, high = codes.min(0), codes.max(0)
    share = (codes - low[None]) / jnp.where(high > low, high - low, 1)[None]
    return jnp.clip((share * n).astype(jnp.int32), 0, n - 1)


def code_information(
    codes: Codes, factors: Factors, sizes: Sequence[int], n: int = 20
) -> Float[Array, "K F"]:
    """`I(z_j; v_k)` in nats, [K, F], of binned codes [n, K] and factors [n, F] in 0..sizes[k] - 1.

    From counts, hence too large by about `(bins - 1)(sizes[k] - 1) / 2n` (Miller 1955).
    """
    inside = jax.nn.one_hot(bins(codes, n), n)

    def one(factor: AnyArray, size: int) -> Array:
        joint = jnp.einsum("nkb,nv->kbv", inside, jax.nn.one_hot(factor, size))
        return information_gain(joint / len(codes))

    return jnp.stack([one(factors[:, k], size) for k, size in enumerate(sizes)], 1)


def mig(codes: Codes, factors: Factors, sizes: Sequence[int], n: int = 20) -> Float[Array, ""]:
    """Mutual information gap: `mean_k (I(z_(1); v_k) - I(z_(2); v_k)) / H(v_k)`, in [0, 1].

    z_(1) and z_(2) are the two codes that tell most of the factor v_k: 1 where each factor is told
    wholly, by one code alone. A factor that is constant has nothing to be told and does not count;
    0 if all are. codes [n, K], K > 1; factors [n, F]. Draw the codes from the
    posterior: the mean of a unit that is all noise may still tell much. Raises InputError if K is
    1. Chen et al. 2018, eq. 6; 20 bins as in Locatello et al. 2019.
    """
    if codes.shape[-1] < 2:
        raise InputError("the mutual information gap needs at least 2 codes")
    information = jnp.sort(code_information(codes, factors, sizes, n), 0)
    shares = [jax.nn.one_hot(factors[:, k], size).mean(0) for k, size in enumerate(sizes)]
    varied = jnp.stack([*map(entropy, shares)])
    gaps = (information[-1] - information[-2]) / jnp.where(varied > 0, varied, 1)
    return jnp.where(varied > 0, gaps, 0).sum() / jnp.maximum((varied > 0).sum(), 1)


def beta_metric(train: ArrayLike, factor: ArrayLike, test: ArrayLike, answer: ArrayLike) -> float:
    """The beta-VAE metric: how often a linear classifier tells which factor pairs have in common.

    train [V, K] and test [W, K] are mean absolute differences `mean_l |z(x_l) - z(x'_l)|` over
    pairs that agree in one factor, whose number is the label, factor [V] and answer [W]. On the
    host: the classifier is scikit-learn's, on standardised differences. Higgins et al. 2017,
    section 3.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return float(model.fit(np.asarray(train), np.asarray(factor)).score(test, answer))


def factor_metric(train: ArrayLike, factor: ArrayLike, test: ArrayLike, answer: ArrayLike) -> float:
    """The FactorVAE metric: how often the code of the least variance tells what a group shares.

    train [V, K] and test [W, K] are variances of codes over groups of images that agree in one
    factor, whose number is the label, factor [V] and answer [W]; each divided by its code's
    variance over all images, and infinite for a code that says nothing. The classifier gives each
    code the factor that it stood for most. Kim and Mnih 2018, section 4.
    """
    best, factor = np.asarray(train).argmin(1), np.asarray(factor)
    votes = np.zeros((np.shape(train)[1], factor.max() + 1), int)
    np.add.at(votes, (best, factor), 1)
    return float((votes.argmax(1)[np.asarray(test).argmin(1)] == np.asarray(answer)).mean())


class DCI(NamedTuple):
    """Each in [0, 1]; 1 where a code tells of one factor, and a factor is told by one code."""

    disentanglement: float
    completeness: float
    informativeness: float


def importance_scores(importance: ArrayLike) -> tuple[float, float]:
    """Disentanglement and completeness of how much code j counts for factor k, [K, F], >= 0.

    `D = sum_j r_j (1 - H_F(R_j / sum_k R_jk))` and `C = mean_k (1 - H_K(R_k / sum_j R_jk))`, with
    H_B the entropy to base B, and r_j the share of all that is j's. 0 where all count equally.
    Eastwood and Williams 2018, section 2.
    """
    found = np.asarray(importance, float)
    share = found / max(found.sum(), 1e-12)

    def sharp(rows: np.ndarray) -> np.ndarray:
        p = rows / np.maximum(rows.sum(1, keepdims=True), 1e-12)
        return 1 + (p * np.log(np.maximum(p, 1e-12))).sum(1) / np.log(rows.shape[1])

    return float((share.sum(1) * sharp(found)).sum()), float(sharp(found.T).mean())


def dci(train: ArrayLike, factors: ArrayLike, test: ArrayLike, answers: ArrayLike) -> DCI:
    """Disentanglement, completeness and informativeness of codes [n, K] for factors [n, F].

    What counts are importances of scikit-learn's random forests, one a factor; informativeness is
    their mean accuracy on test codes, at most 1. On the host. Raises InputError for fewer than 2
    codes or factors, of which there is nothing to take apart. Eastwood and Williams 2018.
    """
    from sklearn.ensemble import RandomForestClassifier

    train, factors, answers = np.asarray(train), np.asarray(factors), np.asarray(answers)
    if train.shape[1] < 2 or factors.shape[1] < 2:
        raise InputError("importances need at least 2 codes and 2 factors")
    # trees see every code at every split: of a few, the best of those would count that are no help
    options = {"max_features": None, "min_samples_leaf": 3, "random_state": 0}
    forests = [RandomForestClassifier(30, **options).fit(train, column) for column in factors.T]
    right = [forest.score(test, answer) for forest, answer in zip(forests, answers.T, strict=True)]
    importance = np.stack([forest.feature_importances_ for forest in forests], 1)
    return DCI(*importance_scores(importance), float(np.mean(right)))


def group_accuracy(
    correct: Bool[AnyArray, "n"], group: Int[AnyArray, "n"], groups: int
) -> Float[Array, "{groups}"]:
    """The share of `correct` [n] within each group, [groups]; the worst group's is the least.

    group [n] in 0..groups - 1; NaN for a group with no member. Sagawa et al. 2020.
    """
    member = jax.nn.one_hot(group, groups)
    return jnp.asarray(correct, jnp.float32) @ member / member.sum(0)


def frechet(mean_p: Mean, cov_p: Covariance, mean_q: Mean, cov_q: Covariance) -> Float[Array, ""]:
    """`|m_p - m_q|^2 + tr(C_p + C_q - 2 (C_p^1/2 C_q C_p^1/2)^1/2)`: 0 iff the Gaussians agree.

    means [d], covariances [d, d]. Dowson and Landau 1982; on features of a network, Heusel et al.
    2017.
    """
    # the trace is the nuclear norm of the roots' product, which takes no root of a rounding error
    shared = jnp.linalg.svd(matrix_root(cov_p) @ matrix_root(cov_q), compute_uv=False).sum()
    return jnp.sum((mean_p - mean_q) ** 2) + jnp.trace(cov_p) + jnp.trace(cov_q) - 2 * shared


def matrix_root(matrix: Covariance) -> Covariance:
    """The symmetric positive root R of a symmetric positive matrix, `R R = matrix`."""
    values, vectors = jnp.linalg.eigh(matrix)
    return (vectors * jnp.sqrt(jnp.maximum(values, 0))[None]) @ vectors.T
