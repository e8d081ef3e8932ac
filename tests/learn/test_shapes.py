"""Data, networks, labels and actions that do not fit each other: said where a learner is made."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import Batch, InputError
from dljax.data.stream import epochs
from dljax.envs.environment import Box, Environment, Step
from dljax.learn import (
    autoencode,
    by_hand,
    classify,
    debias,
    descent,
    dqn,
    forecast,
    gan,
    play,
    policy_gradient,
    ppo,
    risk,
    vae,
)
from dljax.learn.risk import first
from dljax.learn.shapes import given
from dljax.nets import CNN, MLP
from dljax.nets.actor_critic import ActorCritic
from dljax.nets.adversarial import Discriminator, Generator
from dljax.nets.coders import DenseDecoder, dense
from dljax.nets.q_network import QNetwork
from dljax.nets.reader import Reader
from dljax.nets.recurrent import Recurrent
from dljax.ops.backprop import Activation
from dljax.ops.policies import categorical, gaussian

X = np.random.default_rng(0).random((12, 2, 2, 1), np.float32)
Y = np.arange(12, dtype=np.int32) % 3
LINEAR = Activation(lambda z: z, jnp.ones_like)
TX = optax.sgd(0.1)


def world(actions: int | Box) -> Environment:
    """One state and `actions`; nothing is ever played here."""

    def step(key, state, action):
        return state, Step(jnp.ones(1), jnp.float32(0), jnp.bool(False), jnp.bool(False))

    return Environment("world", lambda key: (jnp.int32(0), jnp.ones(1)), step, (1,), actions, 9)


PLANE = Box(-jnp.ones(2), jnp.ones(2))


def classifier(y, net=MLP((3,))):  # noqa: B008 - immutable
    return classify.make(net, TX, Batch(X, y), batch=4)


def regression(y, outputs=1):
    return risk.make(MLP((outputs,)), TX, Batch(X, y), optax.squared_error, batch=4)


def written_out(x=np.zeros((12, 3)), y=np.zeros((12, 2))):  # noqa: B008 - not written to
    return by_hand.make((3, 4, 2), LINEAR, Batch(x, y), 0.1)


class Untold(nn.Module):
    """Hears nothing of training."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(x.reshape(len(x), -1))


def gaussian_of(outputs):
    """A mean and a deviation are two numbers that face one target."""

    def loss(z, y):
        return forecast.gaussian_nll(z.reshape(len(z), 2), y)

    return risk.make(MLP((outputs,)), TX, Batch(X, X[:, 0, 0, 0]), loss, batch=4)


def every_step(y):
    """Two steps of three logits each."""
    net = Reader(Recurrent((2,)), 3)
    loss = optax.softmax_cross_entropy_with_integer_labels
    return risk.make(net, TX, Batch(X[..., 0], y), loss, batch=4)


def debiased(encoder=7, shape=(2, 2, 1), y=Y, rows=range(12)):
    nets = debias.Nets(MLP((encoder,)), DenseDecoder(shape, ()), 3, 2)
    rows = jnp.array(rows)
    return debias.make(nets, TX, Batch(X, y), rows, batch=4, alpha=0.1, weight=0.1)


def game(shape=(2, 2, 1), judge=Discriminator(())):  # noqa: B008 - immutable
    return gan.make(gan.GAN(Generator(shape), judge, 3), TX, TX, epochs(Batch(X, Y), 4))


def q_learner(net):
    return dqn.make(
        world(4), net, TX, actors=2, iterations=2, capacity=8, warmup=4, batch=4, epsilon=0.5
    )


def agents(actions, policy, net):
    """Each learner that plays by a policy."""
    env = world(actions)
    sizes = {"actors": 2, "horizon": 4, "epochs": 1, "minibatches": 2}
    return [
        lambda: ppo.make(env, net, policy, TX, **sizes),
        lambda: policy_gradient.actor_critic(net, policy, env, TX, actors=2, steps=3),
        lambda: policy_gradient.reinforce(net, policy, env, TX, episodes=2),
    ]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: epochs(Batch(X, Y[:7]), 4), r"equally many examples; got \[12, 7\]"),
        (lambda: classifier(Y[:7]), r"got \[12, 7\]"),
        (lambda: debiased(y=Y[:7]), r"got \[12, 7\]"),
        (lambda: classify.fed(MLP((3,)), TX, Batch(X, Y + 1)), "labels from 0 to 2; got 0 to 3"),
        (lambda: written_out(y=Y[:, None]), r"y must be \[12, 2\]; got \[12, 1\]"),
        (lambda: written_out(y=Y), r"y must be \[12, 2\]; got \[12\]"),
        (lambda: written_out(x=X), r"x must be \[12, 3\]; got \[12, 2, 2, 1\]"),
        (lambda: classifier(Y + 1), "network of 3 logits, .* labels from 0 to 2; got 0 to 3"),
        (lambda: classifier(Y - 1), "from 0 to 2; got -1 to 1"),
        (lambda: classifier(jnp.asarray(Y + 7)), "got 0 to 9"),
        (lambda: classifier(0 * Y, MLP((1,))), "network of 1 logits, 2 or more"),
        (lambda: classifier(Y.astype(np.float32)), "labels must be integers; got float32"),
        (lambda: classifier(np.eye(3)[Y]), r"got labels \[12, 3\] and 3 numbers"),
        (
            lambda: descent.race(
                MLP((3,)), {"a": optax.sgd}, jnp.ones(1), Batch(X, Y + 1), batch=4
            ),
            "from 0 to 2; got 0 to 3",
        ),
        (lambda: debiased(y=Y + 1), "from 0 to 2; got 0 to 3"),
        (lambda: debiased(rows=range(1, 13)), "rows must be from 0 to 11; got 12"),
        (lambda: regression(X[:, 0, 0]), r"targets \[12, 1\] of one number each are .* \[n\]"),
        (lambda: classifier(Y[:, None]), r"got labels \[12, 1\] and 3 numbers"),
        (lambda: classifier(Y, Untold()), "Untold is called with `train`: write __call__"),
        (
            lambda: classifier(Y, nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(3)])),
            "the first layer of nn.Sequential is called with `train`",
        ),
        (lambda: regression(X[:, 0, :, 0], 3), "gives 3 numbers; the targets are 2 numbers"),
        (lambda: regression(X[:, 0, 0, 0], 3), "gives 3 numbers; the targets are one number"),
        (lambda: regression(X[:, 0, 0, 0], 2), "gives 2 numbers; the targets are one number"),
        (lambda: regression(Y, 2), "network of 2 logits.* from 0 to 1; got 0 to 2"),
        (lambda: gaussian_of(3), "gives 3 numbers; the targets are one number"),
        (lambda: every_step(np.stack([Y, Y], 1) + 1), "from 0 to 2; got 0 to 3"),
        (lambda: every_step(np.stack([Y, Y, Y], 1)), "labels .12, 3. and 2 x 3 numbers"),
        (lambda: debiased(encoder=8), "gives 8 numbers; classes and code need 7 numbers"),
        (lambda: debiased(shape=(4,)), "gives 4 numbers; x has 2 x 2 x 1 numbers"),
        (
            lambda: autoencode.make(dense((4,), 2), TX, X, optax.squared_error, batch=4),
            "gives 4 numbers; x has 2 x 2 x 1 numbers",
        ),
        (
            lambda: vae.make(dense((2, 2), 2, variational=True), TX, X, batch=4),
            "gives 2 x 2 numbers; x has 2 x 2 x 1 numbers",
        ),
        (lambda: game((2, 2)), "gives 2 x 2 numbers; x has 2 x 2 x 1 numbers"),
        (lambda: game(judge=MLP((2,))), "gives 2 numbers; a logit is one number"),
        (lambda: q_learner(QNetwork(5)), "gives 5 numbers; the actions of world need 4 numbers"),
        (lambda: q_learner(QNetwork(1)), "gives 1 numbers; the actions of world need 4 numbers"),
        (lambda: q_learner(ActorCritic(4)), "ActorCritic gives 2 arrays; a network of 1 is needed"),
        (lambda: classifier(Y, CNN((2, 2), (3,))), "window of 2 x 2 does not fit into 1 x 1"),
    ],
)
def test_what_does_not_fit_is_refused(make, said):
    with pytest.raises(InputError, match=said) as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize(
    ("actions", "policy", "net", "said"),
    [
        (4, categorical(4), ActorCritic(5), "gives 5 numbers; the policy needs 4 numbers"),
        (4, categorical(5), ActorCritic(5), "is for 5 numbers; the actions of world need 4"),
        (PLANE, play.policy_for(world(PLANE)), ActorCritic(2), "gives 2 .* needs 4 numbers"),
        (PLANE, gaussian(-jnp.ones(1), jnp.ones(1)), ActorCritic(2), "is for 1 .* need 2"),
        (4, categorical(4), QNetwork(4), "QNetwork gives 1 arrays; a network of 2 is needed"),
    ],
)
def test_a_policy_and_its_network_must_fit_the_actions(which, actions, policy, net, said):
    with pytest.raises(InputError, match=said):
        agents(actions, policy, net)[which]()


def test_what_fits_is_accepted_even_where_its_values_are_not_known():
    """Labels and rates as a sweep's hyperparameters; nothing is computed."""

    def made(rate, y):
        net = MLP((3,), dropout=rate)
        return classify.make(net, optax.sgd(rate), Batch(X, y), batch=4).init(jax.random.key(0))

    shapes = jax.eval_shape(jax.vmap(made), jnp.ones(5), jnp.zeros((5, 12), int))
    assert shapes.fit.params["Dense_0"]["kernel"].shape == (5, 4, 3)
    regression(X[:, 0, 0, 0]), regression(X[:, 0, :, 0], 2), classifier(jnp.asarray(Y))
    gaussian_of(2), every_step(np.stack([Y, Y], 1))
    for make in agents(PLANE, play.policy_for(world(PLANE)), ActorCritic(4, deviations=2)):
        make()


def test_shapes_are_of_what_the_network_sees():
    taken = given(MLP((3,)), lambda: first(X, lambda key, x: x[:, :1]))
    assert taken.shape == (1, 3) and first(X[:, :0], None).shape == (1, 0, 2, 1)
    assert first((255 * X).astype(np.uint8)).dtype == jnp.float32
