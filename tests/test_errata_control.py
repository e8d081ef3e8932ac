"""What the notes on reinforcement learning print wrong, each shown failing beside the right one."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from dljax.learn import policy_gradient
from dljax.ops.policies import categorical, gaussian
from dljax.ops.returns import discounted_return


def test_s46_the_discount_counts_from_now_not_from_the_start():
    """S46 prints `sum_{i >= t} gamma^i r_i`, which obeys no Bellman equation: it is gamma^(i-t)."""
    gamma, reward = 0.9, np.array([1.0, -2.0, 0.5, 3.0, 1.5])
    steps = range(len(reward))

    def bellman_error(returns):
        """The largest `|G_t - (r_t + gamma G_{t+1})|`; nothing is earned after the end."""
        return np.abs(returns - reward - gamma * np.append(returns[1:], 0)).max()

    printed = np.array([sum(gamma**i * reward[i] for i in steps[t:]) for t in steps])
    right = np.array([sum(gamma ** (i - t) * reward[i] for i in steps[t:]) for t in steps])
    assert printed[0] == right[0]  # at t = 0 alone
    assert bellman_error(printed) > 0.4
    assert bellman_error(right) < 1e-12
    nothing = jnp.zeros(5)
    end, never = jnp.arange(5) == 4, nothing.astype(bool)
    ours = discounted_return(jnp.asarray(reward), end, never, nothing, gamma)
    np.testing.assert_allclose(ours, right, rtol=1e-6)


class Arms(nn.Module):
    """A policy of two arms that sees nothing, and values nothing."""

    @nn.compact
    def __call__(self, x):
        logits = self.param("logits", nn.initializers.zeros, (2,))
        return jnp.broadcast_to(logits, (len(x), 2)), jnp.zeros(len(x))


def expected_loss(logits, reward, minus=-1.0):
    """`-sum_a pi(a) R(a) log pi(a)`, pi the sampling policy (held fixed) and pi the learnt one."""
    chance = jax.lax.stop_gradient(jax.nn.softmax(logits))
    return minus * (chance * reward * jax.nn.log_softmax(logits)).sum()


def test_s48_the_loss_of_a_policy_has_a_minus():
    """S48 prints `log pi(a|s) R` as the loss: descent on it leads to the worse of two arms."""
    reward, logits = jnp.array([1.0, 0.2]), jnp.array([0.3, -0.4])
    ascent = jax.grad(lambda logits: jax.nn.softmax(logits) @ reward)(logits)
    printed = jax.grad(expected_loss)(logits, reward, minus=1.0)
    right = jax.grad(expected_loss)(logits, reward)
    np.testing.assert_allclose(-right, ascent, rtol=1e-5)
    np.testing.assert_allclose(-printed, -ascent, rtol=1e-5)  # away from the return
    for minus, best_arm in ((1.0, 0.0), (-1.0, 1.0)):
        step = jax.jit(lambda x, m=minus: x - 0.5 * jax.grad(expected_loss)(x, reward, m))
        learnt = logits
        for _ in range(200):
            learnt = step(learnt)
        assert jax.nn.softmax(learnt)[0] == pytest.approx(best_arm, abs=0.05)
    # the package's own objective, over both arms as often as the policy takes them
    sample = policy_gradient.Sample(
        jnp.zeros((2, 1)), jnp.arange(2), jnp.zeros(2), reward, jax.nn.softmax(logits)
    )
    ours = policy_gradient.objective(Arms(), categorical(2), value=0.0)
    by_logits = jax.grad(lambda x: ours({"logits": x}, {}, sample, jax.random.key(0))[0])(logits)
    np.testing.assert_allclose(-by_logits, ascent, rtol=1e-5)


def test_s48_without_a_rate_the_first_arm_tried_is_kept_for_ever():
    """S48 prints the update without its rate: under returns of 100 and 50 a step of the whole
    gradient makes the first arm certain, and that is the better one by a coin; a rate explores.
    """
    reward = jnp.array([100.0, 50.0])

    @functools.partial(jax.vmap, in_axes=(0, None))
    def share_of_the_better(key, rate):
        def step(logits, key):
            arm = jax.random.categorical(key, logits)
            gradient = jax.grad(lambda x: -jax.nn.log_softmax(x)[arm] * reward[arm])(logits)
            return logits - rate * gradient, None

        logits, _ = jax.lax.scan(step, jnp.zeros(2), jax.random.split(key, 2000))
        return jax.nn.softmax(logits)[0]

    keys = jax.random.split(jax.random.key(0), 400)
    printed, right = (share_of_the_better(keys, rate) for rate in (1.0, 1e-3))
    assert abs(printed.mean() - 0.5) < 4 * np.sqrt(0.25 / 400)
    assert set(np.round(printed, 3).tolist()) == {0, 1}
    assert right.mean() > 0.9


def test_s48_the_likelier_an_action_the_smaller_its_loss():
    """S48's numbers hold, its reading is inverted: of two actions of return 1, the one of
    probability .01 costs 4.6 and that of .1 costs 2.3, so descent makes each likelier, and neither
    number says how good its action was.
    """
    rare, likely = -np.log(0.01), -np.log(0.1)
    assert (round(rare, 1), round(likely, 1)) == (4.6, 2.3)
    assert np.all(np.diff(-np.log(np.linspace(0.01, 1, 50))) < 0)
    for chance in (0.01, 0.1):
        logits = jnp.log(jnp.array([chance, 1 - chance]))
        for ret, sign in ((1.0, 1), (-1.0, -1)):
            slope = jax.grad(lambda x, r=ret: -r * jax.nn.log_softmax(x)[0])(logits)[0]
            assert sign * -slope == pytest.approx(1 - chance, rel=1e-5)
    # the value of the loss is 0 under the best policy and under the worst
    reward = jnp.array([1.0, 0.0])
    for sure in ([40.0, 0.0], [0.0, 40.0]):
        assert expected_loss(jnp.array(sure), reward) == pytest.approx(0, abs=1e-6)


def test_s48_a_policy_samples_its_action_and_does_not_take_the_likeliest():
    """S48 says that the policy "chooses the action with maximal probability": then it tries no
    other, and makes certain whatever it began with; sampled actions find the better arm.
    """
    reward = np.array([0.2, 1.0])

    def learnt(taken):
        logits = np.array([0.1, 0.0])  # the worse arm is a little likelier
        for _ in range(500):
            chance = softmax(logits)
            often = taken(chance)
            # the mean of -R grad log pi(a) over the actions taken
            logits = logits + 0.5 * (often * reward - (often @ reward) * chance)
        return softmax(logits)

    assert learnt(lambda chance: np.eye(2)[chance.argmax()])[0] > 0.95
    assert learnt(lambda chance: chance)[1] > 0.95
    # the package's own policies draw
    chance, policy = np.array([0.6, 0.4]), categorical(2)
    noise = policy.noise(jax.random.key(0), (10_000,))
    drawn = policy.sample(noise, jnp.broadcast_to(jnp.log(chance), (10_000, 2)))
    assert (drawn == 1).mean() == pytest.approx(0.4, abs=0.02)


def test_s48_a_gaussian_policy_of_mean_minus_1_and_variance_a_half():
    """S48's example: its density is .5642 at -1 and .5421 at -.8; .5 is s^2, not s."""
    policy = gaussian(jnp.array([-1.0]), jnp.array([1.0]))  # a box that changes no scale
    outputs = jnp.array([-1.0, 0.5 * jnp.log(0.5)])  # the mean, and log s

    def density(action):
        return jnp.exp(policy.log_prob(outputs, jnp.array([action])))

    assert density(-1.0) == pytest.approx(0.5642, abs=5e-5)
    assert density(-0.8) == pytest.approx(0.5421, abs=5e-5)
    mistaken = policy.log_prob(jnp.array([-1.0, jnp.log(0.5)]), jnp.array([-1.0]))
    assert jnp.exp(mistaken) == pytest.approx(0.7979, abs=5e-5)
    noise = policy.noise(jax.random.key(0), (50_000,))
    drawn = policy.sample(noise, jnp.broadcast_to(outputs, (50_000, 2)))
    assert drawn.mean() == pytest.approx(-1, abs=0.015)
    assert drawn.var() == pytest.approx(0.5, abs=0.015)
    assert (drawn < 0).mean() == pytest.approx(0.9214, abs=0.005)  # Phi(1 / sqrt(.5))
