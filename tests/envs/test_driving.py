"""The driving simulator against closed forms: a circle, a straight road, a ray by hand, an arc."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.envs import driving, tracks
from dljax.envs.driving import HALF, PLAIN, Camera, Car, Look
from dljax.envs.tracks import SAMPLES, Tracks
from dljax.learn import play

CAMERA = Camera()
# operations that are not within one program compile one by one
located, truth, pursue, bicycle = map(
    jax.jit, (driving.located, driving.truth, driving.pursue, driving.bicycle)
)
frame, seen_ground = (
    jax.jit(each, static_argnums=1) for each in (driving.frame, driving.seen_ground)
)
rays, spline, sampled = (
    jax.jit(driving.rays, static_argnums=0),
    jax.jit(tracks.spline),
    jax.jit(tracks.sampled),
)


@pytest.fixture(scope="module")
def drawn():
    return jax.jit(tracks.random, static_argnums=1)(jax.random.key(0), 100)


def circle(radius: float) -> Tracks:
    """By its closed form, driven to the left."""
    angle = 2 * np.pi * np.arange(SAMPLES) / SAMPLES
    rows = [radius * np.cos(angle), radius * np.sin(angle), -np.sin(angle), np.cos(angle)]
    rows.append(np.full(SAMPLES, 1 / radius))
    spacing = np.array([2 * np.pi * radius / SAMPLES])
    return Tracks(*(jnp.asarray(row[None], jnp.float32) for row in rows), jnp.float32(spacing))


def straight() -> Tracks:
    """To the east, as if it were closed."""
    x, zero = np.arange(SAMPLES)[None] * 1.2, np.zeros((1, SAMPLES))
    table = (x, zero, zero + 1, zero, zero)
    return Tracks(*(jnp.asarray(row, jnp.float32) for row in table), jnp.float32([1.2]))


def at(x=0.0, y=0.0, heading=0.0, near=0, **more) -> Car:
    numbers = {"speed": 8.0, "along": 0.0, "offset": 0.0, "left": 99.0} | more
    numbers = {name: jnp.float32(value) for name, value in numbers.items() if name != "look"}
    look = Look(*map(jnp.float32, more.get("look", Look(grain=0.0))))
    where = (jnp.float32(value) for value in (x, y, heading))
    zero = jnp.int32(0)
    return Car(
        zero, *where, numbers["speed"], jnp.int32(near), numbers["along"], numbers["offset"],
        numbers["left"], zero, look,
    )  # fmt: skip


def test_a_spline_through_a_circles_points_is_that_circle():
    """Its radius is the controls' less by `(2 + cos a) / 3`, a the angle between two of them."""
    angle = 2 * np.pi * np.arange(24) / 24
    one = sampled(jnp.asarray(40 * np.stack([np.cos(angle), np.sin(angle)], 1), jnp.float32))
    radius = 40 * (2 + np.cos(angle[1])) / 3
    np.testing.assert_allclose(np.hypot(one.x, one.y), radius, rtol=1e-4)
    np.testing.assert_allclose(one.curvature, 1 / radius, rtol=1e-2)
    np.testing.assert_allclose(one.spacing * SAMPLES, 2 * np.pi * radius, rtol=1e-3)
    np.testing.assert_allclose(one.x * one.cosine + one.y * one.sine, 0, atol=1e-2)


def test_a_splines_slopes_are_its_differences():
    controls = jnp.asarray(np.random.default_rng(0).normal(size=(6, 2)), jnp.float32)
    t, step = jnp.linspace(0, 5.9, 40), 1e-2
    before, here, after = (spline(controls, (t + k * step) % 6) for k in (-1, 0, 1))
    np.testing.assert_allclose((after[0] - before[0]) / (2 * step), here[1], atol=1e-3)
    np.testing.assert_allclose((after[1] - before[1]) / (2 * step), here[2], atol=2e-2)


def test_random_tracks_bend_and_stay_clear_of_themselves(drawn):
    assert np.abs(drawn.curvature).max() <= tracks.TIGHTEST
    corners = np.stack([drawn.x, drawn.y], -1)
    way = np.linalg.norm(np.roll(corners, -1, 1) - corners, axis=-1)
    np.testing.assert_allclose(way, np.broadcast_to(drawn.spacing[:, None], way.shape), rtol=5e-3)
    apart = np.abs(np.arange(SAMPLES)[:, None] - np.arange(SAMPLES))
    apart = np.minimum(apart, SAMPLES - apart)
    for line, spacing in zip(corners[:20], np.asarray(drawn.spacing), strict=False):
        far = np.linalg.norm(line[:, None] - line, axis=-1)[apart * spacing > 20]
        assert far.min() > tracks.CLEARANCE - 2 * spacing
    turns = np.asarray(drawn.curvature).mean(1) * np.asarray(drawn.spacing) * SAMPLES
    np.testing.assert_allclose(np.abs(turns), 2 * np.pi, rtol=1e-2)  # a simple closed curve
    assert 30 < (turns > 0).sum() < 70


def test_place_and_heading_on_a_circle_are_the_closed_forms():
    ring, radius, angle, out = circle(30.0), 30.0, 0.305, 1.2
    x, y = (radius - out) * np.cos(angle), (radius - out) * np.sin(angle)
    near = round(angle * SAMPLES / (2 * np.pi))
    found = located(ring, jnp.int32(0), jnp.int32(near - 1), jnp.float32(x), jnp.float32(y))
    assert found[0] == near
    np.testing.assert_allclose(found[2], out, atol=1e-3)
    np.testing.assert_allclose(
        (near * ring.spacing[0] + found[1]) / radius, angle, atol=1e-3 + out * 0.5 / radius**2
    )
    car = at(x, y, angle + np.pi / 2 + 0.1, near, along=found[1], offset=found[2])
    seen = truth(ring, car)
    np.testing.assert_allclose(seen[:3], [out / HALF, 0.1, 8 / driving.FASTEST], atol=3e-3)
    np.testing.assert_allclose(seen[-6:], 10 / radius, rtol=1e-4)
    # a point `s` further on the circle, seen from the car
    s = np.array(driving.POINTS) / radius + angle
    dx, dy = radius * np.cos(s) - x, radius * np.sin(s) - y
    h = angle + np.pi / 2 + 0.1
    ahead = [dx * np.cos(h) + dy * np.sin(h), dy * np.cos(h) - dx * np.sin(h)]
    np.testing.assert_allclose(10 * seen[3:15].reshape(2, 6), ahead, atol=0.03)


def test_a_car_on_its_circle_is_steered_along_it():
    ring = circle(25.0)
    seen = truth(ring, at(25.0, 0.0, np.pi / 2))
    angle, speed = pursue(seen)
    np.testing.assert_allclose(angle, np.arctan(driving.WHEELBASE / 25), rtol=1e-2)
    np.testing.assert_allclose(speed, np.sqrt(driving.GRIP * 25), rtol=1e-3)


def test_the_bicycle_is_its_equations_finely_integrated():
    rng, n, parts = np.random.default_rng(0), 50, 2000
    x, y, h = rng.normal(size=(3, n))
    angle, v, after = rng.uniform([[-0.4], [4], [4]], [[0.4], [12], [12]], (3, n))
    angle[0] = 0  # straight on
    found = bicycle(*(jnp.asarray(each) for each in (x, y, h, v, angle, after)))
    for k in range(parts):
        speed = v + (after - v) * (k + 0.5) / parts
        turn = speed * np.tan(angle) / driving.WHEELBASE * driving.TICK / parts
        x = x + speed * np.cos(h + turn / 2) * driving.TICK / parts
        y = y + speed * np.sin(h + turn / 2) * driving.TICK / parts
        h = h + turn
    np.testing.assert_allclose(np.stack(found), [x, y, h], atol=2e-6)


def test_a_pixels_ray_meets_the_ground_where_a_hand_finds_it():
    """At 45 degrees below the axis and level: as far ahead as it is high. To the side: as far."""
    camera = Camera(5, 5, 0.4)  # pixels at -1, -.5, 0, .5, 1 over the focal length
    look = Look(height=1.4, pitch=0.0)
    forward, left = (np.asarray(each).reshape(5, 5) for each in rays(camera, look))
    np.testing.assert_allclose(forward[4], 1.4, rtol=1e-6)
    np.testing.assert_allclose(forward[3], 2.8, rtol=1e-6)
    np.testing.assert_allclose(left[4], [1.4, 0.7, 0, -0.7, -1.4], atol=1e-6)
    assert (forward[:3] == driving.SKY).all()
    down = rays(camera, Look(height=1.4, pitch=np.pi / 4))
    middle = np.asarray(down[0]).reshape(5, 5)[2, 2]  # its axis falls by 45 degrees
    np.testing.assert_allclose(middle, 1.4, rtol=1e-6)
    turned = rays(camera, Look(height=1.4, pitch=np.pi / 4, yaw=0.1, aside=0.2))
    point = np.array([np.asarray(each).reshape(5, 5)[2, 2] for each in turned])
    np.testing.assert_allclose(point, [1.4 * np.cos(0.1), 1.4 * np.sin(0.1) + 0.2], rtol=1e-5)


def test_the_camera_on_a_straight_road_is_symmetric_and_sees_what_is_there():
    road = straight()
    image = frame(road, CAMERA, at(20.0, near=17))
    assert image.shape == (16, 24, 1) and image.min() >= 0 and image.max() <= 1
    np.testing.assert_allclose(image, image[:, ::-1], atol=1e-5)
    ground = seen_ground(road, CAMERA, at(20.0, near=17))
    forward, left = rays(CAMERA, Look())
    there = np.asarray(forward) < driving.SKY
    np.testing.assert_allclose(ground.offset[there], left[there], atol=1e-4)
    along = (20 + np.asarray(forward)) / 1.2
    np.testing.assert_allclose(ground.along[there], along[there], atol=1e-3)
    inside = np.abs(left) < 1.2
    np.testing.assert_allclose(image.reshape(-1)[there & inside], Look().road, atol=1e-5)
    np.testing.assert_allclose(image[0], Look().sky, atol=1e-6)
    paint = np.asarray(image).reshape(-1)[
        there & (np.abs(np.abs(left) - np.mean(driving.MARK)) < 0.05)
    ]
    assert len(paint) and (paint > Look().road + 0.1).all()
    aside = frame(road, CAMERA, at(20.0, 1.0, near=17))
    assert np.abs(np.asarray(aside - image)).max() > 0.1


def test_on_a_circle_a_pixel_is_as_far_from_the_line_as_the_closed_form_says():
    ring, radius = circle(20.0), 20.0
    ground = seen_ground(ring, CAMERA, at(radius, 0.0, np.pi / 2))
    forward, left = map(np.asarray, rays(CAMERA, Look()))
    offset = radius - np.hypot(radius - left, forward)
    near = (np.hypot(forward, left) < 12) & (np.abs(offset) < 4)
    assert near.sum() > 150
    np.testing.assert_allclose(ground.offset[near], offset[near], atol=0.02)


def test_pure_pursuit_stays_in_lane_on_a_hundred_tracks(drawn):
    env = driving.laps(driving.make(drawn, observe="state"))
    act = lambda key, seen: driving.pursue(seen)  # noqa: E731
    found = jax.jit(lambda key: play.evaluate(env, act, key, 100))(jax.random.key(5))
    assert found["return"] == 1
    assert 100 < found["length"] < driving.LIMIT


def test_a_step_is_rewarded_ends_and_clips(drawn):
    env = driving.make(drawn, looks=PLAIN)
    car, seen = env.reset(jax.random.key(0))
    assert seen.shape == env.observation_shape and abs(car.offset) <= 0.5
    np.testing.assert_allclose(list(car.look), Look(), rtol=1e-6)  # plain looks are all alike
    step, key = jax.jit(env.step), jax.random.key(1)
    after, new = step(key, car, driving.expert(drawn)(car))
    way = car.left - after.left
    np.testing.assert_allclose(new.reward, way / 10 * (1 - (after.offset / HALF) ** 2), rtol=1e-4)
    assert not new.terminated and not new.truncated
    wild = step(key, car, jnp.array([9.0, 99.0]))[0]
    full = step(key, car, jnp.array([driving.STEERING, driving.FASTEST]))[0]
    assert wild.x == full.x and wild.speed == full.speed <= car.speed + 0.61
    done = step(key, car._replace(left=jnp.float32(0.1)), driving.expert(drawn)(car))[1]
    late = step(key, car._replace(time=jnp.int32(driving.LIMIT - 1)), jnp.zeros(2))[1]
    assert done.terminated and late.truncated
    for side in (1, -1):  # to the left, and to the right
        there, new = car, new._replace(terminated=jnp.array(False))
        for _ in range(40):
            if new.terminated:
                break
            before = there
            there, new = step(key, there, jnp.array([side * driving.STEERING, driving.FASTEST]))
        assert new.terminated and side * there.offset > HALF
        np.testing.assert_allclose(new.reward, -driving.CRASH, atol=1e-6)
        lap = driving.laps(env).step(key, before._replace(left=jnp.float32(0.01)), jnp.array(
            [side * driving.STEERING, driving.FASTEST]))  # fmt: skip
        assert lap[1].terminated and lap[1].reward == 0  # over the line, and out of the lane


def test_texture_fades_with_distance():
    """By `1 + (far / 10 m)^2`, where nothing else is seen but the ground and its texture."""
    plain, grainy = (
        np.asarray(frame(straight(), CAMERA, at(20.0, near=17, look=look))).ravel()
        for look in (Look(grain=0.0, gain=0.5), Look(grain=1.0, gain=0.5))
    )
    offset, along, far = map(np.asarray, seen_ground(straight(), CAMERA, at(20.0, near=17)))
    there = far < driving.SKY
    waves = [driving.wave(0.5 * (a * along + b * offset)) for a, b in ((1, 0.6), (0.7, -1.3))]
    wanted = plain * (1 + 0.5 * np.sum(waves, 0) / (1 + (far / 10) ** 2))
    np.testing.assert_allclose(grainy[there], wanted[there], atol=1e-4)


def test_light_changes_what_is_seen_and_not_what_is_there(drawn):
    car, _ = driving.make(drawn, looks=PLAIN).reset(jax.random.key(0))
    day, dusk = (
        frame(drawn, CAMERA, car._replace(look=car.look._replace(gain=gain))) for gain in (0.9, 0.3)
    )
    np.testing.assert_allclose(dusk, day / 3, atol=1e-6)
    slanted = frame(drawn, CAMERA, car._replace(look=car.look._replace(gain=0.3, down=-0.4)))
    down = 1 - 0.4 * np.linspace(-1, 1, CAMERA.rows)[:, None, None]
    np.testing.assert_allclose(slanted, dusk * down, atol=1e-6)


EIGHT = [(0, 0), (30, 20), (60, 0), (60, -30), (30, -10), (0, 20), (-30, 10), (-30, -20)]


@pytest.mark.usefixtures("misused")
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: tracks.track(np.array(EIGHT)), "the track crosses itself or comes within 9 m"),
        (
            lambda: tracks.track(np.array([(0, 0), (20, 0), (20, 20), (0, 20)])),
            r"the track bends with a radius of \d",
        ),
        (lambda: tracks.track(np.zeros((3, 2))), r"a track needs 4 points or more, \[K, 2\]"),
        (lambda: tracks.track(np.full((5, 2), np.nan)), "a track's points must be finite"),
        (lambda: tracks.random(jax.random.key(0), 0), "tracks must be at least 1; got 0"),
        (lambda: driving.make(circle(30.0), camera=Camera(1, 1)), "a camera needs 4 x 4 pixels"),
        (lambda: driving.make(circle(30.0), observe="lidar"), "unknown observation 'lidar'"),  # pyright: ignore
    ],
)
def test_bad_input_is_one_line(call, said):
    with pytest.raises(InputError, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_track_of_ones_own_is_driven():
    angle = 2 * np.pi * np.arange(12) / 12
    oval = tracks.track(np.stack([60 * np.cos(angle), 35 * np.sin(angle)], 1))
    assert oval.x.shape == (1, SAMPLES) and bool(tracks.sound(jax.tree.map(lambda x: x[0], oval)))
