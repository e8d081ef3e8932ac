"""Every learner of the package, tiny, by name; a new one joins the contract test by a line here."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import Batch, Learner, sweep
from dljax.data import shift
from dljax.data.augment import flip
from dljax.data.augment_masks import bend
from dljax.data.points import wobbled
from dljax.data.stream import epochs
from dljax.envs import ads, tabular
from dljax.envs.boards import TIC_TAC_TOE, repeated
from dljax.envs.environment import Box, Environment, Step
from dljax.learn import (
    alphazero,
    architecture,
    attack,
    autoencode,
    bandit,
    by_hand,
    classify,
    compress,
    cyclegan,
    debias,
    descent,
    detect,
    dqn,
    gan,
    graph_forecast,
    graph_regress,
    imitate,
    landscape,
    language,
    node_classify,
    play,
    policy_gradient,
    ppo,
    progressive,
    q_learning,
    risk,
    segment,
    translate,
    uncertainty,
    vae,
)
from dljax.learn.optimizers import optimizer
from dljax.nets import CNN, MLP
from dljax.nets.actor_critic import ActorCritic
from dljax.nets.adversarial import Discriminator, Generator, Translator
from dljax.nets.alphazero import BoardNet
from dljax.nets.architecture import Child, Size, Space, Speller, shared
from dljax.nets.bayesian import BayesianMLP
from dljax.nets.caption import Captioner
from dljax.nets.codec import Basis, Codec
from dljax.nets.coders import DenseDecoder, convolutional, dense
from dljax.nets.diffusion import GraphForecaster
from dljax.nets.graph import GCN, symmetric
from dljax.nets.language import RecurrentLanguage, Transformer
from dljax.nets.message import MessageNet
from dljax.nets.points import PointNet
from dljax.nets.progressive import Growing, Shrinking
from dljax.nets.q_network import QNetwork
from dljax.nets.restore import Restorer, SlidingCoder
from dljax.nets.topics import TopicNet
from dljax.nets.translator import RecurrentTranslator
from dljax.nets.trunk import Detect, Segment, Trunk, Vision
from dljax.ops import unions
from dljax.ops.backprop import ACTIVATIONS
from dljax.ops.policies import categorical
from dljax.typing import Boxes, Graph


def images() -> Batch:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (37, 6, 6, 1), dtype=np.uint8)
    return Batch(x, rng.integers(0, 3, 37).astype(np.int32))


def classify_mlp(rate: jax.typing.ArrayLike = 1e-2) -> Learner:
    net = MLP((8, 3), dropout=0.2, batch_norm=True)
    return classify.make(net, optimizer("adam", rate), images(), batch=8, smoothing=0.1)


def classify_cnn() -> Learner:
    tx = optimizer("momentum", 1e-2, steps=9, schedule="warmup-cosine", weight_decay=1e-3)
    augment = functools.partial(shift, by=1)
    return classify.make(CNN((2, 3), (8, 3), 0.2), tx, images(), batch=8, augment=augment)


def adversarial() -> Learner:
    net, tx = MLP((8, 3), dropout=0.2), optimizer("adam", 1e-2)
    each = attack.climb(0.5, 0.2, 3, attack.L2)  # rounding may turn a sign, but no direction
    return attack.make(net, tx, images(), each, batch=8)


def risk_mlp() -> Learner:
    data = images()
    net, tx = MLP((8, 1), dropout=0.2), optimizer("adam", 1e-2)
    data = Batch(data.x.astype(np.float32) / 255, data.y.astype(np.float32))
    return risk.make(net, tx, data, optax.squared_error, batch=8)


def ensemble() -> Learner:
    return uncertainty.ensemble(risk_mlp(), 2)


def bayes_by_backprop(prior: jax.typing.ArrayLike = 0.5) -> Learner:
    data, net = images(), BayesianMLP((8, 2))
    data = Batch(data.x.astype(np.float32) / 255, data.y.astype(np.float32))
    tx, loss = optimizer("adam", 1e-2), uncertainty.gaussian_loss
    return uncertainty.variational(net, tx, data, loss, batch=8, prior=prior)


def trained_by_hand() -> Learner:
    data = images()
    x = data.x.reshape(len(data.x), -1).astype(np.float32) / 255
    data, act = Batch(x, data.y[:, None] / 3.0), ACTIVATIONS["tanh"]
    learner = by_hand.make((36, 5, 1), act, data, 0.1)
    return by_hand.timed(learner, lambda layers: by_hand.mean_error(layers, data, act)[None] < 0.1)


def race() -> Learner:
    entrants = {name: functools.partial(optimizer, name) for name in ("momentum", "adadelta")}
    return descent.race(MLP((8, 3)), entrants, jnp.array([1e-2, 1e-1]), images(), batch=8)


def sweep_of_rates() -> Learner:
    return sweep(classify_mlp, jnp.array([1e-3, 1e-2]), jnp.array([0, 1]))


def recorded() -> Learner:
    return landscape.record(classify_mlp(), lambda state: state.fit.params, 3, 4)


def gan_dense(penalty: jax.typing.ArrayLike = 0.3) -> Learner:
    net = gan.GAN(Generator((6, 6, 1), (8,)), Discriminator((8,), spectral=True), 3)
    tx, cost = optax.adam(1e-2, b1=0.5), gan.r1(jnp.asarray(penalty))
    stream = epochs(images(), 8)
    return gan.make(net, tx, tx, stream, penalty=cost, rounds=2, average=0.9)


def gan_told(weight: jax.typing.ArrayLike = 0.5) -> Learner:
    net = gan.GAN(Generator((6, 6, 1), (8,)), Discriminator((8,), (2,)), 3)
    data = images()._replace(y=np.eye(3, dtype=np.float32)[images().y])
    tx, stream = optax.adam(1e-2, b1=0.5), epochs(data, 8)
    goal = lambda logits: weight * gan.non_saturating(logits)  # noqa: E731
    return gan.make(net, tx, tx, stream, goal=goal, conditional=True, error=optax.squared_error)


def gan_conv() -> Learner:
    net = gan.GAN(Generator((6, 6, 1), (), (3,), jax.nn.sigmoid), Discriminator((), (2,)), 3)
    tx, goal = optax.adam(1e-2), gan.minimax
    return gan.make(net, tx, tx, epochs(images(), 8), goal=goal)


def cycle_gan(weight: jax.typing.ArrayLike = 2.0) -> Learner:
    maker, critic = Translator(1, (2,)), Discriminator((), (2,), patches=True)
    nets = cyclegan.CycleGAN(maker, maker, critic, critic)
    x, y = (epochs(images()._replace(x=each), 4) for each in (images().x, 255 - images().x))
    options = {"cycle": jnp.asarray(weight), "identity": 0.5, "pool": 2, "average": 0.9}
    return cyclegan.make(nets, optax.adam(1e-2), optax.adam(1e-2), x, y, **options)


def progressive_gan(penalty: jax.typing.ArrayLike = 0.3) -> Learner:
    def networks(level, share):
        made = Growing((8, 8, 1), (3, 2), level, share)
        return gan.GAN(made, Shrinking((3, 2), level, share), 3)

    def game(net, stream):
        tx, cost = optax.adam(1e-2, b1=0.5, b2=0.9), gan.r1(jnp.asarray(penalty))
        return gan.make(net, tx, tx, stream, penalty=cost, average=0.9)

    x = np.pad(images().x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    stream = epochs(images()._replace(x=x), 4)
    return progressive.make(networks, game, stream, begins=(0, 2), fade=4)


def debiased() -> Learner:
    nets = debias.Nets(MLP((8, 3 + 2 * 2)), DenseDecoder((6, 6, 1), (8,)), 3, 2)
    tx, rows = optimizer("adam", 1e-2), jnp.arange(37)
    return debias.make(nets, tx, images(), rows, batch=8, alpha=0.1, weight=1e-2)


def dqn_of_three_steps() -> Learner:
    mdp = tabular.random_mdp(jax.random.key(0), 6, 3, ends=1)
    return dqn.make(
        tabular.environment(mdp, limit=9), QNetwork(3, (8,), dueling=True), optax.adam(1e-2),
        actors=2, iterations=4, period=2, updates=2, capacity=40, warmup=20, batch=8, n=3,
        double=True, epsilon=optax.linear_schedule(1.0, 0.1, 60),
    )  # fmt: skip


def dqn_by_priority() -> Learner:
    mdp = tabular.random_mdp(jax.random.key(0), 6, 3, ends=1)
    return dqn.make(
        tabular.environment(mdp, limit=9), QNetwork(3, (8,)), optax.adam(1e-2), actors=2,
        iterations=4, updates=2, capacity=40, warmup=20, batch=8, epsilon=0.5, priority=0.6,
        correction=0.4,
    )  # fmt: skip


def q_table(gamma: jax.typing.ArrayLike = 0.9) -> Learner:
    env = tabular.environment(tabular.random_mdp(jax.random.key(0), 6, 3, ends=1), limit=9)
    rate = q_learning.decay(1.0, 0.8)
    return q_learning.make(env, rate, gamma=gamma, epsilon=0.3, actors=3, length=4)


def thompson(spread: jax.typing.ArrayLike = 0.5) -> Learner:
    rates = ads.truth(jax.random.key(0))
    values = functools.partial(ads.clicks, rates)
    return bandit.make(ads.make(rates), rounds=20, spread=spread, epsilon=0.2, values=values)


def ppo_of_a_table() -> Learner:
    env = tabular.environment(tabular.random_mdp(jax.random.key(0), 6, 3, ends=1), limit=9)
    tx = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(1e-2))
    return ppo.make(
        env, ActorCritic(3, hidden=(8,)), categorical(3), tx, actors=2, horizon=6, epochs=2,
        minibatches=3, entropy=0.01, value_clip=True,
    )  # fmt: skip


def drift() -> Environment:
    """A point that is pushed about, and ends outside [-1, 1] or after 9 steps."""

    def reset(key):
        at = jax.random.uniform(key, (1,), minval=-0.5, maxval=0.5)
        return (at, jnp.int32(0)), at

    def step(key, state, action):
        at, time = state[0] + 0.3 * action + 0.1 * jax.random.normal(key), state[1] + 1
        return (at, time), Step(at, -(at[0] ** 2), jnp.abs(at[0]) > 1, time >= 9)

    return Environment("drift", reset, step, (1,), Box(-jnp.ones(1), jnp.ones(1)), 9)


def away(state) -> jax.Array:
    """An expert at ending `drift` early: out by the nearer side."""
    return jnp.clip(3 * state[0], -1, 1)


def cloned() -> Learner:
    given = {"actors": 2, "capacity": 12, "batch": 5, "updates": 3}
    return imitate.clone(drift(), away, MLP((8, 1)), optax.adam(1e-2), **given)


def dagger() -> Learner:
    return imitate.dagger(
        drift(), away, MLP((8, 1)), optax.adam(1e-2), actors=2, horizon=3, capacity=20, warmup=6,
        batch=5, updates=3, share=optax.linear_schedule(1.0, 0.1, 30),
    )  # fmt: skip


def ppo_of_a_gaussian() -> Learner:
    env = drift()
    return ppo.make(
        env, ActorCritic(2, deviations=1, hidden=(8,)), play.policy_for(env), optax.adam(1e-2),
        actors=2, horizon=6, epochs=2, minibatches=3,
        normalize_observations=True, normalize_rewards=True,
    )  # fmt: skip


def reinforced() -> Learner:
    env = tabular.environment(tabular.random_mdp(jax.random.key(0), 6, 3, ends=1), limit=9)
    net, tx = ActorCritic(3, hidden=(8,)), optax.adam(1e-2)
    return policy_gradient.reinforce(net, categorical(3), env, tx, episodes=3, budget=200)


def actor_critic_of_a_gaussian() -> Learner:
    env, net = drift(), ActorCritic(2, deviations=1, hidden=(8,))
    policy, tx = play.policy_for(env), optax.adam(1e-2)
    return policy_gradient.actor_critic(net, policy, env, tx, actors=2, steps=6, entropy=0.01)


def self_play() -> Learner:
    net, tx = BoardNet(9, channels=4, blocks=1, hidden=5), optax.adam(1e-2)
    return alphazero.make(
        TIC_TAC_TOE, net, tx, games=4, plies=5, simulations=3, capacity=40, batch=8, updates=2,
        openings=2, lam=0.7,
    )  # fmt: skip


def recorded_play() -> Learner:
    game, net = TIC_TAC_TOE, BoardNet(9, channels=4, blocks=1, hidden=5)
    opening = repeated(game.init(), 2)
    moves = jnp.array([[0, 4], [3, 0], [1, 8], [4, 2], [2, 6]])
    record, _ = alphazero.recorded(game, opening, moves)
    record = jax.tree.map(lambda leaf: leaf.reshape(10, *leaf.shape[2:]), record)
    return alphazero.imitate(game, net, optax.adam(1e-2), record, batch=4)


def stacked() -> Learner:
    net, tx = dense((6, 6, 1), 2, (5,)), optimizer("adam", 1e-2)
    loss = optax.sigmoid_binary_cross_entropy
    return autoencode.stacked(net, tx, images().x, loss, batch=8, pretrain=3)


def denoising() -> Learner:
    net, tx = convolutional((6, 6, 1), 2, (3, 4), (5,)), optimizer("adam", 1e-2)
    corrupt = functools.partial(autoencode.mask, share=0.3)
    return autoencode.make(net, tx, images().x, optax.squared_error, batch=8, corrupt=corrupt)


def restored() -> Learner:
    net = Restorer((4,), 1, 2, begin=SlidingCoder(0.3, side=3))
    corrupt = functools.partial(autoencode.add_noise, scale=0.1)
    tx, loss = optimizer("adam", 1e-2), autoencode.edge_aware
    return autoencode.make(net, tx, images().x, loss, batch=8, corrupt=corrupt)


def compressed() -> Learner:
    basis = Basis(np.eye(4, 3, dtype=np.float32), np.full(3, 0.3, np.float32))
    net = Codec(lambda: basis, (0.0, 1.0), channels=4, blocks=1, block=2, fold=2)
    return compress.make(net, optimizer("adam", 1e-2), images().x, (10.0, 100.0), batch=8)


def variational() -> Learner:
    net = dense((6, 6, 1), 2, (5,), variational=True, dropout=0.1)
    x, options = images().x, {"beta": 2.0, "free_bits": 0.01, "warmup": 5, "correlation": 3.0}
    tx = optimizer("adam", 1e-2)
    return vae.make(net, tx, x, batch=8, augment=vae.binarise, capacity=1.0, **options)


def topics() -> Learner:
    counts = np.random.default_rng(0).integers(0, 4, (37, 9)).astype(np.int16)
    net, tx = TopicNet(9, 3, (5,), 0.2), optax.adam(1e-2, b1=0.99)
    return vae.make(net, tx, counts, batch=8, likelihood=vae.MULTINOMIAL)


def language_recurrent() -> Learner:
    text, net = (
        np.random.default_rng(0).integers(0, 5, 70),
        RecurrentLanguage(5, (6, 4), "lstm", 0.2),
    )
    return language.make(net, optimizer("adam", 1e-2), text, batch=3, length=7)


def language_attending() -> Learner:
    text, net = np.random.default_rng(0).integers(0, 5, 70), Transformer(5, 7, 1, 8, 2, 0.2)
    return language.make(net, optimizer("adam", 1e-2), text, batch=3, length=7)


def translated() -> Learner:
    rng, net = np.random.default_rng(0), RecurrentTranslator(9, 4, 6, dropout=0.2)
    x = rng.integers(4, 9, (20, 3), dtype=np.int32)
    y = np.concatenate([np.full((20, 1), 2), x[:, :2], np.full((20, 1), 3)], 1).astype(np.int32)
    buckets = [Batch(x[:12, :2], y[:12, :3]), Batch(x[12:], y[12:])]
    return translate.make(net, optimizer("adam", 1e-2), buckets, tokens=12, smoothing=0.1)


def captioned() -> Learner:
    words = np.random.default_rng(1).integers(0, 7, (37, 4), dtype=np.int32)
    data = Batch(images().x / 255, words)
    return translate.make(Captioner(7, 4, (2,)), optimizer("adam", 1e-2), [data], tokens=24)


def detected() -> Learner:
    x, rng = images().x, np.random.default_rng(0)
    corner = rng.integers(0, 3, (37, 2, 2))
    box = np.concatenate([corner, corner + 3], -1).astype(np.float32)
    data = Batch(x, Boxes(box, rng.integers(-1, 2, (37, 2)).astype(np.int32)))
    net = Vision(Trunk((4, 8), patch=2), Detect(2, 0))
    return detect.make(net, optimizer("adam", 1e-2), data, batch=8, cell=2, augment=flip)


def segmented() -> Learner:
    x = np.random.default_rng(1).integers(0, 256, (9, 12, 10, 1), dtype=np.uint8)
    net, tx = Vision(Trunk((8, 8), patch=2), Segment(2, patch=2)), optimizer("adam", 1e-2)
    data = Batch(x, (x[..., 0] > 99).astype(np.int8))
    augment = functools.partial(bend, angle=9.0, sd=1.0)
    return segment.make(net, tx, data, batch=4, side=8, weights=(1.0, 2.0), augment=augment)


def nodes() -> Learner:
    rng = np.random.default_rng(0)
    ends = rng.integers(0, 12, (2, 30), dtype=np.int32)
    graph = symmetric(Graph(rng.random((12, 5), dtype=np.float32), *ends))
    labels, known = np.arange(12, dtype=np.int32) % 3, np.arange(12) < 6
    net, tx = GCN(3, 2, 4, 0.3), optimizer("adam", 1e-2)
    return node_classify.make(net, tx, graph, labels, known, views=2, agreement=0.5)


def forecast_on_a_graph() -> Learner:
    rng = np.random.default_rng(0)
    data = Batch(*(rng.normal(size=(20, 5, f)).astype(np.float32) for f in (3, 2)))
    graph = rng.dirichlet(np.ones(5), (2, 5)).astype(np.float32)
    net = GraphForecaster(2, graph, (2, 1), 6, dropout=0.2)
    return graph_forecast.make(net, optimizer("adam", 1e-2), data, batch=8)


def parts_of_clouds() -> Learner:
    x = np.random.default_rng(0).normal(size=(9, 12, 3)).astype(np.float32)
    net = PointNet(2, (4, 5), (6,), neighbours=3, each=True)
    data, turn = Batch(x, (x[..., 0] > 0).astype(np.int32)), functools.partial(wobbled, sd=0.01)
    return classify.make(net, optimizer("adam", 1e-2), data, batch=4, augment=turn)


def told_of_graphs() -> Learner:
    rng = np.random.default_rng(0)
    graphs = []
    for n, e in zip(rng.integers(1, 6, 20), rng.integers(0, 9, 20), strict=True):
        x, edges = (rng.integers(0, 2, (each, 3), dtype=np.uint8) for each in (n, e))
        graphs.append(Graph(x, *rng.integers(0, n, (2, e), dtype=np.int32), edges))
    whole, y = rng.normal(size=(2, 20, 2)).astype(np.float32)
    y[::3, 1] = np.nan
    shelf, table, data = unions.shelve(graphs), jnp.asarray(whole), Batch(np.arange(20), y)
    told = graph_regress.Graphs(shelf, lambda rows: table[rows])
    net, size = MessageNet(2, 8, 2, (8,), 0.2), unions.roomy(shelf, 6, 1.0)
    return graph_regress.make(net, optimizer("adam", 1e-2), told, data, batch=6, size=size)


def space_and_reward() -> tuple[Space, architecture.Reward]:
    space = shared((1, 2), (2, 3), (1, 3), (0, 2))
    table = np.random.default_rng(0).normal(size=(len(space), 3)).astype(np.float32)
    return space, architecture.table(table, space.place)


def child() -> Learner:
    space = shared((1, 2), (2, 3), (1, 3), (0, 2))
    net = Child(space.arch(jnp.array([1, 0, 1, 0, 1, 1])), Size(2, 3, 3), 3, patch=2)
    return classify.make(net, optimizer("adam", 1e-2), images(), batch=8)


def controller() -> Learner:
    space, reward = space_and_reward()
    net, tx = Speller(space.counts, 5), optimizer("adam", 1e-2)
    return architecture.controller(space.counts, reward, net, tx, children=3, budget=30)


def evolved() -> Learner:
    space, reward = space_and_reward()
    options = {"population": 4, "tournament": 2, "budget": 6}
    return architecture.evolution(space.counts, reward, **options)


LEARNERS = {
    "child": child,
    "controller": controller,
    "evolved": evolved,
    "ppo_of_a_table": ppo_of_a_table,
    "ppo_of_a_gaussian": ppo_of_a_gaussian,
    "cloned": cloned,
    "dagger": dagger,
    "reinforced": reinforced,
    "actor_critic": actor_critic_of_a_gaussian,
    "self_play": self_play,
    "recorded_play": recorded_play,
    "q_table": q_table,
    "thompson": thompson,
    "dqn": dqn_of_three_steps,
    "dqn by priority": dqn_by_priority,
    "gan_dense": gan_dense,
    "gan_told": gan_told,
    "gan_conv": gan_conv,
    "cycle_gan": cycle_gan,
    "progressive_gan": progressive_gan,
    "recorded": recorded,
    "classify_mlp": classify_mlp,
    "classify_cnn": classify_cnn,
    "adversarial": adversarial,
    "risk_mlp": risk_mlp,
    "ensemble": ensemble,
    "bayes_by_backprop": bayes_by_backprop,
    "trained_by_hand": trained_by_hand,
    "race": race,
    "sweep": sweep_of_rates,
    "debiased": debiased,
    "stacked": stacked,
    "denoising": denoising,
    "restored": restored,
    "compressed": compressed,
    "variational": variational,
    "topics": topics,
    "language_recurrent": language_recurrent,
    "language_attending": language_attending,
    "translated": translated,
    "captioned": captioned,
    "segmented": segmented,
    "parts_of_clouds": parts_of_clouds,
    "detected": detected,
    "nodes": nodes,
    "forecast_on_a_graph": forecast_on_a_graph,
    "told_of_graphs": told_of_graphs,
}
