"""Networks of other libraries do in learners what Linen's do, and what they do alone."""

import re
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from dljax import Batch, InputError, advance, start, sweep
from dljax.envs import make
from dljax.learn import classify, ppo
from dljax.nets import MLP
from dljax.nets.adapt import from_equinox, from_nnx, pair
from dljax.ops.policies import categorical

SEEN, WIDTH = 4, 8


def begin(key, outputs):
    k_in, k_out = jax.random.split(key)
    into, out = jax.random.normal(k_in, (SEEN, WIDTH)), jax.random.normal(k_out, (WIDTH, outputs))
    return {"in": into / 2, "out": out / 3}


def layers(params, x):
    return jnp.tanh(x @ params["in"]) @ params["out"]


class Linear2(nnx.Module):
    def __init__(self, outputs, rngs, share=0.5):
        self.into = nnx.Linear(SEEN, WIDTH, rngs=rngs)
        self.norm = nnx.BatchNorm(WIDTH, momentum=0.9, rngs=rngs)
        self.drop = nnx.Dropout(share, rngs=rngs)
        self.out = nnx.Linear(WIDTH, outputs, rngs=rngs)

    def __call__(self, x):
        return self.out(self.drop(self.norm(self.into(x))))


class Player(nnx.Module):
    def __init__(self, rngs):
        self.into = nnx.Linear(SEEN, WIDTH, rngs=rngs)
        self.out, self.worth = (nnx.Linear(WIDTH, k, rngs=rngs) for k in (2, 1))

    def policy(self, x):
        return self.out(jnp.tanh(self.into(x)))

    def value(self, x):
        return self.worth(jnp.tanh(self.into(x)))[..., 0]

    def __call__(self, x):
        return self.policy(x), self.value(x)


class One(eqx.Module):
    """An agent of Equinox's, of one observation."""

    actor: eqx.nn.MLP
    critic: eqx.nn.MLP

    def __init__(self, key):
        self.actor, self.critic = (eqx.nn.MLP(SEEN, k, WIDTH, 1, key=key) for k in (2, 1))

    def policy(self, x, key=None):
        return self.actor(x)

    def value(self, x, key=None):
        return self.critic(x)[0]

    def __call__(self, x, key=None):
        return self.policy(x), self.value(x)


class Dropped(eqx.Module):
    layer: eqx.nn.Linear
    drop: eqx.nn.Dropout

    def __init__(self, key):
        self.layer, self.drop = eqx.nn.Linear(SEEN, 3, key=key), eqx.nn.Dropout(0.5)

    def __call__(self, x, key=None):
        return self.drop(self.layer(x), key=key)


class Plain(eqx.Module):
    """One that draws nothing, and so takes no key."""

    layer: eqx.nn.Linear

    def __init__(self, key):
        self.layer = eqx.nn.Linear(SEEN, 3, key=key)

    def __call__(self, x):
        return self.layer(x)


CLASSIFIERS = {
    "pair": pair(lambda key: begin(key, 3), layers),
    "nnx": from_nnx(lambda rngs: Linear2(3, rngs)),
    "equinox": from_equinox(Dropped),
    "equinox without a key": from_equinox(Plain),
}
AGENTS = {
    "pair": pair(
        lambda key: begin(key, 3),
        lambda p, x: (layers(p, x)[..., :2], layers(p, x)[..., 2]),
        policy=lambda p, x: layers(p, x)[..., :2],
        value=lambda p, x: layers(p, x)[..., 2],
    ),
    "nnx": from_nnx(Player),
    "equinox": from_equinox(One),
}
KEY = jax.random.key(0)


def asked(net, *given, **options) -> Any:
    return net.apply(*given, **options)


def data(n=60):
    """Three clouds of points."""
    y = np.arange(n) % 3
    centres = np.random.default_rng(0).normal(size=(3, SEEN)) * 3
    x = centres[y] + np.random.default_rng(1).normal(size=(n, SEEN))
    return Batch(x.astype(np.float32), y)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_a_classifier_learns_as_one_of_linen(kind):
    net, rows = CLASSIFIERS[kind], data()
    learner = classify.make(net, optax.sgd(0.1, 0.9), rows, batch=20)
    run, _ = advance(sweep(lambda _: learner, None, jnp.arange(2)), start_two(learner), 60)
    weights = run.state.run.state.fit
    found = jax.vmap(lambda p, e: classify.evaluate(net, (p, e), rows))(
        weights.params, weights.extra
    )
    assert (found["validation/accuracy"] > 0.9).all()
    alone, _ = advance(learner, start(learner, jax.random.fold_in(jax.random.split(KEY)[0], 1)), 60)
    for one, two in zip(
        *map(jax.tree.leaves, (alone.state.fit.params, weights.params)), strict=True
    ):
        np.testing.assert_allclose(one, two[1], rtol=1e-4, atol=1e-5)


def start_two(learner):
    return start(sweep(lambda _: learner, None, jnp.arange(2)), KEY)


@pytest.mark.parametrize("kind", AGENTS)
def test_an_agent_learns_by_ppo(kind):
    net, env = AGENTS[kind], make("CartPole-v1")
    learner = ppo.make(
        env, net, categorical(2), optax.adam(1e-2), actors=4, horizon=16, epochs=2, minibatches=2
    )
    run, metrics = advance(learner, start(learner, KEY), 3)
    assert np.isfinite(metrics["loss"]).all()
    before, after = (jax.tree.leaves(r.state.fit.params) for r in (start(learner, KEY), run))
    assert all((b != a).any() for b, a in zip(before, after, strict=True))


def test_a_pair_is_the_linen_network_of_the_same_weights():
    linen, x = MLP((WIDTH, 3)), jnp.asarray(data().x)
    net = pair(lambda key: linen.init(key, x)["params"], lambda p, x: linen.apply({"params": p}, x))
    variables = net.init(KEY, x)
    np.testing.assert_array_equal(
        asked(net, variables, x), linen.apply({"params": variables["params"]["net"]}, x)
    )


def test_nnx_normalises_and_drops_as_alone():
    net, x = CLASSIFIERS["nnx"], jnp.asarray(data().x)
    variables: Any = net.init(KEY, x)
    alone: Any = Linear2(3, nnx.Rngs(0))
    nnx.update(alone, variables["params"]["net"])
    alone.eval()
    np.testing.assert_allclose(asked(net, variables, x), alone(x), rtol=1e-5)

    def trained(key):
        options = {"train": True, "rngs": {"dropout": key}, "mutable": ["rest"]}
        return asked(net, variables, x, **options)

    (one, rest), (two, _), (again, _) = map(trained, jax.random.split(KEY, 2)[np.array([0, 1, 0])])
    np.testing.assert_array_equal(one, again)
    assert (one != two).any()
    into = variables["params"]["net"]["into"]
    hidden = np.asarray(x @ into["kernel"]) + np.asarray(into["bias"])
    mean = rest["rest"]["net"]["norm"]["mean"]
    np.testing.assert_allclose(mean, 0.1 * hidden.mean(0), rtol=1e-4, atol=1e-6)


def test_equinox_is_mapped_over_what_is_before_an_example():
    net, x = CLASSIFIERS["equinox"], jnp.asarray(data().x).reshape(5, 12, SEEN)
    variables: Any = net.init(KEY, x)
    weights = variables["params"]["net"]
    by_hand = np.asarray(x @ weights[".layer.weight"].T) + np.asarray(weights[".layer.bias"])
    np.testing.assert_allclose(asked(net, variables, x), by_hand, rtol=1e-5, atol=1e-6)
    dropped = asked(net, variables, x, train=True, rngs={"dropout": KEY})
    kept = dropped != 0
    np.testing.assert_allclose(dropped[kept], 2 * by_hand[kept], rtol=1e-5, atol=1e-6)
    assert 0.3 < kept.mean() < 0.7 and (kept.mean((0, 2)) != kept.mean((0, 2))[0]).any()


@pytest.mark.usefixtures("misused")
@pytest.mark.parametrize(
    ("net", "how"),
    [
        (Linear2(3, nnx.Rngs(0)), "Linear2 by nets.adapt.from_nnx(make)"),
        (Plain(KEY), "Plain by nets.adapt.from_equinox(make)"),
        ((lambda key: begin(key, 3), layers), "tuple by nets.adapt.pair(init, apply)"),
    ],
)
def test_a_network_that_is_not_adapted_is_refused_with_how_to(net, how):
    with pytest.raises(InputError, match=re.escape(how)):
        classify.make(net, optax.sgd(0.1), data(), batch=20)
    with pytest.raises(InputError, match=re.escape(how)):
        ppo.make(
            make("CartPole-v1"), net, categorical(2), optax.sgd(0.1),
            actors=2, horizon=2, epochs=1, minibatches=1,
        )  # fmt: skip
