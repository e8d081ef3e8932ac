"""Closed tracks to drive on: splines whose curvature is bounded and that never cross themselves.

A track is a table of samples, equally far apart along its centre line, so that whoever drives on it
looks only at the few that are near. All lengths are metres, all angles radians.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax.errors import InputError, check_count
from dljax.typing import Array, Key

SAMPLES = 192  # of a centre line; a multiple of 6, so that stripes of two samples close
TIGHTEST = 1 / 10  # the greatest curvature
CLEARANCE = 9.0  # between two stretches of one track
CONTROLS = 9  # points that a random track's spline follows
SHARES = 10  # of a random shape that are tried, from all of it to none: a circle


class Tracks(NamedTuple):
    """Centre lines, [T, N] each, and what a sample is apart from the next, [T]."""

    x: Array
    y: Array
    cosine: Array  # of the heading
    sine: Array
    curvature: Array  # positive where it turns left
    spacing: Array


def spline(controls: Array, t: Array) -> tuple[Array, Array, Array]:
    """The closed uniform cubic B-spline of controls [K, 2] at t [n] in [0, K), and d/dt, d2/dt2.

    `p = sum_i b_i(u) c_{k+i}`, `b = ((1-u)^3, 3u^3-6u^2+4, -3u^3+3u^2+3u+1, u^3) / 6`, k and u the
    whole and the rest of t; twice differentiable everywhere. [n, 2] each. de Boor 1978, chapter 9.
    """
    k = jnp.floor(t).astype(jnp.int32)
    u = t - k
    near = controls[(k[:, None] + jnp.arange(4)[None]) % len(controls)]
    zero, one = jnp.zeros_like(u), jnp.ones_like(u)
    weights = (
        ((1 - u) ** 3 / 6, (3 * u**3 - 6 * u**2 + 4) / 6, (-3 * u**3 + 3 * u**2 + 3 * u + 1) / 6,
         u**3 / 6),
        (-((1 - u) ** 2) / 2, (3 * u**2 - 4 * u) / 2, (-3 * u**2 + 2 * u + 1) / 2, u**2 / 2),
        (one - u, 3 * u - 2, one - 3 * u, zero + u),
    )  # fmt: skip
    at, slope, bend = (jnp.einsum("in,nid->nd", jnp.stack(each), near) for each in weights)
    return at, slope, bend


def sampled(controls: Array) -> Tracks:
    """One track, without the leading axis, of the spline's controls [K, 2]."""
    fine = 8 * SAMPLES
    t = jnp.linspace(0, len(controls), fine + 1)
    at = spline(controls, t)[0]
    length = jnp.cumulative_sum(jnp.hypot(*jnp.diff(at, axis=0).T), include_initial=True)
    even = jnp.arange(SAMPLES) * length[-1] / SAMPLES
    at, slope, bend = spline(controls, jnp.interp(even, length, t))
    speed = jnp.hypot(slope[:, 0], slope[:, 1])
    turn = slope[:, 0] * bend[:, 1] - slope[:, 1] * bend[:, 0]
    cosine, sine = slope.T / speed[None]
    return Tracks(at[:, 0], at[:, 1], cosine, sine, turn / speed**3, length[-1] / SAMPLES)


def nearness(track: Tracks) -> Array:
    """How far every third sample is from each other over how far it must be; below 1 is too near.

    They must be CLEARANCE apart, or .6 of the way along the track if that is less: on a bend of
    half a turn the chord is still .64 of the arc. [N / 3, N / 3].
    """
    x, y, place = (each[::3] for each in (track.x, track.y, jnp.arange(SAMPLES)))
    apart = jnp.abs(place[:, None] - place[None])
    way = jnp.minimum(apart, SAMPLES - apart) * track.spacing
    far = jnp.hypot(x[:, None] - x[None], y[:, None] - y[None])
    return far / jnp.maximum(jnp.minimum(0.6 * way, CLEARANCE), 1e-3) + jnp.eye(len(place))


def sound(track: Tracks) -> Array:
    """Whether no bend is too tight, and the track stays clear of itself."""
    return (jnp.abs(track.curvature).max() <= TIGHTEST) & (nearness(track).min() >= 1)


def random(key: Key, count: int) -> Tracks:
    """`count` tracks around circles of 30 to 44 m, half of them clockwise; none is unsound.

    The spline's controls lie at random distances from the middle. What would bend too tightly, or
    come too near itself, is drawn towards its circle until it does not; a circle never does.
    Raises InputError for a count below 1.
    """
    check_count(tracks=count)
    return drawn(key, count)


def drawn(key: Key, count: int) -> Tracks:
    def one(key: Key) -> Tracks:
        k_size, k_shape, k_turn, k_way = jax.random.split(key, 4)
        radius = jax.random.uniform(k_size, (), minval=30.0, maxval=44.0)
        out = jax.random.uniform(k_shape, (CONTROLS,), minval=-0.8, maxval=0.8)
        turn = jax.random.uniform(k_turn, (CONTROLS,), minval=-0.3, maxval=0.3)
        angles = 2 * jnp.pi / CONTROLS * (jnp.arange(CONTROLS) + turn)
        way = jnp.where(jax.random.bernoulli(k_way), 1.0, -1.0)

        def shaped(share: Array) -> Tracks:
            even = 2 * jnp.pi / CONTROLS * jnp.arange(CONTROLS)
            angle = even + share * (angles - even)
            far = radius * (1 + share * out)
            return sampled(jnp.stack([far * jnp.cos(angle), way * far * jnp.sin(angle)], 1))

        tried = jax.vmap(shaped)(1 - jnp.arange(SHARES + 1) / SHARES)
        first = jnp.argmax(jax.vmap(sound)(tried))
        return jax.tree.map(lambda leaf: leaf[first], tried)

    return jax.lax.map(one, jax.random.split(key, count))


def track(controls: np.ndarray) -> Tracks:
    """The one track, [1, N], of a closed spline with controls [K, 2], in metres.

    Raises InputError for fewer than 4 controls, for numbers that are not finite, where a bend is
    tighter than a radius of 10 m, and where the track crosses itself or comes within 9 m of itself.
    """
    points = np.asarray(controls, float)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 4:
        raise InputError(f"a track needs 4 points or more, [K, 2]; got {list(points.shape)}")
    if not np.isfinite(points).all():
        raise InputError("a track's points must be finite")
    one = sampled(jnp.asarray(points, jnp.float32))
    near = np.asarray(nearness(one))
    i, _ = np.unravel_index(near.argmin(), near.shape)
    if not near.min() >= 1:
        raise InputError(
            f"the track crosses itself or comes within {CLEARANCE:g} m of itself "
            f"near ({one.x[3 * i]:.1f}, {one.y[3 * i]:.1f})"
        )
    bends = np.abs(np.asarray(one.curvature))
    if not bends.max() <= TIGHTEST:
        i = bends.argmax()
        raise InputError(
            f"the track bends with a radius of {1 / bends[i]:.1f} m near "
            f"({one.x[i]:.1f}, {one.y[i]:.1f}); at least {1 / TIGHTEST:g} m are needed"
        )
    return jax.tree.map(lambda leaf: leaf[None], one)
