"""Attacks against closed forms on linear models, and training against them on a task."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import Batch, InputError, advance, start
from dljax.learn import attack, classify
from dljax.learn.attack import L2, LINF, away, towards
from dljax.learn.optimizers import optimizer
from dljax.nets import MLP

KEY = jax.random.key(0)
BALLS = {"linf": LINF, "l2": L2}


@pytest.fixture(scope="module")
def images():
    """24 images [3, 2, 1] of pixels in [0, 1], some of them at its ends, of 4 classes."""
    rng = np.random.default_rng(0)
    x = np.clip(rng.uniform(-0.3, 1.3, (24, 3, 2, 1)), 0, 1).astype(np.float32)
    return Batch(x, rng.integers(0, 4, 24).astype(np.int32))


W = jax.random.normal(jax.random.key(1), (6, 4))
V = jax.random.normal(jax.random.key(2), (6, 16))


def linear(x):
    return x.reshape(len(x), -1) @ W


def bent(x):
    """No linear model: 16 sines of pixels, mixed."""
    return jnp.sin(3 * x.reshape(len(x), -1) @ V) @ jnp.tile(W, (3, 1))[:16]


@functools.partial(jax.jit, static_argnums=0)
def pgd(logits, aim, x, *numbers):
    """One program for all numbers: epsilon, step, steps and restarts."""
    return attack.pgd(*numbers)(KEY, logits, aim, x)


def size(ball, d):
    d = np.asarray(d, np.float64).reshape(len(d), -1)
    return np.abs(d).max(1) if ball is LINF else np.sqrt((d**2).sum(1))


@pytest.mark.parametrize("ball", BALLS.values(), ids=BALLS)
def test_a_perturbation_stays_within_its_ball_and_the_pixels(images, ball):
    @jax.jit
    def found(aim, epsilon):
        made = (
            attack.fgsm(epsilon, ball),
            attack.noise(epsilon, ball),
            attack.climb(epsilon, 0.3, 5, ball),
            attack.pgd(epsilon, 0.3, 5, 2, ball),
        )
        return [each(KEY, bent, aim, jnp.asarray(images.x)) for each in made]

    for epsilon in (0.0, 0.2, 1.0):
        for aim in (away(images.y), towards((images.y + 1) % 4, images.y)):
            for each in map(np.asarray, found(aim, epsilon)):
                assert each.min() >= 0 and each.max() <= 1
                sizes = size(ball, each - images.x)
                assert sizes.max() <= epsilon + 1e-6
                assert epsilon == 0 or sizes.max() > 0.1


@pytest.mark.parametrize("ball", BALLS.values(), ids=BALLS)
def test_balls_are_drawn_from_uniformly(ball):
    """Of a uniform point in d dimensions, radius^d is uniform, and the mean is the centre."""
    found = np.asarray(jax.jit(ball.draw)(KEY, jnp.zeros((4000, 3, 1, 1))))
    inside = size(ball, found) ** 3
    np.testing.assert_allclose(np.quantile(inside, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.04)
    np.testing.assert_allclose(found.mean(0), 0, atol=0.05)


def test_the_steepest_direction_gains_the_dual_norm():
    g = jax.random.normal(KEY, (5, 4, 1, 1))
    for ball, order in ((LINF, 1), (L2, 2)):
        steepest = jax.jit(ball.steepest)
        d = steepest(g)
        np.testing.assert_allclose(size(ball, d), 1, rtol=1e-5)
        dual = np.linalg.norm(np.asarray(g).reshape(5, -1), order, 1)
        np.testing.assert_allclose(np.sum(g * d, (1, 2, 3)), dual, rtol=1e-5)
        tiny = steepest(1e-30 * g)  # whose squares are 0 in float32
        np.testing.assert_allclose(tiny, d, atol=1e-5)
        assert not np.any(steepest(0 * g))


def test_the_loss_is_cross_entropy_and_points_the_way_of_a_sure_network():
    z, y = 3 * jax.random.normal(KEY, (9, 4)), jnp.arange(9) % 4
    wanted = optax.softmax_cross_entropy_with_integer_labels(z, y)
    np.testing.assert_allclose(attack.cross_entropy(z, y), wanted, rtol=1e-5, atol=1e-6)
    sure = jnp.array([[200.0, 0.0, -1.0]])
    zero = jnp.zeros(1, int)
    own, plain = (
        jax.grad(lambda z, loss=loss: loss(z, zero).sum())(sure)[0]
        for loss in (attack.deficit, optax.softmax_cross_entropy_with_integer_labels)
    )
    np.testing.assert_allclose(own.sum() / jnp.abs(own).sum(), 0, atol=1e-6)
    assert own[0] < 0 == plain[0]  # the library's says that the label's logit does not matter


def by_hand(x, y):
    """dJ/dx of the linear model: `W (softmax(z) - onehot(y))`."""
    flat, w = np.asarray(x, np.float64).reshape(len(x), -1), np.asarray(W, np.float64)
    e = np.exp(flat @ w)
    return ((e / e.sum(1, keepdims=True) - np.eye(4)[y]) @ w.T).reshape(x.shape)


def test_one_step_on_a_linear_model_is_as_by_hand(images):
    x, g = jnp.asarray(images.x), by_hand(*images)
    norm = np.sqrt((g**2).sum((1, 2, 3), keepdims=True))
    # in L2 the step ends on the ball, and then pixels are cut
    steps = {
        attack.gradient(0.7): 0.7 * g,
        attack.fgsm(0.1): 0.1 * np.sign(g),
        attack.fgsm(0.4, L2): 0.4 * g / norm,
    }
    made = jax.jit(lambda aim: [each(KEY, linear, aim, x) for each in steps])
    for found, step in zip(made(away(images.y)), steps.values(), strict=True):
        np.testing.assert_allclose(found, np.clip(images.x + step, 0, 1), atol=1e-5)
    other = (images.y + 1) % 4
    wanted = np.clip(images.x - 0.7 * by_hand(images.x, other), 0, 1)
    np.testing.assert_allclose(made(towards(other, images.y))[0], wanted, atol=1e-5)


def test_many_steps_on_a_linear_model_reach_the_closed_form_optimum(images):
    """Of two classes, `x + eps sign(w)` within the pixels; in L2, inside, `x + eps w / |w|`."""
    w = np.asarray(W[:, 1] - W[:, 0])

    def two(x):
        return jnp.stack([0 * x[:, 0, 0, 0], x.reshape(len(x), -1) @ w], 1)

    x, middle, zero = images.x, 0.5 + 0.1 * (images.x - 0.5), away(np.zeros(24, int))
    best = np.clip(x + 0.3 * np.sign(w).reshape(1, 3, 2, 1), 0, 1)
    climbed, at_l2 = jax.jit(
        lambda x, middle: (
            attack.climb(0.3, 0.05, 20)(KEY, two, zero, x),
            attack.climb(0.3, 0.05, 60, L2)(KEY, two, zero, middle),
        )
    )(x, middle)
    np.testing.assert_allclose(climbed, best, atol=1e-6)
    wanted = middle + 0.3 * (w / np.linalg.norm(w)).reshape(1, 3, 2, 1)
    np.testing.assert_allclose(at_l2, wanted, atol=1e-3)
    # and so, for two classes, which images fall is known
    score = lambda x: np.asarray(x).reshape(24, -1) @ w  # noqa: E731
    found = pgd(two, zero, x, 0.3, 0.05, 20)
    np.testing.assert_array_equal(score(found) > 0, score(best) > 0)
    assert 0 < np.sum((score(best) > 0) & (score(x) <= 0)) < np.sum(score(x) <= 0)


def labelled(images, logits):
    return images._replace(y=np.asarray(logits(jnp.asarray(images.x)).argmax(-1)))


def robust(logits, data, *numbers):
    """The share that stays right; numbers are pgd's, or one an attack."""
    (each,) = numbers if callable(numbers[0]) else (None,)
    aim = away(data.y)
    found = each(KEY, logits, aim, data.x) if each else pgd(logits, aim, data.x, *numbers)
    return 1 - np.mean(attack.reached(aim, logits(found)))


def test_accuracy_never_rises_with_epsilon_steps_or_restarts(images):
    data = labelled(images, linear)
    curve = [robust(linear, data, e, 2.5 * e / 9, 9, 1) for e in np.linspace(0, 1, 9)]
    assert curve[0] == 1 and curve[-1] == 0 and (np.diff(curve) <= 0).all()
    data = labelled(images, bent)
    longer = [robust(bent, data, 0.07, 0.01, n, 1) for n in (1, 3, 9, 27)]
    again = [robust(bent, data, 0.07, 0.02, 1, n) for n in (1, 3, 9, 27)]
    for curve in (longer, again):
        assert (np.diff(curve) <= 0).all() and curve[-1] < curve[0]


def test_a_gradient_is_worth_more_than_noise(images):
    data = labelled(images, linear)
    for ball, epsilon in ((LINF, 0.15), (L2, 0.3)):
        by_noise = robust(linear, data, jax.jit(attack.noise(epsilon, ball), static_argnums=1))
        by_gradient = robust(linear, data, jax.jit(attack.fgsm(epsilon, ball), static_argnums=1))
        assert by_gradient < by_noise - 0.1


def test_an_image_is_dropped_once_it_is_broken(images):
    """What is wrong as it is stays as it is; nothing is computed once all are broken."""
    x, y = images.x, labelled(images, bent).y
    aim = away(np.where(np.arange(24) < 9, (y + 1) % 4, y))
    found = np.asarray(pgd(bent, aim, x, 0.07, 0.01, 4, 1))
    np.testing.assert_array_equal(found[:9], x[:9])
    assert (found[9:] != x[9:]).any((1, 2, 3)).all()
    calls = []

    def counted(x):
        jax.debug.callback(lambda: calls.append(1))
        return bent(x)

    counts = []
    for own in (away((y + 1) % 4), away(y)):
        calls.clear()
        jax.block_until_ready(pgd(counted, own, x, 0.9, 0.05, 50, 5))
        jax.effects_barrier()
        counts.append(len(calls))
    assert counts[0] == 1 < counts[1] < 5 * 51


def test_a_target_becomes_more_probable_and_is_reached(images):
    data = labelled(images, bent)
    target = (data.y + 2) % 4
    aim = towards(target, data.y)

    def chance(x):
        return np.asarray(jax.nn.softmax(bent(x)))[np.arange(24), target]

    small = (attack.gradient(1e-3), attack.fgsm(1e-3), attack.climb(0.1, 0.01, 20))
    for found in jax.jit(lambda x: [each(KEY, bent, aim, x) for each in small])(data.x):
        assert (chance(found) >= chance(data.x)).mean() > 0.9
    found = pgd(bent, aim, data.x, 0.5, 0.02, 40, 3)
    assert (bent(found).argmax(-1) == target).mean() > 0.9


def test_an_image_is_attacked_by_itself_and_sizes_may_be_traced(images):
    def found(e, x):
        return attack.climb(e, 0.1, 3, L2)(KEY, bent, away(images.y), x)

    x, company = images.x, images.x.copy()
    company[5:] = 0.5
    whole = jax.jit(found)(0.2, x)
    np.testing.assert_allclose(whole[:5], jax.jit(found)(0.2, company)[:5], atol=1e-6)
    both = jax.jit(jax.vmap(found, (0, None)))(jnp.array([0.1, 0.2]), x)
    np.testing.assert_allclose(both[1], whole, atol=1e-6)
    assert size(L2, both[0] - x).max() <= 0.1 + 1e-6


def test_images_in_pieces_are_all_there_and_in_order(images):
    bytes_, aim = np.round(255 * images.x).astype(np.uint8), away(images.y)
    for chunk in (7, 24, 100):
        found = attack.examples(attack.fgsm(0.1), KEY, linear, aim, bytes_, chunk)
        wanted = attack.fgsm(0.1)(KEY, linear, aim, jnp.asarray(bytes_, jnp.float32) / 255)
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.fixture(scope="module")
def stripes():
    """Images of two classes: one pixel tells most by much, and seven others tell all by little."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400).astype(np.int32)
    sign = np.where(y, 1, -1)[:, None]
    x = 0.5 + 0.05 * np.tile(sign, 8)
    x[:, :1] = 0.5 + 0.3 * np.where(rng.uniform(size=(400, 1)) < 0.93, sign, -sign)
    return Batch(x.reshape(-1, 2, 4, 1).astype(np.float32), y)


def test_training_against_an_attack_leaves_what_is_right_but_not_robust(stripes):
    """Tsipras et al. 2019: robust accuracy rises, and clean accuracy falls for it."""
    net, tx, each = MLP((2,)), optimizer("adam", 0.1), attack.climb(0.15, 0.1875, 1)
    found = {}
    for name, learner in {
        "plain": classify.make(net, tx, stripes, batch=100),
        "trained": attack.make(net, tx, stripes, each, batch=100),
    }.items():
        run, _ = advance(learner, start(learner, jax.random.key(0)), 400)
        weights = (run.state.fit.params, {})
        clean = classify.evaluate(net, weights, stripes)["validation/accuracy"]
        against = attack.evaluate(net, weights, attack.pgd(0.15, 0.05, 9), stripes, KEY)
        found[name] = float(clean), float(against["validation/robust accuracy"])
    assert found["plain"][0] > 0.99 and found["plain"][1] < 0.1
    assert 0.99 > found["trained"][0] > 0.9 and found["trained"][1] > 0.9


def test_sizes_are_drawn_for_each_image(images):
    """Half are of the full size, and the others' are uniform: a share p / 2 is below p."""
    middle = jnp.full((4000, 3, 2, 1), 0.5)
    each = attack.drawn(lambda e: attack.fgsm(e), 0.4)
    found = jax.jit(lambda x: each(KEY, linear, away(jnp.zeros(4000, int)), x))(middle)
    sizes = size(LINF, found - middle) / 0.4
    assert abs((sizes > 1 - 1e-5).mean() - 0.5) < 0.03
    np.testing.assert_allclose(np.quantile(sizes, [0.1, 0.25, 0.4]), [0.2, 0.5, 0.8], atol=0.04)


def test_no_gradient_goes_through_the_attack(stripes):
    net, each = MLP((2,)), attack.gradient(0.5)  # not a sign, which has no derivative
    params = net.init(KEY, stripes.x)["params"]

    @jax.jit
    def gradients(params):
        logits, aim = attack.network(net, (params, {})), away(stripes.y)
        fixed = Batch(jax.lax.stop_gradient(each(KEY, logits, aim, stripes.x)), stripes.y)
        goals = (attack.objective(net, each), stripes), (classify.objective(net), fixed)
        return [jax.grad(goal, has_aux=True)(params, {}, data, KEY)[0] for goal, data in goals]

    taken, wanted = gradients(params)
    for a, b in zip(jax.tree.leaves(taken), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def trainer(data, each):
    return attack.make(MLP((8, 4)), optimizer("adam", 0.1), data, each, batch=8)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda d: attack.fgsm(-0.1), "epsilon must be zero or positive; got -0.1"),
        (lambda d: attack.pgd(0.1, float("nan"), 3), "step must be zero or positive; got nan"),
        (lambda d: attack.fgsm(jnp.float32(-1)), "epsilon must be zero or positive; got -1.0"),
        (lambda d: attack.pgd(0.1, 0.1, 0), "steps must be at least 1; got 0"),
        (
            lambda d: attack.succeeds(attack.noise(0.1), KEY, linear, away(d.y + 4), d.x),
            "labels from 0 to 3; got",
        ),
        (
            lambda d: attack.examples(attack.noise(0.1), KEY, linear, away(d.y[:0]), d.x[:0]),
            "no images to attack",
        ),
        (lambda d: attack.gradient(-1.0), "eta must be zero or positive; got -1.0"),
        (lambda d: attack.climb(0.1, 0.1, -1), "steps must be at least 1; got -1"),
        (lambda d: trainer(d, attack.fgsm(1.5)), "epsilon must be at most 1, the range of pixels"),
        (lambda d: trainer(d, attack.noise(1.5)), "epsilon must be at most 1, the range of pixels"),
        (lambda d: trainer(d, attack.pgd(1.5, 0.1, 2)), "epsilon must be at most 1, the range of"),
        (lambda d: trainer(d, attack.climb(1.5, 0.1, 2)), "epsilon must be at most 1, the range"),
        (
            lambda d: trainer(d, attack.drawn(attack.fgsm, 1.5)),
            "epsilon must be at most 1, the range of pixels",
        ),
        (
            lambda d: attack.check_ball(d.x, np.array([0.1, 1.5]), LINF),
            r"epsilon must be at most 1, the range of pixels; got \[0.1 1.5\]",
        ),
        (lambda d: trainer(d, attack.fgsm(2.5, L2)), "epsilon must be at most 2.44949, the range"),
        (lambda d: towards(d.y, d.y), "a target must differ from its label; image 0 has 3"),
        (lambda d: trainer(d._replace(x=2 * d.x), attack.fgsm(0.1)), r"pixels must be in \[0, 1\]"),
        (
            lambda d: trainer(d._replace(y=d.y + 1), attack.fgsm(0.1)),
            "labels from 0 to 3; got 0 to 4",
        ),
        (
            lambda d: attack.examples(attack.fgsm(0.1), KEY, linear, away(d.y), d.x - 0.1),
            r"pixels must be in \[0, 1\]; got -0.1",
        ),
    ],
)
def test_bad_input_is_named(images, make, says):
    with pytest.raises(InputError, match=says) as error:
        make(images)
    assert "\n" not in str(error.value)
