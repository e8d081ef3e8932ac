"""Adversarial examples and training against them (S54): small changes of the input that fool.

An `Attack` is a pure function of a key, a network as a function of images, an aim and the images;
each image is attacked by itself. It works for any network that tells classes, and it may be told a
traced size, so that one program measures many.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from dljax.data.stream import unit_scale
from dljax.errors import InputError, check_count, check_sizes
from dljax.learn import classify, risk, shapes
from dljax.learn.autoencode import check_pixels
from dljax.learner import Learner, Objective
from dljax.typing import Array, Batch, Key, Metrics, PyTree

Logits = Callable[[Array], Array]
"""Images x [B, ...] in [0, 1] -> logits [B, K], each image's of it alone."""
Size = float | Array


class Aim(NamedTuple):
    """What each attack should reach: another label than its own, or a label it is told."""

    label: Any  # [B]
    away: Any  # bool [B]: from the label, or else towards it


Attack = Callable[[Key, Logits, Aim, Array], Array]
"""`(key, logits, aim, x) -> x'`, x and x' [B, ...] with all pixels in [0, 1]."""


def away(y: Any) -> Aim:
    """Any mistake about images of labels y [B]."""
    return Aim(jnp.asarray(y), jnp.ones(len(y), bool))


def towards(target: Any, y: Any) -> Aim:
    """The labels `target` [B] for images of labels y [B]; InputError where both are one."""
    if not isinstance(target, Tracer) and not isinstance(y, Tracer):
        same = np.flatnonzero(np.asarray(target) == np.asarray(y))
        if len(same):
            label = np.asarray(y)[same[0]]
            raise InputError(f"a target must differ from its label; image {same[0]} has {label}")
    return Aim(jnp.asarray(target), jnp.zeros(len(y), bool))


def reached(aim: Aim, logits: Array) -> Array:
    """Whether logits [B, K] are as each aim wants, [B]."""
    return (logits.argmax(-1) == aim.label) != aim.away


def deficit(logits: Array, labels: Array) -> Array:
    """`l = log sum_{k != y} e^{z_k} - z_y`, of which `J = log(1 + e^l)`; [B, K] -> [B].

    What attacks within a ball climb: its gradient has J's direction, and its size does not vanish
    however sure the network is, which would hide the way.
    """
    own = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    rest = jax.nn.logsumexp(jnp.where(own, -jnp.inf, logits), -1)
    return rest - jnp.take_along_axis(logits, labels[:, None], -1)[:, 0]


def cross_entropy(logits: Array, labels: Array) -> Array:
    """`J = -log softmax(z)_y`, [B, K] -> [B]."""
    return jax.nn.softplus(deficit(logits, labels))


class Ball(NamedTuple):
    """The changes of one image whose norm is at most a radius; all take and give [B, ...]."""

    project: Callable[[Array, Size], Array]  # the nearest change of at most this radius
    steepest: Callable[[Array], Array]  # the d of norm 1 with the greatest <g, d>, 0 where g is
    draw: Callable[[Key, Array], Array]  # uniform in the ball of radius 1, for images such as these
    diameter: Callable[[Sequence[int]], float]  # of all images of a shape [B, ...]


def norm(d: Array) -> Array:
    """`|d|_2` of each of d [B, ...], [B, 1, ...]."""
    return jnp.sqrt(jnp.square(d).sum(range(1, d.ndim), keepdims=True))


def project_l2(d: Array, radius: Size) -> Array:
    return d * jnp.minimum(1, radius / jnp.maximum(norm(d), 1e-12))


def steepest_l2(g: Array) -> Array:
    largest = jnp.abs(g).max(range(1, g.ndim), keepdims=True)
    g = g / jnp.where(largest > 0, largest, 1)  # else the squares of a sure network's underflow
    return g / jnp.maximum(norm(g), 1e-12)


def draw_l2(key: Key, x: Array) -> Array:
    k_direction, k_radius = jax.random.split(key)
    radius = jax.random.uniform(k_radius, (len(x), *[1] * (x.ndim - 1)), x.dtype)
    direction = steepest_l2(jax.random.normal(k_direction, x.shape, x.dtype))
    return direction * radius ** (1 / math.prod(x.shape[1:]))


LINF = Ball(
    lambda d, radius: jnp.clip(d, -radius, radius),
    jnp.sign,
    lambda key, x: jax.random.uniform(key, x.shape, x.dtype, minval=-1),
    lambda shape: 1.0,
)
L2 = Ball(project_l2, steepest_l2, draw_l2, lambda shape: math.sqrt(math.prod(shape[1:])))


def within(x: Array, moved: Array, epsilon: Size, ball: Ball) -> Array:
    """Images moved from x, put back into the ball around it and into [0, 1].

    Cutting pixels brings each nearer to x, which has its own in [0, 1], and so leaves no ball.
    """
    return jnp.clip(x + ball.project(moved - x, epsilon), 0, 1)


def slope(
    logits: Logits, aim: Aim, x: Array, loss: Callable[[Array, Array], Array] = deficit
) -> tuple[Array, Array]:
    """`d L / dx` [B, ...] at x away from a label, `-d L / dx` towards it; and `reached` there."""

    def total(x: Array) -> tuple[Array, Array]:
        z = logits(x)
        return (jnp.where(aim.away, 1, -1) * loss(z, aim.label)).sum(), reached(aim, z)

    return jax.grad(total, has_aux=True)(x)


def gradient(eta: Size) -> Attack:
    """`x + eta dJ/dx`, as the lecture's notes print it: no sign, no ball; cut to [0, 1]."""
    check_sizes(eta=eta)

    def attack(key: Key, logits: Logits, aim: Aim, x: Array) -> Array:
        check_pixels(x)
        return jnp.clip(x + eta * slope(logits, aim, x, cross_entropy)[0], 0, 1)

    return attack


def fgsm(epsilon: Size, ball: Ball = LINF) -> Attack:
    """`x + epsilon d`, d the steepest of norm 1: `sign dJ/dx`, or `dJ/dx` over its norm in L2.

    Goodfellow et al. 2015.
    """
    check_sizes(epsilon=epsilon)

    def attack(key: Key, logits: Logits, aim: Aim, x: Array) -> Array:
        check_ball(x, epsilon, ball)
        return within(x, x + epsilon * ball.steepest(slope(logits, aim, x)[0]), epsilon, ball)

    return attack


def noise(epsilon: Size, ball: Ball = LINF) -> Attack:
    """A step as long as FGSM's, in the direction of a Gaussian instead of the gradient.

    Random signs, or a uniform direction in L2: what the size alone does.
    """
    check_sizes(epsilon=epsilon)

    def attack(key: Key, logits: Logits, aim: Aim, x: Array) -> Array:
        check_ball(x, epsilon, ball)
        direction = ball.steepest(jax.random.normal(key, x.shape, x.dtype))
        return within(x, x + epsilon * direction, epsilon, ball)

    return attack


def climb(epsilon: Size, step: Size, steps: int | Array, ball: Ball = LINF) -> Attack:
    """From a random start, `steps` times `x' <- P(x' + step d)`, d the steepest and P `within`.

    The start is in the ball, and its pixels may leave [0, 1], as Wong et al. 2020 have it: half of
    MNIST's are at an end, and cut there would start where they are. What networks are trained
    against: Madry et al. 2018; by one step of 1.25 epsilon, Wong et al. 2020.
    """
    check_sizes(epsilon=epsilon, step=step)
    if isinstance(steps, int):
        check_count(steps=steps)

    def attack(key: Key, logits: Logits, aim: Aim, x: Array) -> Array:
        check_ball(x, epsilon, ball)

        def up(_: Any, moved: Array) -> Array:
            direction = ball.steepest(slope(logits, aim, moved)[0])
            return within(x, moved + step * direction, epsilon, ball)

        return jax.lax.fori_loop(0, steps, up, x + epsilon * ball.draw(key, x))

    return attack


def drawn(attack_of: Callable[[Array], Attack], epsilon: Size) -> Attack:
    """`attack_of(e)`, a size of each image's own: `e = epsilon min(1, 2 u)`, u uniform in (0, 1).

    What networks learn from: under several steps of the full size they stay where all chances are
    equal, and of one step at it they learn to hide their gradient.
    """
    check_sizes(epsilon=epsilon)

    def attack(key: Key, logits: Logits, aim: Aim, x: Array) -> Array:
        check_ball(x, epsilon, LINF)
        k_size, k_attack = jax.random.split(key)
        u = jax.random.uniform(k_size, (len(x), *[1] * (x.ndim - 1)), x.dtype)
        return attack_of(epsilon * jnp.minimum(1, 2 * u))(k_attack, logits, aim, x)

    return attack


def pgd(
    epsilon: Size,
    step: Size,
    steps: int | Array,
    restarts: int | Array = 1,
    ball: Ball = LINF,
) -> Attack:
    """`climb` again and again until the aim is reached: the attack that accuracy is measured by.

    Every point on the way counts, the image itself among them. An image whose aim is reached is
    dropped: it keeps what was found, and once all are the rest is not computed. Otherwise it ends
    where its last climb did. Restart i draws from `fold_in(key, i)`, so that with more restarts, or
    more steps of a length, no fewer are reached. Madry et al. 2018.
    """
    check_sizes(epsilon=epsilon, step=step)
    for name, value in {"steps": steps, "restarts": restarts}.items():
        if isinstance(value, int):
            check_count(**{name: value})

    def attack(key: Key, logits: Logits, aim: Aim, x: Array) -> Array:
        check_ball(x, epsilon, ball)

        def keep(done: Array, found: Array, new: Array) -> Array:
            return jnp.where(done.reshape(-1, *[1] * (x.ndim - 1)), found, new)

        def loop(limit: int | Array, body: Callable, found: Array, done: Array) -> PyTree:
            def left(carry: PyTree) -> Array:
                i, _, done = carry
                return (i < limit) & ~done.all()

            def turn(carry: PyTree) -> PyTree:
                i, *rest = carry
                return i + 1, *body(i, *rest)

            return jax.lax.while_loop(left, turn, (jnp.int32(0), found, done))[1:]

        def up(_: Array, found: Array, done: Array) -> PyTree:
            g, there = slope(logits, aim, found)
            done = done | there
            new = within(x, found + step * ball.steepest(g), epsilon, ball)
            return keep(done, found, new), done

        def restart(i: Array, found: Array, done: Array) -> PyTree:
            start = x + epsilon * ball.draw(jax.random.fold_in(key, i), x)
            new = within(x, start, epsilon, ball)  # cut: it counts, as every point does
            found, done = loop(steps, up, keep(done, found, new), done)
            return found, done | reached(aim, logits(found))

        return loop(restarts, restart, x, reached(aim, logits(x)))[0]

    return attack


def examples(attack: Attack, key: Key, logits: Logits, aim: Aim, x: Any, chunk: int = 250) -> Array:
    """The attacked images of x [n, ...], uint8 or in [0, 1], at most `chunk` in memory at a time.

    Raises InputError for no images, pixels outside [0, 1], an aim that is no class of the network,
    and a size that is negative or above the range.
    """
    return in_pieces(attack, key, logits, aim, x, chunk)


def succeeds(attack: Attack, key: Key, logits: Logits, aim: Aim, x: Any, chunk: int = 250) -> Array:
    """Whether the attacked images of x [n, ...] are as their aims want, bool [n]; as `examples`."""

    def piece(key: Key, logits: Logits, aim: Aim, x: Array) -> Array:
        return reached(aim, logits(attack(key, logits, aim, x)))

    return in_pieces(piece, key, logits, aim, x, chunk)


def in_pieces(f: Attack, key: Key, logits: Logits, aim: Aim, x: Any, chunk: int) -> Array:
    if not len(x):
        raise InputError("no images to attack")
    check_pixels(x)
    shapes.check_labels(jax.eval_shape(lambda: logits(unit_scale(jnp.asarray(x[:1])))), aim.label)
    x = jnp.asarray(x)
    pieces = -(-len(x) // chunk)
    size = -(-len(x) // pieces)
    # whole batches, the last filled up: a convolution under vmap takes up to four times as long
    rows = jnp.minimum(jnp.arange(pieces * size), len(x) - 1).reshape(pieces, size)

    def piece(given: tuple[Key, Array]) -> Array:
        key, rows = given
        return f(key, logits, Aim(aim.label[rows], aim.away[rows]), unit_scale(x[rows]))

    found = jax.lax.map(piece, (jax.random.split(key, pieces), rows))
    return found.reshape(-1, *found.shape[2:])[: len(x)]


def network(net: nn.Module, weights: classify.Weights) -> Logits:
    """A trained network as a function of images in [0, 1]."""
    params, extra = weights
    return lambda x: net.apply({"params": params, **extra}, x)  # pyright: ignore[reportReturnType]


def evaluate(
    net: nn.Module,
    weights: classify.Weights,
    attack: Attack,
    data: Batch,
    key: Key,
    split: str = "validation",
) -> Metrics:
    """`split/robust accuracy`: the share of `data` whose label is told under attack too."""
    fooled = succeeds(attack, key, network(net, weights), away(data.y), data.x)
    return {f"{split}/robust accuracy": (~fooled).mean()}


def objective(net: nn.Module, attack: Attack) -> Objective:
    """`1/B sum_i J(f(x_i'; W), y_i)`, x' what `attack` makes of the batch under the same W.

    It attacks the network as it predicts, without dropout, and no gradient goes through it
    (Danskin's theorem). Madry et al. 2018, eq. 2.1.
    """
    goal = classify.objective(net)

    def mean(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        k_attack, k_goal = jax.random.split(key)
        fixed = network(net, jax.lax.stop_gradient((params, extra)))
        x = attack(k_attack, fixed, away(batch.y), batch.x)
        return goal(params, extra, batch._replace(x=x), k_goal)

    return mean


def make(
    net: nn.Module, tx: optax.GradientTransformation, data: Batch, attack: Attack, *, batch: int
) -> Learner:
    """Adversarial training: a classifier of `data` (x [n, ...], y [n]) as `attack` changes it.

    Raises InputError if `batch` exceeds n, for pixels outside [0, 1], for a label that is none of
    the network's classes, and for an attack of a size that the images have no room for.
    """
    learner = risk.descend(net, objective(net, attack), tx, data, batch=batch)
    check_pixels(data.x)
    outputs = shapes.given(net, lambda: risk.first(data.x))
    shapes.check_labels(outputs, data.y)
    one = risk.first(data)

    def told(x: Array) -> Array:
        return jnp.zeros((len(x), outputs.shape[-1]))

    jax.eval_shape(lambda: attack(jax.random.key(0), told, away(one.y), one.x))
    return learner


def check_ball(x: Array, epsilon: Size, ball: Ball) -> None:
    """Raises InputError for pixels outside [0, 1], or an epsilon that is more than they span."""
    check_pixels(x)
    most = ball.diameter(x.shape)
    if not isinstance(epsilon, Tracer) and np.any(epsilon > most):
        raise InputError(f"epsilon must be at most {most:g}, the range of pixels; got {epsilon}")
