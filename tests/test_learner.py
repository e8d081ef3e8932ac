"""The contract's own functions against closed forms and against the same thing done by hand."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import (
    Batch,
    Fit,
    InputError,
    Learner,
    advance,
    gradient_step,
    grid,
    start,
    sweep,
    take_step,
)
from dljax.host.fit import Watch, advance_spread, fit
from dljax.host.result import fingerprint
from dljax.nets import MLP
from dljax.ops.sums import norm


def line(rate):
    """Descend `(w - 3)^2 / 2` from w = 0, with the rate an array: w_t = 3 (1 - (1 - rate)^t)."""

    def objective(params, extra, batch, key):
        loss = jnp.mean(0.5 * (params - batch.x) ** 2)
        return loss, (extra, {"w": params})

    descend = gradient_step(objective, optax.sgd(rate))

    def init(key):
        params = jnp.zeros(())
        return Fit(params, {}, optax.sgd(rate).init(params))

    def step(key, fit):
        return descend(key, fit, Batch(jnp.array(3.0), None))

    return Learner(init, step)


def noise():
    """A random walk: the state is the sum of all draws."""

    def step(key, state):
        draw = jax.random.normal(key)
        return state + draw, {"draw": draw}

    return Learner(lambda key: jax.random.normal(key), step)


def test_gradient_descent_on_a_parabola_has_its_closed_form():
    learner = line(0.1)
    run, metrics = advance(learner, start(learner, jax.random.key(0)), 20)
    np.testing.assert_allclose(run.state.params, 3 * (1 - 0.9**20), rtol=1e-6)
    np.testing.assert_allclose(metrics["w"], 3 * (1 - 0.9 ** np.arange(20)), rtol=1e-5)
    np.testing.assert_allclose(metrics["grad_norm"], 3 * 0.9 ** np.arange(20), rtol=1e-5)
    np.testing.assert_allclose(metrics["loss"], 4.5 * 0.81 ** np.arange(20), rtol=1e-5)


def test_step_i_draws_from_fold_in_of_the_key_and_i():
    learner = noise()
    run = start(learner, jax.random.key(1))
    _, metrics = advance(learner, run, 5)
    wanted = [jax.random.normal(jax.random.fold_in(run.key, i)) for i in range(5)]
    np.testing.assert_array_equal(metrics["draw"], jnp.stack(wanted))


@pytest.mark.parametrize("cuts", [(1,) * 7, (3, 4), (6, 1), (2, 2, 3)])
def test_any_cut_gives_the_same_bits(cuts):
    learner = noise()
    whole, metrics = advance(learner, start(learner, jax.random.key(2)), 7)
    run, pieces = start(learner, jax.random.key(2)), []
    for cut in cuts:
        run, piece = advance(learner, run, cut)
        pieces.append(piece["draw"])
    assert run.state == whole.state
    assert run.step == 7
    np.testing.assert_array_equal(jnp.concatenate(pieces), metrics["draw"])


def test_advance_compiles_once_for_each_length():
    learner = noise()
    run = start(learner, jax.random.key(3))
    for _ in range(3):
        run, _ = advance(learner, run, 5)
    assert advance.of(learner)._cache_size() == 1


def test_start_is_the_same_within_a_larger_program_which_is_optimised_more():
    net, x = MLP((50, 10)), jnp.ones((1, 70))
    learner = Learner(lambda key: net.init(key, x), lambda key, state: (state, {}))
    known = start(learner, key := jax.random.key(4))
    found = jax.jit(lambda key: start(learner, key))(key)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(known), strict=True):
        assert jnp.array_equal(one, other)
    assert set(learner.programs) == {(start, False), (start, jax.default_backend() == "cpu")}


def fitted(learner, run, steps):
    return fit(learner, run.key, steps, Watch(lambda w: {"w": w}, every=1)).run, {}


@pytest.mark.parametrize("drive", [lambda *how: advance(*how), advance_spread, fitted])
def test_a_dropped_learner_takes_its_data_and_its_programs_with_it(drive):
    """Three data sets of 4 MB, each trained on for 2 steps and then forgotten."""

    def train(value):
        x = jnp.full(2**20, float(value))
        learner = Learner(lambda key: x.mean(), lambda key, w: (w + x.mean(), {"w": w}))
        run, _ = drive(learner, start(learner, jax.random.key(0)), 2)
        return run.state, weakref.ref(x)

    train(9)
    gc.collect()
    programs = len(jax.devices()[0].client.live_executables())
    kept = [train(value) for value in range(3)]
    gc.collect()
    assert [float(state) for state, _ in kept] == [0, 3, 6]
    assert all(x() is None for _, x in kept)
    assert not [x for x in jax.live_arrays() if x.size == 2**20]
    assert len(jax.devices()[0].client.live_executables()) <= programs


def test_a_member_of_a_sweep_is_the_run_made_alone():
    rates, seeds = jnp.array([0.1, 0.5, 1.5]), jnp.array([4, 9, 4])
    swept = sweep(line, rates, seeds)
    run, metrics = advance(swept, start(swept, jax.random.key(5)), 10)
    assert metrics["loss"].shape == (10, 3)
    wanted = 3 * (1 - (1 - rates) ** 10)
    np.testing.assert_allclose(run.state.run.state.params, wanted, rtol=1e-5)
    np.testing.assert_array_equal(run.state.hparams, rates)


@pytest.mark.parametrize("kind", ["rbg", "unsafe_rbg"])
def test_keys_that_draw_otherwise_under_vmap_are_refused_by_a_sweep(kind):
    swept, key = sweep(line, jnp.ones(2), jnp.arange(2)), jax.random.key(0, impl=kind)
    with pytest.raises(InputError, match=f"must be of threefry2x32, not {kind}"):
        jax.eval_shape(swept.init, key)
    assert jax.eval_shape(lambda: start(line(0.1), key)).step.shape == (), "alone they may be"


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_members_may_be_taken_a_few_at_a_time(at_once):
    rates, seeds = jnp.linspace(0.1, 0.5, 5), jnp.arange(5)
    few, whole = sweep(line, rates, seeds, at_once=at_once), sweep(line, rates, seeds)
    run, metrics = advance(few, start(few, jax.random.key(5)), 4)
    other, known = advance(whole, start(whole, jax.random.key(5)), 4)
    np.testing.assert_allclose(metrics["loss"], known["loss"], rtol=1e-6)
    params, expected = (each.state.run.state.params for each in (run, other))
    np.testing.assert_allclose(params, expected, rtol=1e-6)


def test_a_lone_number_is_every_members():
    """Of the types of arrays, as by arrays of N, whichever of the two is alone."""
    wanted = start(sweep(line, jnp.full(3, 0.1), jnp.arange(3)), jax.random.key(5))
    found = start(sweep(line, 0.1, range(3)), jax.random.key(5))
    assert fingerprint(found) == fingerprint(wanted)
    rates = jnp.array([0.1, 0.2])
    many = start(sweep(line, [0.1, 0.2], seeds=4), jax.random.key(5)).state
    alike = start(sweep(line, rates, jnp.array([4, 4])), jax.random.key(5)).state
    assert fingerprint(many) == fingerprint(alike)
    one = start(sweep(line, 0.1, seeds=5), jax.random.key(5)).state
    alone = start(sweep(line, jnp.array([0.1]), [5]), jax.random.key(5)).state
    assert fingerprint(one) == fingerprint(alone)
    assert jax.eval_shape(sweep(line, 0.1).init, jax.random.key(0)).hparams.shape == (1,)


def still(key, state):
    return state, {}


@pytest.mark.parametrize(
    "make",
    [
        lambda width: Learner(lambda key: jnp.zeros(width), still),
        lambda width: Learner(lambda key: MLP((width, 2)).init(key, jnp.ones((1, 3))), still),
        lambda width: noise() if width > 3 else line(0.1),
        lambda depth: Learner(lambda key: MLP((4,) * depth).init(key, jnp.ones((1, 3))), still),
    ],
)
def test_shapes_cannot_be_swept(make):
    with pytest.raises(InputError, match=r"^shapes cannot be swept: run one sweep a width"):
        start(sweep(make, jnp.array([2, 8]), range(2)), jax.random.key(0))


def test_a_mistake_in_what_is_swept_is_said_as_it_is():
    def make(rate):
        raise TypeError("a mistake")

    with pytest.raises(TypeError, match="a mistake"):
        start(sweep(make, jnp.ones(2), range(2)), jax.random.key(0))
    with pytest.raises(InputError, match=r"must be of one length, N; got \[2, 3\]"):
        start(sweep(line, jnp.ones(2), range(3)), jax.random.key(0))


@pytest.mark.parametrize("key", [0, 1.5, np.int64(3), jnp.int32(0)])
def test_a_number_is_no_key(key):
    with pytest.raises(InputError, match=r"^a number is no key; make one of it, as by jax.random"):
        start(noise(), key)


def test_members_of_equal_seed_draw_alike_and_others_do_not():
    learner = noise()
    swept = sweep(lambda _: learner, None, jnp.array([4, 9, 4]))
    outer = start(swept, jax.random.key(5))
    first, _ = advance(swept, outer, 6)
    a, b, c = first.state.run.state
    assert a == c != b
    k_init, _ = jax.random.split(jax.random.key(5))
    alone, _ = advance(learner, start(learner, jax.random.fold_in(k_init, 9)), 6)
    assert alone.state == b


def test_take_step_is_a_step_of_advance():
    learner = line(0.2)
    run = start(learner, jax.random.key(0))
    one, metrics = take_step(learner, run)
    whole, stacked = advance(learner, run, 1)
    chex_equal(one, whole)
    np.testing.assert_allclose(metrics["loss"], stacked["loss"][0], rtol=1e-6)


def chex_equal(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            np.testing.assert_allclose(x, y, rtol=1e-6)


def test_grid_is_the_product_with_the_last_axis_fastest():
    axes = grid(rate=[0.1, 0.2], seed=[7, 8, 9])
    np.testing.assert_array_equal(axes["seed"], [7, 8, 9, 7, 8, 9])
    np.testing.assert_allclose(axes["rate"], [0.1] * 3 + [0.2] * 3)


@pytest.mark.parametrize("shape", [(), (3,), (70, 80), (5, 40, 50)])
def test_the_norm_is_that_of_all_elements(shape):
    leaf = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    tree = {"a": jnp.asarray(leaf), "b": jnp.ones(2)}
    assert norm(tree) == pytest.approx(np.sqrt((leaf**2).sum() + 2), rel=1e-5)
