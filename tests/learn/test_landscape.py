import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import Learner, advance, start
from dljax.learn import landscape
from dljax.nets.residual import ResidualMLP
from dljax.nets.shallow import Shallow

KEY = jax.random.key(0)
PARAMS = {
    "conv": jax.random.normal(KEY, (3, 3, 2, 5)),
    "dense": 4 * jax.random.normal(KEY, (7, 3)),
    "bias": jnp.ones(3),
}


def test_a_directions_filters_have_the_norms_of_the_weights_and_biases_stay():
    plane = landscape.random_plane(KEY, PARAMS)
    for direction in plane[1:]:
        assert not np.any(direction["bias"])
        for name in ("conv", "dense"):
            flat = PARAMS[name].reshape(-1, PARAMS[name].shape[-1])
            mine = direction[name].reshape(flat.shape)
            for unit in range(flat.shape[1]):
                norms = np.linalg.norm(mine[:, unit]), np.linalg.norm(flat[:, unit])
                np.testing.assert_allclose(*norms, rtol=1e-5)
    assert not np.allclose(plane.first["dense"], plane.second["dense"])


def test_a_filter_of_zeros_does_not_move():
    found = landscape.normalise({"w": jnp.ones((2, 2))}, {"w": jnp.array([[0.0, 3.0], [0.0, 4.0]])})
    np.testing.assert_allclose(found["w"], [[0, 12.5**0.5], [0, 12.5**0.5]], rtol=1e-6)


def test_scaling_a_layer_up_and_the_next_down_leaves_the_slice():
    """The invariance of ReLU networks for which the paper normalises filters."""
    k_first, k_second, k_x = jax.random.split(KEY, 3)
    x = jax.random.normal(k_x, (9, 4))
    params = [jax.random.normal(k_first, (4, 6)), jax.random.normal(k_second, (6, 2))]

    def loss(params):
        return jnp.mean((jax.nn.relu(x @ params[0]) @ params[1] - 1) ** 2)

    axis = jnp.linspace(-1, 1, 3)
    slices = [
        landscape.heights(loss, landscape.random_plane(KEY, scaled), axis, axis)
        for scaled in (params, [params[0] * 8, params[1] / 8])
    ]
    np.testing.assert_allclose(*slices, rtol=1e-4)


def test_a_slice_equals_the_loss_evaluated_point_by_point():
    def loss(params):
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(params))

    plane = landscape.random_plane(KEY, PARAMS)
    a, b = jnp.array([-1.0, 0.0, 0.5]), jnp.array([-0.3, 0.0])
    found = landscape.heights(loss, plane, a, b, chunk=4)
    assert found.shape == (3, 2)
    np.testing.assert_allclose(found[1, 1], loss(PARAMS), rtol=1e-5)
    for i in range(3):
        for j in range(2):
            moved = {k: PARAMS[k] + a[i] * plane.first[k] + b[j] * plane.second[k] for k in PARAMS}
            np.testing.assert_allclose(found[i, j], loss(moved), rtol=1e-4, atol=1e-4)


def test_a_quadratic_loss_gives_its_parabola_and_its_eigenvalues():
    """Along e_1 and e_2, 1/2 x' A x is the form of the 2 x 2 block of A."""
    matrix = np.array([[2.0, 1.5, 9.0], [1.5, -1.0, 9.0], [9.0, 9.0, 9.0]])
    plane = landscape.Plane(jnp.zeros(3), *jnp.eye(3)[:2])
    axis = jnp.linspace(-1, 1, 5)
    found = landscape.heights(lambda x: x @ jnp.asarray(matrix) @ x / 2, plane, axis, axis)
    a, b = np.meshgrid(axis, axis, indexing="ij")
    np.testing.assert_allclose(found, a**2 + 1.5 * a * b - b**2 / 2, atol=1e-5)
    eigenvalues = np.linalg.eigvalsh(matrix[:2, :2])
    curvatures = landscape.curvatures(found, 0.5)
    np.testing.assert_allclose(curvatures, np.broadcast_to(eigenvalues, (3, 3, 2)), atol=1e-4)
    share = -eigenvalues[0] / abs(eigenvalues).max()
    np.testing.assert_allclose(landscape.non_convexity(found), share, atol=1e-4)


@pytest.mark.parametrize(("sign", "expected"), [(1, 0), (-1, 1)])
def test_non_convexity_is_0_for_a_bowl_and_1_for_a_hill(sign, expected):
    axis = jnp.linspace(-1, 1, 5)
    bowl = axis[:, None] ** 2 + 2 * axis[None] ** 2
    np.testing.assert_allclose(landscape.non_convexity(sign * bowl), expected, atol=1e-6)


def test_a_record_holds_every_kth_state_and_the_newest():
    counter = Learner(lambda key: jnp.int32(0), lambda key, state: (state + 1, {}))
    recorded = landscape.record(counter, lambda state: state, every=3, length=4)
    run, _ = advance(recorded, start(recorded, KEY), 8)
    np.testing.assert_array_equal(run.state.path, [0, 3, 6, 8])
    assert run.state.state == 8
    run, _ = advance(recorded, run, 3)
    np.testing.assert_array_equal(run.state.path, [0, 3, 6, 11])  # beyond, the last row follows


def test_a_flat_path_lies_wholly_in_its_plane():
    rng = np.random.default_rng(0)
    basis, weights = rng.normal(size=(2, 6)), rng.normal(size=(9, 2))
    flat = jnp.asarray(3 + weights @ basis, jnp.float32)
    path = {"a": flat[:, :2], "b": flat[:, 2:].reshape(9, 2, 2)}
    found = landscape.path_plane(path)
    np.testing.assert_allclose(found.share.sum(), 1, atol=1e-5)
    np.testing.assert_allclose(found.coordinates[-1], 0, atol=1e-5)
    for t in range(9):
        back = landscape.point(found.plane, *found.coordinates[t])
        np.testing.assert_allclose(back["a"], path["a"][t], atol=1e-4)
        np.testing.assert_allclose(back["b"], path["b"][t], atol=1e-4)


def test_a_window_spans_the_path_with_its_margin():
    a, b = landscape.window(jnp.array([[0.0, -2.0], [1.0, 2.0]]), 3, margin=0.5)
    np.testing.assert_allclose(a, [-0.5, 0.5, 1.5])
    np.testing.assert_allclose(b, [-4, 0, 4])


def test_with_zero_layers_a_residual_network_is_linear_and_a_plain_one_constant():
    x = jax.random.normal(KEY, (5, 2, 2))
    net = ResidualMLP(3, depth=4, width=6)
    params = net.init(KEY, x)["params"]
    silent = {
        k: jax.tree.map(jnp.zeros_like, v) if k not in ("Dense_0", "Dense_5") else v
        for k, v in params.items()
    }
    first, last = params["Dense_0"]["kernel"], params["Dense_5"]["kernel"]
    expected = x.reshape(5, 4) @ first @ last
    np.testing.assert_allclose(net.apply({"params": silent}, x), expected, atol=1e-5)
    plain = net.clone(skip=0.0).apply({"params": silent}, x)
    np.testing.assert_allclose(plain, jnp.zeros((5, 3)), atol=1e-6)


@pytest.mark.parametrize("inputs", [1, 2])
def test_a_shallow_network_is_its_formula_and_with_leak_1_flat(inputs):
    x = jnp.linspace(-2, 2, 5)[:, None] * jnp.array([[1.0, -0.5]])[:, :inputs]
    params = Shallow(3).init(KEY, x)["params"]
    expected = params["offset"] + sum(
        v * np.maximum((x - t[None]) @ w, 0)
        for w, t, v in zip(params["slope"].T, params["kink"].T, params["weight"], strict=True)
    )
    np.testing.assert_allclose(Shallow(3).apply({"params": params}, x), expected, atol=1e-5)
    line = np.asarray(Shallow(3, 1.0).apply({"params": params}, x))
    np.testing.assert_allclose(np.diff(line, 2), 0, atol=1e-4)
    assert np.all(abs(np.asarray(params["kink"])) <= 1)
