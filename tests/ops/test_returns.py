"""Returns and advantages against sums written out, rlax, and a task that only ever truncates."""

import functools
import inspect
import itertools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from dljax.errors import InputError
from dljax.host.fit import COMPILED
from dljax.ops import returns
from dljax.ops.returns import discounted_return, gae, lambda_return, n_step_return

T = 5
STEPS = [(False, False), (True, False), (False, True), (True, True)]
# every way in which five steps can terminate, be truncated, or both
PATTERNS = np.array(list(itertools.product(STEPS, repeat=T))).transpose(2, 0, 1)
TERMINATED, TRUNCATED = PATTERNS
DRAW = np.random.default_rng(0)
REWARD, VALUE, NEXT = DRAW.normal(size=(3, *TERMINATED.shape))
GAMMA, LAM = DRAW.uniform(size=(2, len(TERMINATED)))
EVENTS = (REWARD, TERMINATED, TRUNCATED, NEXT)


def exact(f, *args):
    """f in float64, over patterns that differ in all that they are given, gamma and lambda too."""
    with jax.enable_x64(True):
        return np.asarray(jax.jit(jax.vmap(f))(*args))


def agree(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def each(f, *args):
    return np.array([f(*rollout) for rollout in zip(*args, strict=True)])


def n_step_sum(t, n, reward, terminated, truncated, following, gamma):
    """The first n rewards from t on, as far as there are any, and what then stands for the rest."""
    total = 0.0
    for i in range(t, T):
        total += gamma ** (i - t) * reward[i]
        if terminated[i]:
            return total
        if truncated[i] or i - t + 1 == n or i == T - 1:
            return total + gamma ** (i - t + 1) * following[i]


def slow_n_step(*args, n=T):
    return [n_step_sum(t, n, *args) for t in range(T)]


def slow_lambda(*args):
    """`(1 - lam) sum_{n < h} lam^(n-1) G^(n)_t + lam^(h-1) G^(h)_t`: h steps are left."""
    *rollout, lam = args
    done, targets = rollout[1] | rollout[2], []
    for t in range(T):
        h = next((i for i in range(t, T) if done[i]), T - 1) - t + 1
        total = lam ** (h - 1) * n_step_sum(t, h, *rollout)
        for n in range(1, h):
            total += (1 - lam) * lam ** (n - 1) * n_step_sum(t, n, *rollout)
        targets.append(total)
    return targets


def slow_gae(reward, value, following, terminated, truncated, gamma, lam):
    """`sum_{k >= t} prod_{t <= j < k} gamma lam (1 - done_j) delta_k`."""
    done, advantages = (terminated | truncated).astype(int), []
    for t in range(T):
        total = 0.0
        for k in range(t, T):
            delta = reward[k] + gamma * (1 - terminated[k]) * following[k] - value[k]
            total += np.prod([gamma * lam * (1 - done[j]) for j in range(t, k)]) * delta
        advantages.append(total)
    return advantages


def test_the_discounted_return_is_the_sum_over_every_pattern_of_ends():
    agree(exact(discounted_return, *EVENTS, GAMMA), each(slow_n_step, *EVENTS, GAMMA))


@pytest.mark.parametrize("n", [1, 2, 3, T, T + 3])
def test_the_n_step_return_is_the_sum_over_every_pattern_of_ends(n):
    found = exact(functools.partial(n_step_return, n=n), *EVENTS, GAMMA)
    agree(found, each(functools.partial(slow_n_step, n=n), *EVENTS, GAMMA))


def test_the_lambda_return_is_the_mixture_of_n_step_returns():
    agree(exact(lambda_return, *EVENTS, GAMMA, LAM), each(slow_lambda, *EVENTS, GAMMA, LAM))


def test_gae_is_the_double_sum():
    args = (REWARD, VALUE, NEXT, TERMINATED, TRUNCATED, GAMMA, LAM)
    agree(exact(gae, *args), each(slow_gae, *args))


@pytest.fixture(scope="module")
def within():
    """Values under which next_value_t is value_{t+1} within episodes, and anything at the ends."""
    following = np.roll(VALUE, -1, 1)
    ends = TERMINATED | TRUNCATED | (np.arange(T) == T - 1)[None]
    return np.where(ends, NEXT, following)


def test_gae_and_the_value_add_up_to_the_lambda_return(within):
    advantage = exact(gae, REWARD, VALUE, within, TERMINATED, TRUNCATED, GAMMA, LAM)
    agree(advantage + VALUE, exact(lambda_return, *EVENTS[:3], within, GAMMA, LAM))
    # and not if the values disagree within episodes
    assert np.abs(advantage + VALUE - exact(lambda_return, *EVENTS, GAMMA, LAM)).max() > 0.1


def test_the_limits_of_lambda_and_gamma(within):
    nothing, all_of_it = np.zeros_like(LAM), np.ones_like(LAM)
    advantage = functools.partial(exact, gae, REWARD, VALUE, within, TERMINATED, TRUNCATED)
    target = functools.partial(exact, lambda_return, *EVENTS[:3], within)
    one_step = REWARD + GAMMA[:, None] * ~TERMINATED * within
    agree(target(GAMMA, nothing), one_step)
    agree(advantage(GAMMA, nothing), one_step - VALUE)
    whole = each(slow_n_step, *EVENTS[:3], within, GAMMA)
    agree(target(GAMMA, all_of_it), whole)
    agree(advantage(GAMMA, all_of_it), whole - VALUE)
    agree(target(nothing, LAM), REWARD)
    agree(advantage(nothing, LAM), REWARD - VALUE)
    agree(exact(discounted_return, *EVENTS, nothing), REWARD)
    agree(exact(functools.partial(n_step_return, n=3), *EVENTS, nothing), REWARD)


# rlax 0.1.9 in float64, with the rewards r, values v, discounts d = 0.9 (1 - terminated) and
# lambdas c = 1 - truncated that stand below; it has no truncation, but its lambda may be an array
RLAX = {
    "rlax.discounted_returns(r, d, v[1:])": (
        lambda r, v, end, cut: discounted_return(r, end, jnp.zeros_like(cut), v[1:], 0.9),
        [1.60138, 0.6682, 1.298, -0.78, -1.2, 2.3092, 1.788, 0.32],
    ),
    "rlax.n_step_bootstrapped_returns(r, d, v[1:], 1, c)": (
        lambda r, v, end, cut: n_step_return(r, end, cut, v[1:], 0.9, 1),
        [0.82, 0.49, 2.81, -0.33, -1.2, 1.87, 0.6, 0.32],
    ),
    "rlax.n_step_bootstrapped_returns(r, d, v[1:], 3, c)": (
        lambda r, v, end, cut: n_step_return(r, end, cut, v[1:], 0.9, 3),
        [2.8261, 2.029, 2.81, -0.78, -1.2, 2.3092, 1.788, 0.32],
    ),
    "rlax.lambda_returns(r, d, v[1:], 0.8 * c)": (
        lambda r, v, end, cut: lambda_return(r, end, cut, v[1:], 0.9, 0.8),
        [2.203264, 1.7212, 2.81, -0.69, -1.2, 2.050288, 1.5504, 0.32],
    ),
    "rlax.truncated_generalized_advantage_estimation(r, d, 0.8 * c, v)": (
        lambda r, v, end, cut: gae(r, v[:-1], v[1:], end, cut, 0.9, 0.8),
        [1.603264, 1.9212, 1.71, -1.59, -0.5, 1.650288, 0.2504, 1.32],
    ),
}


@pytest.mark.parametrize("call", RLAX)
def test_they_are_rlaxs(call):
    ours, printed = RLAX[call]
    reward = jnp.array([1.0, -0.5, 2.0, 0.3, -1.2, 0.7, 1.5, -0.4])
    values = jnp.array([0.6, -0.2, 1.1, 0.9, -0.7, 0.4, 1.3, -1.0, 0.8])
    terminated, truncated = jnp.arange(8) == 4, jnp.arange(8) == 2
    found = ours(reward, values, terminated, truncated)
    np.testing.assert_allclose(found, printed, rtol=1e-5, atol=1e-6)


TARGETS = {
    "discounted": discounted_return,
    "two steps": functools.partial(n_step_return, n=2),
    "many steps": functools.partial(n_step_return, n=7),
    "lambda": functools.partial(lambda_return, lam=0.5),
    "advantage": lambda reward, terminated, truncated, next_value, gamma: (
        next_value + gae(reward, next_value, next_value, terminated, truncated, gamma, 0.5)
    ),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_time_limit_is_no_end(target):
    """One state, reward 1 for ever, time limit 4: its value is 1 / (1 - gamma) at every step."""
    reward, limit, never = jnp.ones(10), jnp.arange(10) % 4 == 3, jnp.zeros(10, bool)
    for gamma in (0.5, 0.75):  # of which floats hold the powers
        true = jnp.full(10, 1 / (1 - gamma))
        assert (TARGETS[target](reward, never, limit, true, gamma) == true).all()
        wrong = TARGETS[target](reward, limit, never, true, gamma)
        assert (wrong[limit] == 1).all()
    true = jnp.full(10, 100.0)
    right = TARGETS[target](reward, never, limit, true, jnp.float32(0.99))
    np.testing.assert_allclose(right, true, rtol=1e-5)
    # a discounted return that took the limit for an end would be off by most of the value
    wrong = TARGETS["discounted"](reward, limit, never, true, 0.99)
    np.testing.assert_allclose(wrong[:4], (1 - 0.99 ** np.arange(4, 0, -1)) / 0.01, rtol=1e-4)


def test_precision_and_gradients_pass_through():
    reward, low = jnp.ones(3), jnp.ones(3, jnp.bfloat16)
    never = jnp.zeros(3, bool)
    for target in TARGETS.values():
        assert target(reward, never, never, low, 0.5).dtype == jnp.float32
        assert target(low, never, never, low, 0.5).dtype == jnp.bfloat16
        slope = jax.grad(lambda v, f=target: f(reward, never, never, v, 0.5)[-1])(reward)
        np.testing.assert_allclose(slope, [0, 0, 0.5], atol=1e-7)


def test_what_is_not_a_rollout_is_refused():
    one, many = jnp.zeros(3), jnp.zeros((3, 2))
    never = one.astype(bool)
    with pytest.raises(InputError, match="n must be at least 1; got 0"):
        n_step_return(one, never, never, one, 0.9, 0)
    for reward, value in ((many, many), (one, many), (one, jnp.zeros(4))):
        # by the annotations, which only tests check, and by what users have
        with pytest.raises(jaxtyping.TypeCheckError):
            gae(reward, value, value, never, never, 0.9, 0.9)
        with pytest.raises(AssertionError):
            inspect.unwrap(returns._links)(reward, never, never, value, 0.9, 0.9)


@pytest.mark.parametrize("f", [gae, n_step_return, lambda_return, discounted_return])
def test_outside_of_jit_a_shape_is_compiled_once(f):
    """A loop whose body were made anew at every call would be compiled at every call."""
    value, reward, more = jnp.asarray(np.float32([9 * [0], 9 * [1], 9 * [2]]))
    ends = (jnp.zeros(9, bool), jnp.zeros(9, bool))
    values = (value, value, *ends) if f is gae else (*ends, value)
    last = {gae: (0.9,), lambda_return: (0.9,), n_step_return: (3,)}.get(f, ())
    first = f(reward, *values, 0.9, *last)
    before = COMPILED["seconds"]
    again = f(more, *values, 0.9, *last)
    assert COMPILED["seconds"] == before
    np.testing.assert_allclose(again, 2 * first, rtol=1e-6)
