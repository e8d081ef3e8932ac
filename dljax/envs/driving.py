"""A car that keeps its lane on closed tracks, seen by a small camera, as a pure function (S49).

Lane, marks and kerb are painted backwards: each pixel is a ray, the ray meets the ground, and how
far that point is from the centre line tells its grey. The car is the kinematic bicycle of its rear
axle (Rajamani 2012, section 2.2). Metres, seconds, radians; left is positive.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from dljax.envs.environment import Box, Environment, Step
from dljax.envs.tracks import SAMPLES, Tracks
from dljax.errors import InputError, unknown
from dljax.typing import Array, Key

HALF = 2.0  # of the lane's width
KERB = 0.5  # its width, beyond the lane
MARK = (1.6, 1.85)  # from and to which distance from the centre line
WHEELBASE = 2.6
TICK = 0.1
STEERING, SLOWEST, FASTEST = 0.4, 4.0, 12.0
PEDAL = 6.0  # the most that the speed changes, m/s^2
LIMIT = 900  # steps
CRASH = 2.0  # what leaving the lane costs; 10 m in its middle earn 1
LOOKAHEAD, GRIP = 6.0, 4.0  # of pure pursuit: its target, and the lateral acceleration it allows
SKY = 1e3  # metres ahead: where pixels that see no ground are put
POINTS = (3.0, 6.0, 9.0, 12.0, 18.0, 24.0)  # along the centre line, of which the true state tells
RANGE = (
    -2,
    0,
    2,
    4,
    6,
    9,
    12,
    16,
    20,
    25,
)  # samples of the centre line, from the nearest, that are seen


class Look(NamedTuple):
    """What a camera sees of the same place may differ in, by episode; greys are from 0 to 1."""

    gain: Array | float = 1.0  # of the light
    across: Array | float = 0.0  # how much more of it there is to the right
    down: Array | float = 0.0  # and below
    road: Array | float = 0.35
    ground: Array | float = 0.55
    paint: Array | float = 0.95
    kerb: Array | float = 0.5  # contrast of its stripes
    sky: Array | float = 0.8
    grain: Array | float = 0.1  # contrast of the texture
    wave: Array | float = 0.5  # its waves' number in a metre
    phase: Array | float = 0.0
    height: Array | float = 1.4  # of the camera
    pitch: Array | float = 0.3  # below the horizon
    yaw: Array | float = 0.0
    aside: Array | float = 0.0


class Looks(NamedTuple):
    """Each episode's look is drawn evenly between two."""

    low: Look
    high: Look


PLAIN = Looks(Look(), Look())
VARIED = Looks(
    Look(0.6, -0.3, -0.2, 0.2, 0.4, 0.75, 0.2, 0.5, 0.0, 0.2, 0.0, 1.2, 0.24, -0.06, -0.3),
    Look(1.3, 0.3, 0.2, 0.45, 0.75, 1.0, 0.8, 1.0, 0.3, 1.2, 1.0, 1.6, 0.36, 0.06, 0.3),
)
DUSK = Looks(VARIED.low._replace(gain=0.2, across=-0.6), VARIED.high._replace(gain=0.5, across=0.6))
GLARE = Looks(
    VARIED.low._replace(gain=1.5, across=-0.6), VARIED.high._replace(gain=2.0, across=0.6)
)
"""In training the gain is .6 to 1.3: these are lights that it did not show."""


class Camera(NamedTuple):
    rows: int = 16
    columns: int = 24
    focal: float = 0.6  # of the image's width


class Car(NamedTuple):
    track: Array  # its number, int32
    x: Array
    y: Array
    heading: Array
    speed: Array
    near: Array  # the nearest sample of the centre line, int32
    along: Array  # how far beyond that sample
    offset: Array  # from the centre line, to the left
    left: Array  # of the lap
    time: Array  # steps so far, int32
    look: Look


def bicycle(
    x: Array, y: Array, heading: Array, speed: Array, angle: Array, after: Array, time: float = TICK
) -> tuple[Array, Array, Array]:
    """Where a car is after `time`, steered by `angle` while its speed goes evenly to `after`.

    `x' = v cos h, y' = v sin h, h' = v tan(angle) / wheelbase`, solved exactly: the arc's chord
    `d sin(t / 2) / (t / 2)` along its middle heading, d the way and t the turn. x, y and heading.
    """
    way = (speed + after) / 2 * time
    turn = way * jnp.tan(angle) / WHEELBASE
    chord, middle = way * jnp.sinc(turn / (2 * jnp.pi)), heading + turn / 2
    return x + chord * jnp.cos(middle), y + chord * jnp.sin(middle), heading + turn


def samples(tracks: Tracks, track: Array, places: Array) -> Tracks:
    """The samples `places` [M], counted round and round, of a track; spacing []."""
    table = jnp.stack(tracks[:-1], -1).reshape(-1, 5)
    x, y, cosine, sine, curvature = table[track * SAMPLES + places % SAMPLES].T
    return Tracks(x, y, cosine, sine, curvature, tracks.spacing[track])


def relative(of: Tracks, x: Array, y: Array) -> tuple[Array, Array]:
    """Along and left of each sample's tangent, [M]; the left one is bent with the centre line.

    `a = d . t` and `b = d . n - curvature a^2 / 2`, d from the sample to (x, y): of third order.
    """
    dx, dy = x - of.x, y - of.y
    along = dx * of.cosine + dy * of.sine
    return along, dy * of.cosine - dx * of.sine - of.curvature * along**2 / 2


def located(tracks: Tracks, track: Array, near: Array, x: Array, y: Array) -> tuple[Array, ...]:
    """The nearest sample to (x, y) among those around `near`, and along and left of it."""
    places = near + jnp.arange(-2, 5)
    around = samples(tracks, track, places)
    best = jnp.argmin((x - around.x) ** 2 + (y - around.y) ** 2)
    along, offset = relative(around, x, y)
    return places[best], along[best], offset[best]


def truth(tracks: Tracks, car: Car) -> Array:
    """The true state as numbers near 1, [21]: the car in its lane, and the centre line ahead.

    Offset over half the lane, heading against the lane's, speed over the greatest; then of each of
    POINTS its place in the car's coordinates over 10 m, and 10 m times the curvature.
    """
    spacing = tracks.spacing[car.track]
    way = (car.along + jnp.array(POINTS)) / spacing
    whole = jnp.floor(way).astype(jnp.int32)
    ends = [samples(tracks, car.track, car.near + whole + k) for k in (0, 1)]
    share = way - whole
    x, y, curvature = (
        (1 - share) * getattr(ends[0], name) + share * getattr(ends[1], name)
        for name in ("x", "y", "curvature")
    )
    cosine, sine = jnp.cos(car.heading), jnp.sin(car.heading)
    dx, dy = x - car.x, y - car.y
    here = samples(tracks, car.track, car.near[None])
    lane = jnp.arctan2(here.sine[0], here.cosine[0]) + car.along * here.curvature[0]
    against = (car.heading - lane + jnp.pi) % (2 * jnp.pi) - jnp.pi
    own = jnp.stack([car.offset / HALF, against, car.speed / FASTEST])
    forward, aside = dx * cosine + dy * sine, dy * cosine - dx * sine
    return jnp.concatenate([own, forward / 10, aside / 10, 10 * curvature])


def pursue(seen: Array) -> Array:
    """Pure pursuit of a true state [..., 21]: the steering angle and the speed, [..., 2].

    The arc through the target (x, y) has the curvature `2 y / (x^2 + y^2)`. Coulter 1992. The speed
    is the greatest at which no bend within 12 m needs more than GRIP.
    """
    points = len(POINTS)
    aim = POINTS.index(LOOKAHEAD)
    x, y = 10 * seen[..., 3 + aim], 10 * seen[..., 3 + points + aim]
    angle = jnp.arctan(WHEELBASE * 2 * y / (x**2 + y**2))
    bend = jnp.abs(seen[..., 3 + 2 * points : 7 + 2 * points] / 10).max(-1)
    speed = jnp.clip(jnp.sqrt(GRIP / jnp.maximum(bend, 1e-3)), SLOWEST, FASTEST)
    return jnp.stack([jnp.clip(angle, -STEERING, STEERING), speed], -1)


def expert(tracks: Tracks) -> Callable[[Car], Array]:
    """Pure pursuit of a car whose true state is known."""
    tracks = Tracks(*map(jnp.asarray, tracks))
    return lambda car: pursue(truth(tracks, car))


def rays(camera: Camera, look: Look) -> tuple[Array, Array]:
    """The point on the ground that each pixel sees, in the car's coordinates: forward, left, [P].

    A pixel u to the right and w below the middle, over the focal length, looks along `cos p - w
    sin p` forward and `sin p + w cos p` down, p the pitch; the ground is `height` below. What looks
    into the sky, or further than 60 m, is put SKY ahead.
    """
    focal = camera.focal * camera.columns
    u = (jnp.arange(camera.columns) - (camera.columns - 1) / 2) / focal
    w = (jnp.arange(camera.rows) - (camera.rows - 1) / 2) / focal
    w, u = (each.reshape(-1) for each in jnp.meshgrid(w, u, indexing="ij"))
    cosine, sine = jnp.cos(look.pitch), jnp.sin(look.pitch)
    fall = sine + w * cosine
    there = fall > look.height / 60
    far = look.height / jnp.where(there, fall, 1.0)
    forward, left = far * (cosine - w * sine), -far * u
    turned = forward * jnp.sin(look.yaw) + left * jnp.cos(look.yaw) + look.aside
    forward = forward * jnp.cos(look.yaw) - left * jnp.sin(look.yaw)
    return jnp.where(there, forward, SKY), turned


def wave(x: Array) -> Array:
    """Nearly `sin(2 pi x)`, of two parabolas: a sine takes several times as long."""
    x = x - jnp.round(x)
    return 8 * x * (1 - 2 * jnp.abs(x))


def coverage(offset: Array, low: float, high: float, reach: Array) -> Array:
    """How much of a pixel that reaches `reach` to both sides of `offset` lies from low to high."""
    inside = jnp.minimum(high, offset + reach) - jnp.maximum(low, offset - reach)
    return jnp.clip(inside / (2 * reach), 0, 1)


class Ground(NamedTuple):
    """Of each pixel, [P]: where on the ground it looks."""

    offset: Array  # from the centre line, to the left
    along: Array  # the centre line, in samples
    forward: Array  # from the car; SKY where there is no ground


def seen_ground(tracks: Tracks, camera: Camera, car: Car) -> Ground:
    """Where each pixel's ray meets the ground, by the nearest of the samples that are ahead."""
    ahead = samples(tracks, car.track, car.near + jnp.array(RANGE))
    forward, left = rays(camera, car.look)
    cosine, sine = jnp.cos(car.heading), jnp.sin(car.heading)
    dx, dy = ahead.x - car.x, ahead.y - car.y
    x, y = dx * cosine + dy * sine, dy * cosine - dx * sine
    tx = ahead.cosine * cosine + ahead.sine * sine
    ty = ahead.sine * cosine - ahead.cosine * sine
    local = Tracks(x, y, tx, ty, ahead.curvature, jnp.broadcast_to(ahead.spacing, x.shape))

    def closer(best: tuple[Array, ...], one: tuple[Tracks, Array]) -> tuple[tuple, None]:
        of, place = one
        along, offset = relative(of, forward, left)
        found = (forward - of.x) ** 2 + (left - of.y) ** 2, offset, place + along / of.spacing
        return tuple(
            jnp.where(found[0] < best[0], *each) for each in zip(found, best, strict=True)
        ), None

    none = jnp.full_like(forward, jnp.inf), jnp.zeros_like(forward), jnp.zeros_like(forward)
    # a loop: written out, XLA:CPU compiles for minutes
    places = jnp.array(RANGE, jnp.float32)
    (_, offset, along), _ = jax.lax.scan(closer, none, (local, places))
    return Ground(offset, along + car.near, forward)


def frame(tracks: Tracks, camera: Camera, car: Car) -> Array:
    """The camera's image of the road ahead, greys from 0 to 1, [rows, columns, 1].

    Only the stretch of the track that is ahead is seen. A pixel's share of each surface is that of
    its width on the ground, so that thin marks fade with distance and do not flicker.
    """
    look = car.look
    offset, along, far = seen_ground(tracks, camera, car)
    out = jnp.abs(offset)
    pixel = 1 / (camera.focal * camera.columns)
    reach = 0.5 * far * pixel + 0.02
    # sums, not one surface painted over another: XLA:CPU computes what is used twice twice
    lane, kerb, mark = (
        coverage(out, *of, reach) for of in ((-1.0, HALF), (HALF, HALF + KERB), MARK)
    )
    stripe = wave(along / 2) / (1 + (0.3 * far**2 * pixel) ** 2)
    grey = look.ground * (1 - lane - kerb) + (0.5 + look.kerb * 0.5 * stripe) * kerb
    grey = grey + look.road * (lane - mark) + look.paint * mark
    grain = wave(look.wave * (along + 0.6 * offset) + look.phase)
    grain = grain + wave(look.wave * (0.7 * along - 1.3 * offset) + 2 * look.phase)
    grey = grey * (1 + 0.5 * look.grain * grain / (1 + (0.1 * far) ** 2))
    grey = jnp.where(far < SKY, grey, look.sky).reshape(camera.rows, camera.columns)
    u, w = (jnp.linspace(-1, 1, n) for n in (camera.columns, camera.rows))
    light = look.gain * (1 + look.across * u[None] + look.down * w[:, None])
    return jnp.clip(grey * light, 0, 1)[..., None]


def make(
    tracks: Tracks,
    *,
    observe: Literal["camera", "state"] = "camera",
    looks: Looks = VARIED,
    camera: Camera = Camera(),  # noqa: B008 - immutable
) -> Environment:
    """A lap of one of the tracks, by steering angle and wanted speed, from a camera or the truth.

    An episode starts anywhere on a track, near the middle of the lane; it ends with the lap, or
    where the middle of the rear axle leaves the lane. A step earns `way / 10 m (1 - (offset /
    HALF)^2)`, and leaving costs CRASH. Raises InputError for another observation, and for a camera
    of fewer than 4 x 4 pixels or a focal length that is not positive.
    """
    kinds = ("camera", "state")
    if observe not in kinds:
        raise unknown("observation", observe, kinds)
    if min(camera.rows, camera.columns) < 4 or not camera.focal > 0:
        raise InputError(
            "a camera needs 4 x 4 pixels or more, and a focal length above 0; "
            f"got {camera.rows} x {camera.columns}, and {camera.focal:g}"
        )
    tracks = Tracks(*map(jnp.asarray, tracks))
    count = tracks.x.shape[0]

    def seen(car: Car) -> Array:
        return frame(tracks, camera, car) if observe == "camera" else truth(tracks, car)

    def reset(key: Key) -> tuple[Car, Array]:
        k_place, k_look = jax.random.split(key)
        track, place, offset, turn, speed = jax.random.uniform(k_place, (5,))
        track = jnp.minimum((track * count).astype(jnp.int32), count - 1)
        near = jnp.minimum((place * SAMPLES).astype(jnp.int32), SAMPLES - 1)
        at = samples(tracks, track, near[None])
        offset, turn = offset - 0.5, 0.2 * turn - 0.1
        x, y = at.x[0] - offset * at.sine[0], at.y[0] + offset * at.cosine[0]
        heading = jnp.arctan2(at.sine[0], at.cosine[0]) + turn
        speed = SLOWEST + (FASTEST - SLOWEST) / 2 * speed
        shares = jax.random.uniform(k_look, (len(Look._fields),))
        look = Look(*(
            low + share * (high - low) for low, high, share in zip(*looks, shares, strict=True)
        ))  # fmt: skip
        length = at.spacing * SAMPLES
        zero = jnp.zeros_like(x)
        car = Car(track, x, y, heading, speed, near, zero, offset, length, jnp.int32(0), look)
        return car, seen(car)

    def step(key: Key, car: Car, action: Array) -> tuple[Car, Step]:
        del key
        angle = jnp.clip(action[0], -STEERING, STEERING)
        wanted = jnp.clip(action[1], SLOWEST, FASTEST)
        speed = car.speed + jnp.clip(wanted - car.speed, -PEDAL * TICK, PEDAL * TICK)
        x, y, heading = bicycle(car.x, car.y, car.heading, car.speed, angle, speed)
        near, along, offset = located(tracks, car.track, car.near, x, y)
        way = (near - car.near) * tracks.spacing[car.track] + along - car.along
        car = Car(
            car.track, x, y, heading, speed, near % SAMPLES, along, offset, car.left - way,
            car.time + 1, car.look,
        )  # fmt: skip
        crash = jnp.abs(offset) > HALF
        reward = way / 10 * (1 - jnp.minimum(jnp.abs(offset) / HALF, 1) ** 2) - CRASH * crash
        return car, Step(seen(car), reward, crash | (car.left <= 0), car.time >= LIMIT)

    shape = (camera.rows, camera.columns, 1) if observe == "camera" else (3 + 3 * len(POINTS),)
    box = Box(jnp.array([-STEERING, SLOWEST]), jnp.array([STEERING, FASTEST]))
    return Environment(f"driving by {observe}", reset, step, shape, box, LIMIT)


def laps(env: Environment) -> Environment:
    """The same, but its return is 1 for a lap without leaving the lane, else 0."""

    def step(key: Key, car: Car, action: Array) -> tuple[Car, Step]:
        car, seen = env.step(key, car, action)
        done = (car.left <= 0) & (jnp.abs(car.offset) <= HALF)
        return car, seen._replace(reward=done.astype(jnp.float32))

    return env._replace(step=step)
