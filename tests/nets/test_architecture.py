"""Masked children against small networks without masks, and what spells them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import Batch, InputError, advance, start
from dljax.learn import classify
from dljax.nets import architecture
from dljax.nets.architecture import Arch, Child, Decision, Size, Space, Speller, layered, shared
from dljax.nets.trunk import space_to_depth

SIZE = Size(layers=3, width=5, kernel=3)
ARCHS = {
    "whole": Arch([5, 5, 5], [3, 3, 3], [0, 0, 0], [0, 0, 0], 3),
    "narrow": Arch([2, 4, 3], [3, 1, 2], [1, 2, 0], [0, 1, 1], 3),
    "shallow": Arch([4, 3, 5], [2, 3, 3], [2, 1, 0], [0, 0, 1], 2),
    "one layer": Arch([3, 5, 5], [1, 3, 3], [2, 0, 0], [1, 1, 1], 1),
}


class Plain(nn.Module):
    """A child as anyone would write it, without masks."""

    arch: Arch
    classes: int

    @nn.compact
    def __call__(self, x, *, train=False):
        h = space_to_depth(x, 2)
        for i in range(self.arch.depth):
            kernel, width = self.arch.kernel[i], self.arch.width[i]
            act = [nn.relu, nn.tanh, nn.swish][self.arch.activation[i]]
            y = act(nn.Conv(width, (kernel, kernel), name=f"layer_{i}")(h))
            if i and self.arch.skip[i]:
                filled = jnp.pad(h, ((0, 0), (0, 0), (0, 0), (0, max(0, width - h.shape[-1]))))
                y = y + filled[..., :width]
            h = y
        return nn.Dense(self.classes)(h.reshape(len(h), -1))


def cut(params, arch, positions):
    """The small network's weights out of the masked one's."""
    found, channels = {}, params["kernel_0"].shape[2]
    for i in range(arch.depth):
        taps, width = np.flatnonzero(architecture.inside(arch.kernel[i], 3)), arch.width[i]
        kernel = params[f"kernel_{i}"][taps][:, taps][:, :, :channels, :width]
        found[f"layer_{i}"] = {"kernel": kernel, "bias": params[f"bias_{i}"][:width]}
        channels = width
    dense = params["kernel"].reshape(positions, -1, params["kernel"].shape[-1])[:, :channels]
    found["Dense_0"] = {"kernel": dense.reshape(-1, dense.shape[-1]), "bias": params["bias"]}
    return found


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(24, 6, 6, 1)).astype(np.float32)
    return Batch(x, rng.integers(0, 3, 24).astype(np.int32))


def arrays(arch):
    return Arch(*(jnp.asarray(each, jnp.int32) for each in arch))


@pytest.fixture(scope="module")
def trained(data):
    """All children of ARCHS at once, before and after three steps."""
    stack = jax.tree.map(lambda *each: jnp.stack(each), *map(arrays, ARCHS.values()))

    def one(arch):
        net = Child(arch, SIZE, 3, patch=2)
        learner = classify.make(net, optax.adam(0.03), data, batch=8)
        run = start(learner, jax.random.key(0))
        after = advance(learner, run, 3)[0]
        return (
            run.state.fit.params,
            after.state.fit.params,
            net.apply({"params": after.state.fit.params}, data.x),
        )

    return jax.jit(jax.vmap(one))(stack)


@pytest.mark.parametrize("name", ARCHS)
def test_a_masked_child_is_the_small_network_and_learns_as_it(name, data, trained):
    arch, row = ARCHS[name], list(ARCHS).index(name)
    before, after, logits = jax.tree.map(lambda leaf: leaf[row], trained)
    net = Plain(arch, 3)
    learner = classify.make(net, optax.adam(0.03), data, batch=8)
    run = start(learner, jax.random.key(0))
    params = cut(before, arch, 9)
    jax.tree.map(lambda a, b: None if a.shape == b.shape else pytest.fail(), params,
                 run.state.fit.params)  # fmt: skip
    fit = run.state.fit._replace(params=params)
    last = advance(learner, run._replace(state=run.state._replace(fit=fit)), 3)[0]
    own = last.state.fit.params
    for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(cut(after, arch, 9)), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
    np.testing.assert_allclose(net.apply({"params": own}, data.x), logits, atol=1e-4)


def test_weights_start_with_the_scale_of_the_small_network():
    arch = arrays(Arch([4, 64], [3, 1], [0, 0], [0, 0], 2))
    net = Child(arch, Size(2, 64, 3), 50, patch=2)
    params = net.init(jax.random.key(0), jnp.zeros((1, 16, 16, 1)))["params"]
    found = [params["kernel_0"], params["kernel_1"], params["kernel"]]
    fans = [4 * 9, 4 * 1, 64 * 64]
    np.testing.assert_allclose(
        [np.std(w) * f**0.5 for w, f in zip(found, fans, strict=True)], 1, rtol=0.05
    )


def test_activations_are_theirs():
    x = jnp.linspace(-5, 5, 41)
    for i, act in enumerate((jax.nn.relu, jnp.tanh, jax.nn.swish)):
        np.testing.assert_allclose(architecture.activate(x, jnp.int32(i)), act(x), atol=1e-6)


def test_a_space_counts_places_and_means_its_sequences():
    space = shared((2, 4), (3, 7), (1, 5), (0, 2))
    every = space.all()
    assert len(space) == len(every) == len(np.unique(every, axis=0)) == 64
    np.testing.assert_array_equal(space.place(jnp.asarray(every)), np.arange(64))
    arch = space.arch(jnp.array([0, 1, 0, 1, 1, 1]))
    assert int(arch.depth) == 2 and arch.width.tolist() == [7, 3, 3, 3]
    assert arch.kernel.tolist() == [5] * 4 and arch.activation.tolist() == [2] * 4
    said = "depth 2, width 1 7, width 2-4 3, kernel 1-4 5, activation 1-4 swish, skip 1-4 1"
    assert space.said([0, 1, 0, 1, 1, 1]) == said
    many = layered(3, (2, 4), (1, 3), (0, 1, 2))
    assert len(many) == 12 * 24 * 24 and len(many.counts) == 11
    arch = many.arch(jnp.array([0, 1, 2, 1, 0, 1, 1, 0, 1, 0, 0]))
    assert arch.width.tolist() == [2, 4, 2] and arch.skip.tolist() == [0, 1, 0]
    assert arch.activation.tolist() == [2, 1, 0] and int(arch.depth) == 3


def test_a_space_of_one_layer_has_no_other_layers():
    space = shared((1,), (2, 4), (1,), (0,))
    arch = space.arch(jnp.array([0, 1, 0, 0, 0]))
    assert len(space) == 4 and int(arch.depth) == 1 and arch.width.tolist() == [4]


def test_a_place_that_no_int32_can_say_is_refused():
    space = layered(9, (2, 4, 8), (1, 2, 3), (0, 1, 2))
    with pytest.raises(InputError, match="children exceed int32"):
        space.place(jnp.zeros(len(space.counts), jnp.int32))


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (Decision("widht", (0,), (2, 4)), "a decision is the depth or a field of layers"),
        (Decision("width", (), (2, 4)), "a decision is the depth or a field of layers"),
        (Decision("depth", (0,), (2, 4)), "a decision is the depth or a field of layers"),
        (Decision("width", (0,), ()), "the options of width must differ and be at least 1"),
        (Decision("kernel", (0,), (0, 1)), "the options of kernel must differ and be at least 1"),
        (Decision("depth", (), (2, 2)), "the options of depth must differ"),
        (Decision("activation", (0,), (0, 3)), "the options of activation must be below 3"),
    ],
)
def test_options_that_cannot_be_are_named(decision, said):
    with pytest.raises(InputError, match=said):
        Space((decision,))


def test_what_is_spelled_hangs_on_what_came_before_only():
    net = Speller((2, 3, 2), 4)
    tokens = jnp.array([[0, 0, 0], [1, 0, 0], [1, 2, 0], [1, 2, 1]])
    params = net.init(jax.random.key(0), tokens)["params"]
    logits, values = net.apply({"params": params}, tokens)
    there = np.array([[1, 1, 0], [1, 1, 1], [1, 1, 0]], bool)
    np.testing.assert_array_equal(np.isfinite(logits), np.broadcast_to(there, (4, 3, 3)))
    assert (np.where(there[None], logits, 0) == 0).all() and (values == 0).all()  # uniform
    keys = jax.random.split(jax.random.key(1), len(jax.tree.leaves(params)))
    drawn = [
        jax.random.normal(k, leaf.shape)
        for k, leaf in zip(keys, jax.tree.leaves(params), strict=True)
    ]
    params = jax.tree.unflatten(jax.tree.structure(params), drawn)
    logits, values = (np.asarray(each) for each in net.apply({"params": params}, tokens))
    for t, differ in enumerate([(0, 0), (0, 1), (1, 2)]):  # two that agree before t, or just not
        alike = t == 0
        assert np.allclose(logits[differ[0], t], logits[differ[1], t]) == alike
        assert np.isclose(values[differ[0], t], values[differ[1], t]) == alike
    np.testing.assert_array_equal(logits[2], logits[3])  # the last token is read by none
