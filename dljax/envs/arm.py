"""A planar arm of two links in the vertical plane, moved by torques, as a pure function (S45).

`M(q) q'' + c(q, q') + g(q) + b q' = tau`, links being even rods. q_1 is the angle of the first link
from the horizontal, q_2 that of the second from the first. Spong, Hutchinson and Vidyasagar 2006,
section 7.4. Metres, kilograms, seconds, radians, newton metres.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dljax.envs.interface import Box, Environment, Step
from dljax.errors import InputError
from dljax.typing import Array, Key

TICK, PARTS = 0.05, 4  # a step, and how many of Runge and Kutta's are in it
LIMIT = 100  # steps
NEAR, FAR = 0.2, 0.9  # of the arm's length, between which a target is
STIFF, DAMP = 60.0, 4.0  # of `stretch`: N/m, N m s; the best of a coarse grid, as is RATE
RATE = 12.0  # of `computed_torque`, 1/s: its errors die away as a critically damped spring's
SPEED = 10.0  # radians a second that are 1 in an observation


class Links(NamedTuple):
    lengths: tuple[float, float] = (0.5, 0.5)
    masses: tuple[float, float] = (1.0, 1.0)
    torques: tuple[float, float] = (20.0, 8.0)  # the most; to hold the arm level takes 9.8 and 2.5
    friction: float = 0.1  # N m s, in each joint
    gravity: float = 9.81


class Arm(NamedTuple):
    q: Array  # [2]
    speed: Array  # [2]
    target: Array  # [2], x and y
    time: Array  # steps so far, int32


def inertia(links: Links, q: Array) -> Array:
    """M(q) [2, 2], of even rods: `m l^2 / 3` about an end."""
    (l1, l2), (m1, m2) = links.lengths, links.masses
    across = m2 * l1 * l2 * jnp.cos(q[1]) / 2
    own = m2 * l2**2 / 3
    first = m1 * l1**2 / 3 + m2 * l1**2 + own + 2 * across
    return jnp.stack([jnp.stack([first, own + across]), jnp.stack([own + across, own * 1.0])])


def turning(links: Links, q: Array, speed: Array) -> Array:
    """c(q, q') [2]: Coriolis' and centrifugal torques."""
    (l1, l2), m2 = links.lengths, links.masses[1]
    h = m2 * l1 * l2 * jnp.sin(q[1]) / 2
    return h * jnp.stack([-speed[1] * (2 * speed[0] + speed[1]), speed[0] ** 2])


def weight(links: Links, q: Array) -> Array:
    """g(q) [2]: the torques that hold the arm still."""
    (l1, l2), (m1, m2) = links.lengths, links.masses
    outer = m2 * links.gravity * l2 * jnp.cos(q[0] + q[1]) / 2
    return jnp.stack([(m1 / 2 + m2) * links.gravity * l1 * jnp.cos(q[0]) + outer, outer])


def energy(links: Links, q: Array, speed: Array) -> Array:
    """`q' M q' / 2 + V`, V the weights' height above the shoulder."""
    (l1, l2), (m1, m2) = links.lengths, links.masses
    moving = (speed[:, None] * inertia(links, q) * speed[None]).sum() / 2
    height = (m1 / 2 + m2) * l1 * jnp.sin(q[0]) + m2 * l2 * jnp.sin(q[0] + q[1]) / 2
    return moving + links.gravity * height


def solved(matrix: Array, right: Array) -> Array:
    """`matrix^-1 right` of [2, 2] and [2], by Cramer's rule: no library call in the inner loop."""
    (a, b), (c, d) = matrix
    x = jnp.stack([d * right[0] - b * right[1], a * right[1] - c * right[0]])
    return x / (a * d - b * c)


def moved(
    links: Links, q: Array, speed: Array, torque: Array, time: Array | float
) -> tuple[Array, Array]:
    """q and q' after `time` under a torque that stays: a step of Runge and Kutta, fourth order."""

    def slope(q: Array, speed: Array) -> tuple[Array, Array]:
        left = torque - turning(links, q, speed) - weight(links, q) - links.friction * speed
        return speed, solved(inertia(links, q), left)

    def ahead(slope: tuple[Array, Array], by: Array | float) -> tuple[Array, Array]:
        return q + by * slope[0], speed + by * slope[1]

    first = slope(q, speed)
    second = slope(*ahead(first, time / 2))
    third = slope(*ahead(second, time / 2))
    last = slope(*ahead(third, time))
    total = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, first, second, third, last)
    return ahead(total, time)


def tip(links: Links, q: Array) -> Array:
    """Where the arm ends, x and y [2]."""
    (l1, l2), both = links.lengths, q[0] + q[1]
    x = l1 * jnp.cos(q[0]) + l2 * jnp.cos(both)
    return jnp.stack([x, l1 * jnp.sin(q[0]) + l2 * jnp.sin(both)])


def make(links: Links = Links()) -> Environment:  # noqa: B008 - immutable
    """Reach for a target that stays; a reward is minus the tip's distance from it, in metres.

    Seen are cosine and sine of both angles, speeds, target, and the way to it from the tip: [10].
    Raises InputError unless lengths, masses and torques are above 0, and friction is not below.
    """
    if min(*links.lengths, *links.masses, *links.torques) <= 0 or links.friction < 0:
        raise InputError(f"an arm's lengths, masses and torques must be above 0; got {links}")
    most = jnp.array(links.torques)

    def observed(arm: Arm) -> Array:
        angles = jnp.stack([jnp.cos(arm.q), jnp.sin(arm.q)], 1).reshape(4)
        way = arm.target - tip(links, arm.q)
        return jnp.concatenate([angles, arm.speed / SPEED, arm.target, way])

    def reset(key: Key) -> tuple[Arm, Array]:
        first, second, angle, far = jax.random.uniform(key, (4,))
        q = jnp.pi * (2 * jnp.stack([first, second]) - 1)
        radius = sum(links.lengths) * jnp.sqrt(NEAR**2 + (FAR**2 - NEAR**2) * far)
        turn = 2 * jnp.pi * angle
        target = radius * jnp.stack([jnp.cos(turn), jnp.sin(turn)])
        arm = Arm(q, jnp.zeros(2), target, jnp.int32(0))
        return arm, observed(arm)

    def step(key: Key, arm: Arm, action: Array) -> tuple[Arm, Step]:
        del key
        torque = jnp.clip(action, -most, most)

        def part(_: Array, moving: tuple[Array, Array]) -> tuple[Array, Array]:
            return moved(links, *moving, torque, TICK / PARTS)

        q, speed = jax.lax.fori_loop(0, PARTS, part, (arm.q, arm.speed))
        arm = Arm(q, speed, arm.target, arm.time + 1)
        away = jnp.sqrt(((arm.target - tip(links, q)) ** 2).sum())
        return arm, Step(observed(arm), -away, jnp.zeros((), bool), arm.time >= LIMIT)

    return Environment("arm", reset, step, (10,), Box(-most, most), LIMIT)


def read(seen: Array) -> tuple[Array, Array, Array, Array]:
    """Angles, speeds, target and way [2] of an observation."""
    q = jnp.arctan2(seen[1:4:2], seen[0:4:2])
    return q, SPEED * seen[4:6], seen[6:8], seen[8:10]


def stretch(
    seen: Array,
    links: Links = Links(),  # noqa: B008 - immutable
    stiff: float | Array = STIFF,
    damp: float | Array = DAMP,
) -> Array:
    """A spring from the tip to the target, dampers in the joints, and the weight held.

    `tau = J^T stiff (x* - x) - damp q' + g(q)`: stable, and slow where the arm is stretched.
    Takegaki and Arimoto 1981.
    """
    q, speed, _, way = read(seen)
    x, y = tip(links, q)
    outer = links.lengths[1] * jnp.stack([-jnp.sin(q[0] + q[1]), jnp.cos(q[0] + q[1])])
    lever = jnp.stack([jnp.stack([-y, x]), outer])
    return (
        stiff * (lever * way[None]).sum(1) - damp * speed * jnp.array([1.0, 0.2]) + weight(links, q)
    )


def bent(links: Links, target: Array, side: Array) -> Array:
    """The angles [2] at which the tip is at a target, the elbow bent to a `side`, 1 or -1."""
    l1, l2 = links.lengths
    x, y = target
    cosine = (x**2 + y**2 - l1**2 - l2**2) / (2 * l1 * l2)
    second = side * jnp.arccos(jnp.clip(cosine, -1, 1))
    first = jnp.arctan2(y, x) - jnp.arctan2(l2 * jnp.sin(second), l1 + l2 * jnp.cos(second))
    return jnp.stack([first, second])


def computed_torque(
    seen: Array,
    links: Links = Links(),  # noqa: B008 - immutable
    rate: float | Array = RATE,
) -> Array:
    """The torque that makes each joint a critically damped spring to the angles of the target.

    `tau = M(q) (rate^2 (q* - q) - 2 rate q') + c(q, q') + g(q)`, for the elbow's present side.
    Spong et al. 2006, section 8.3.
    """
    q, speed, target, _ = read(seen)
    side = jnp.where(jnp.sin(q[1]) < 0, -1.0, 1.0)
    error = bent(links, target, side) - q
    error = jnp.arctan2(jnp.sin(error), jnp.cos(error))  # the short way round
    wanted = rate**2 * error - 2 * rate * speed
    pushed = (inertia(links, q) * wanted[None]).sum(1)
    return pushed + turning(links, q, speed) + weight(links, q)
