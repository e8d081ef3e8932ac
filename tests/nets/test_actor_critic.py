"""Policy and value networks: their shapes, their first weights, and what depends on what."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.nets.actor_critic import ActorCritic

SEEN = jax.random.normal(jax.random.key(1), (5, 2, 4))


def made(net, seen=SEEN):
    return net.init(jax.random.key(0), seen)


def test_any_leading_axes_give_the_same():
    net = ActorCritic(3)
    params = made(net)
    outputs, value = net.apply(params, SEEN)
    assert outputs.shape == (5, 2, 3) and value.shape == (5, 2)
    alone = net.apply(params, SEEN[1, 0])
    np.testing.assert_allclose(alone[0], outputs[1, 0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(alone[1], value[1, 0], rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(net.apply(params, SEEN, method="policy"), outputs)
    np.testing.assert_array_equal(net.apply(params, SEEN, method="value"), value)


def test_first_weights_are_orthogonal_and_the_first_policy_nearly_uniform():
    net = ActorCritic(3, hidden=(16, 16))
    params = made(net)["params"]
    scales = {("actor", "Dense_1"): 2**0.5, ("critic", "Dense_1"): 2**0.5,
              ("policy_head",): 0.01, ("value_head",): 1.0}  # fmt: skip
    for path, scale in scales.items():
        leaf = params
        for name in path:
            leaf = leaf[name]
        gram = leaf["kernel"].T @ leaf["kernel"]
        np.testing.assert_allclose(gram, scale**2 * np.eye(len(gram)), atol=1e-4 * scale**2)
        assert not leaf["bias"].any()
    outputs, _ = net.apply({"params": params}, SEEN)
    assert np.abs(outputs).max() < 0.05


@pytest.mark.parametrize("shared", [False, True])
def test_policy_and_value_share_a_torso_only_if_asked(shared):
    net = ActorCritic(3, shared=shared)
    params = made(net)
    grads = jax.grad(lambda p: net.apply(p, SEEN)[1].sum())(params)["params"]
    assert ("critic" in grads) is not shared
    moved = any(leaf.any() for leaf in jax.tree.leaves(grads["actor"]))
    assert moved is shared
    assert not any(leaf.any() for leaf in jax.tree.leaves(grads["policy_head"]))


def test_log_sigma_is_learnt_and_the_same_for_every_observation():
    net = ActorCritic(4, deviations=2)
    params = made(net)
    params["params"]["log_std"] = jnp.array([0.5, -1.0])
    outputs, _ = net.apply(params, SEEN)
    assert outputs.shape == (5, 2, 4)
    np.testing.assert_array_equal(outputs[..., 2:], np.broadcast_to([0.5, -1.0], (5, 2, 2)))
    assert np.ptp(outputs[..., 0]) > 0
    grads = jax.grad(lambda p: net.apply(p, SEEN)[0][..., 3].sum())(params)["params"]
    np.testing.assert_allclose(grads["log_std"], [0, 10])


def test_the_torso_for_images_is_minatars():
    """One convolution of 16 3x3 filters, then 128 features: Young and Tian 2019."""
    images = jax.random.bernoulli(jax.random.key(2), 0.3, (3, 2, 10, 10, 4)).astype(jnp.float32)
    options = {"hidden": (128,), "channels": (16,), "activation": jax.nn.relu, "rank": 3}
    net = ActorCritic(3, shared=True, **options)
    params = made(net, images)["params"]
    sizes = {name: leaf.size for name, leaf in params["actor"]["Conv_0"].items()}
    assert sizes == {"kernel": 3 * 3 * 4 * 16, "bias": 16}
    assert params["actor"]["Dense_0"]["kernel"].shape == (8 * 8 * 16, 128)
    outputs, value = net.apply({"params": params}, images)
    assert outputs.shape == (3, 2, 3) and value.shape == (3, 2)
    library = jax.lax.conv_general_dilated(
        images[0], params["actor"]["Conv_0"]["kernel"], (1, 1), "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    features = jax.nn.relu(library).reshape(2, -1)
    hidden = jax.nn.relu(features @ params["actor"]["Dense_0"]["kernel"])
    np.testing.assert_allclose(
        (hidden @ params["value_head"]["kernel"])[:, 0], value[0], rtol=1e-4, atol=1e-5
    )


def test_an_image_is_flattened_where_no_convolution_is_asked_for():
    net = ActorCritic(2, rank=3)
    images = jnp.ones((7, 5, 5, 2))
    params = made(net, images)["params"]
    assert params["actor"]["Dense_0"]["kernel"].shape == (50, 64)
    assert net.apply({"params": params}, images)[1].shape == (7,)


def test_hundreds_of_seeds_start(python):
    program = (
        "import jax, jax.numpy as jnp; from dljax.nets.actor_critic import ActorCritic\n"
        "net, keys = ActorCritic(2), jax.random.split(jax.random.key(0), 256)\n"
        "start = jax.jit(lambda key: net.init(key, jnp.zeros((1, 4))))\n"
        "many = jax.vmap(start)(keys)['params']['actor']['Dense_1']['kernel']\n"
        "one = start(keys[200])['params']['actor']['Dense_1']['kernel']\n"
        "print(float(jnp.abs(many[200] - one).max()))"
    )
    done = python("-c", program, timeout=100)  # a process of its own, since it once never ended
    assert float(done.stdout) < 1e-5, done.stderr
