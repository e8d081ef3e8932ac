"""What a network knows that it does not know (S53): six methods, one shape of answer.

Every method ends in a `Told`. In regression a network gives two numbers, read by `gaussian`, or
four, read by `evidence`; in classification logits. Several answers, of a sweep's members or of one
network's draws, become one by `mixture` or `chances`, by the law of total variance.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.custom_batching import sequential_vmap
from jax.scipy import stats

from dljax.errors import InputError, check_count
from dljax.learn import risk, shapes
from dljax.learner import Learner, Member, sweep
from dljax.nets import bayesian
from dljax.ops.likelihoods import Evidence, covered, crps, dirichlet_kl, evidential
from dljax.typing import Array, Batch, Key, Metrics, PyTree

LEAST = 1e-4  # of a variance, lest a point be told with certainty; targets have about unit variance


class Told(NamedTuple):
    """A forecast: `Var y = aleatoric + epistemic`, of what is noise and of what is not known.

    Regression: all [n]. Classification: mean, the chances [n, K]; the variances [n] are those of
    the label's indicators, summed over classes, so that `1 - sum_k mean_k^2` is their sum.
    """

    mean: Array
    aleatoric: Array
    epistemic: Array

    @property
    def sd(self) -> Array:
        return jnp.sqrt(self.aleatoric + self.epistemic)


def gaussian(outputs: Array) -> tuple[Array, Array]:
    """Mean and variance, [...] each, of outputs [..., 2]: `softplus` makes the second positive."""
    return outputs[..., 0], jax.nn.softplus(outputs[..., 1]) + LEAST


def gaussian_loss(outputs: Array, y: Array) -> Array:
    """`-log N(y; mean, variance)` in nats, y [...]. Nix and Weigend 1994."""
    mean, variance = gaussian(outputs)
    return -stats.norm.logpdf(y, mean, jnp.sqrt(variance))


def mixture(means: Array, variances: Array) -> Told:
    """Gaussians [M, n] as one: the mean of means, the mean of variances, the variance of means.

    Lakshminarayanan, Pritzel and Blundell 2017, section 2.4. Raises InputError if M is below 2: one
    answer does not say how much it depends on the training.
    """
    several(len(means))
    return Told(means.mean(0), variances.mean(0), means.var(0))


def chances(p: Array) -> Told:
    """Chances p [M, n, K] of several networks or draws as one; raises InputError as `mixture`."""
    several(len(p))
    return Told(p.mean(0), (p * (1 - p)).mean(0).sum(-1), p.var(0).sum(-1))


def several(members: int) -> None:
    if members < 2:
        raise InputError(
            f"2 members or draws are the least, of which one may differ; got {members}"
        )


def evidence(outputs: Array) -> Evidence:
    """A belief of each of outputs [..., 4]: pairs and scale above 0, shape above 1."""
    mean, *rest = (outputs[..., i] for i in range(4))
    pairs, shape, scale = (jax.nn.softplus(each) + LEAST for each in rest)
    return Evidence(mean, pairs, 1 + shape, scale)


def evidential_loss(outputs: Array, y: Array, regulariser: float | Array) -> Array:
    """`-log St(y) + regulariser |y - mean| (2 pairs + shape)`: evidence costs where it errs.

    Amini et al. 2020, eqs. 8 to 10.
    """
    belief = evidence(outputs)
    wrong = jnp.abs(y - belief.mean) * (2 * belief.pairs + belief.shape)
    return regulariser * wrong - evidential(y, belief)


def believed(outputs: Array) -> Told:
    """`E s = scale / (shape - 1)`, and `Var m = E s / pairs`. Amini et al. 2020, eq. 5."""
    belief = evidence(outputs)
    noise = belief.scale / (belief.shape - 1)
    return Told(belief.mean, noise, noise / belief.pairs)


def dirichlet(outputs: Array) -> Array:
    """Concentrations `1 + softplus(z)` of outputs [..., K]."""
    return 1 + jax.nn.softplus(outputs)


def dirichlet_loss(outputs: Array, y: Array, regulariser: float | Array) -> Array:
    """`E |onehot(y) - p|^2 + regulariser KL(Dir(a~) || Dir(1))`, a~ without the label's evidence.

    outputs [..., K], labels y [...]. Sensoy, Kaplan and Kandemir 2018, eq. 5 and below.
    """
    told, label = of_dirichlet(outputs), jax.nn.one_hot(y, outputs.shape[-1])
    wrong = label + (1 - label) * dirichlet(outputs)
    error = jnp.square(label - told.mean).sum(-1) + told.epistemic
    return error + regulariser * dirichlet_kl(wrong)


def of_dirichlet(outputs: Array) -> Told:
    """Chances `p = a / A`, A the sum of a; `Var p = p (1 - p) / (A + 1)`, the rest is noise."""
    a = dirichlet(outputs)
    total = a.sum(-1, keepdims=True)
    p = a / total
    whole = (p * (1 - p)).sum(-1)
    unknown = whole / (total[..., 0] + 1)
    return Told(p, whole - unknown, unknown)


class Ensemble(NamedTuple):
    """A state of several runs; no sweep, whose members would be measured apart."""

    members: Member


def ensemble(learner: Learner, members: int) -> Learner:
    """`members` runs of a learner as one, each from its own start, in one program.

    Its state is an `Ensemble`, its metrics the members' means. Raises InputError if there are fewer
    than 2. Lakshminarayanan et al. 2017.
    """
    several(members)
    many = sweep(lambda _: learner, None, range(members))

    def step(key: Key, state: Ensemble) -> tuple[Ensemble, Metrics]:
        members, metrics = many.step(key, state.members)
        return Ensemble(members), jax.tree.map(lambda values: values.mean(0), metrics)

    return Learner(lambda key: Ensemble(many.init(key)), step)


def variational(
    net: nn.Module,
    tx: optax.GradientTransformation,
    data: Batch,
    loss: risk.Loss,
    *,
    batch: int,
    prior: float | Array,
    temperature: float | Array = 1.0,
    augment: Callable[[Key, Array], Array] | None = None,
) -> Learner:
    """Bayes by backprop: `1/B sum_i L(f(x_i; w), y_i) + T KL(q(w) || N(0, prior^2)) / n`, w ~ q.

    `net` is of `nets.bayesian`. At a temperature T below 1 the prior counts for less than Bayes'
    rule says (Wenzel et al. 2020). Raises InputError as `risk.make`. Blundell et al. 2015, eq. 2.
    """
    expected = risk.objective(net, loss)

    def objective(params: PyTree, extra: PyTree, drawn: Batch, key: Key):
        value, (extra, metrics) = expected(params, extra, drawn, key)
        divergence = bayesian.kl(params, prior)
        return value + temperature * divergence / len(data.y), (extra, metrics | {"kl": divergence})

    changed = risk.of_inputs(augment)
    learner = risk.descend(net, objective, tx, data, batch=batch, augment=changed)
    shapes.check_targets(shapes.given(net, lambda: risk.first(data.x, augment)), data.y, loss)
    return learner


def draws(net: nn.Module, params: PyTree, x: Array, key: Key, count: int) -> Array:
    """Outputs [count, n, K] of x [n, ...] with dropout left on, or weights drawn: `train=True`.

    Gal and Ghahramani 2016; Blundell et al. 2015. Raises InputError if `count` is below 2.
    """
    several(count)

    def one(key: Key) -> Array:
        return net.apply({"params": params}, x, train=True, rngs={"dropout": key})  # pyright: ignore

    return jax.vmap(one)(jax.random.split(key, count))


def laplace(
    net: nn.Module, params: PyTree, last: str, fit: Array, x: Array, precision: float | Array
) -> Told:
    """Told by the Gaussian posterior of the last layer's weights around where training left them.

    `epistemic = f' H^-1 f`, `H = sum_i f_i f_i' / variance_i + precision I`, f the gradient of the
    mean by the weights of the layer `last`, summed over `fit` [m, ...], what it learnt from; of x
    [n, ...].
    MacKay 1992; Daxberger et al. 2021, section 2.
    """

    def outputs(x: Array, own: PyTree) -> Array:
        return net.apply({"params": params | {last: own}}, x)  # pyright: ignore

    def slopes(x: Array) -> Array:
        by_weights = jax.jacrev(lambda own: outputs(x, own)[:, 0])(params[last])
        return jnp.concatenate(
            [leaf.reshape(len(x), -1) for leaf in jax.tree.leaves(by_weights)], 1
        )

    f, variance = slopes(fit), gaussian(outputs(fit, params[last]))[1]
    hessian = f.T @ (f / variance[:, None]) + precision * jnp.eye(f.shape[1])
    mean, noise = gaussian(outputs(x, params[last]))
    there = slopes(x)
    # one after another under vmap: jaxlib 0.10.2 on 2 devices waits for ever in several at once
    solved = sequential_vmap(jnp.linalg.solve)(hessian, there.T)
    unknown = (there * solved.T).sum(1)
    return Told(mean, noise, unknown)


def scores(told: Told, y: Array, share: float = 0.9) -> Metrics:
    """RMSE, negative log-likelihood in nats, CRPS and the coverage of `share` intervals, y [n].

    As if the forecast were one Gaussian, in the unit of y.
    """
    return {
        "RMSE": jnp.sqrt(jnp.square(y - told.mean).mean()),
        "NLL": -stats.norm.logpdf(y, told.mean, told.sd).mean(),
        "CRPS": crps(y, told.mean, told.sd).mean(),
        "coverage": covered(y, told.mean, told.sd, share).mean(),
    }


def stretch(told: Told, y: Array) -> Array:
    """The factor of the variance under which y [n] is most likely: `mean (y - m)^2 / Var`.

    Above 1 the forecast was too sure. Kuleshov et al. 2018 recalibrate by more than a factor.
    """
    return (jnp.square(y - told.mean) / (told.aleatoric + told.epistemic)).mean()


def temperature(logits: Array, labels: Array, steps: int = 40) -> Array:
    """The T in [1/32, 32] under which labels [n] are most likely, by softmax(logits [n, K] / T).

    By golden-section search: the likelihood is concave in 1 / T. Guo et al. 2017, section 4.2.
    """
    check_count(steps=steps)
    ratio = (5**0.5 - 1) / 2

    def loss(log_t: Array) -> Array:
        scaled = logits * jnp.exp(-log_t)
        return optax.softmax_cross_entropy_with_integer_labels(scaled, labels).mean()

    def narrow(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        left = loss(a) < loss(b)
        return jnp.where(left, low, a), jnp.where(left, b, high)

    ends = (-jnp.log(jnp.float32(32)), jnp.log(jnp.float32(32)))
    low, high = jax.lax.fori_loop(0, steps, narrow, ends)
    return jnp.exp((low + high) / 2)
