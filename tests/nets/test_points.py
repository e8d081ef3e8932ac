"""Networks of points: no order, no absent points, and edges as a loop sees them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.nets.points import EdgeConv, PointNet
from dljax.typing import Array, PyTree

N = 20
NETS = {
    "alone": PointNet(3, (5, 6), (7,)),
    "edges": PointNet(3, (5, 6), (7,), neighbours=4, keep=8),
    "in place": PointNet(3, (5, 6), (7,), neighbours=4, keep=8, dynamic=None),
    "parts": PointNet(3, (5, 6), (7,), neighbours=4, each=True),
    "parts alone": PointNet(3, (5, 6), (7,), each=True),
}


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(2, N, 3)).astype(np.float32)


@pytest.fixture(params=NETS, scope="module")
def applied(request, x):
    net = NETS[request.param]
    weights = jax.jit(net.init)(jax.random.key(0), x)
    return net, jax.jit(lambda x: net.apply(weights, x))


def test_the_order_of_the_points_does_not_matter(applied, x):
    net, f = applied
    order = np.random.default_rng(1).permutation(N)
    plain, mixed = np.asarray(f(x)), np.asarray(f(x[:, order]))
    wanted = plain[:, order] if net.each else plain
    if net.keep and net.dynamic is None:  # kept in another order, products are rounded otherwise
        np.testing.assert_allclose(mixed, wanted, atol=1e-6)
    else:
        np.testing.assert_array_equal(mixed, wanted)
    assert plain.shape == ((2, N, 3) if net.each else (2, 3))
    assert np.ptp(plain, 0).max() > 1e-3  # it does look


def test_an_absent_point_is_as_if_it_had_never_been(applied, x):
    net, f = applied
    gone = np.random.default_rng(2).permutation(N)[:7]
    masked = x.copy()
    masked[:, gone] = np.nan
    left, found = np.delete(x, gone, 1), np.asarray(f(masked))
    wanted = np.asarray(f(left))
    np.testing.assert_allclose(np.delete(found, gone, 1) if net.each else found, wanted, atol=1e-6)


def test_no_gradient_is_nan_where_points_are_absent(x):
    net = NETS["edges"]
    masked = np.where(np.arange(N)[None, :, None] < 9, x, np.nan)
    weights = jax.jit(net.init)(jax.random.key(0), x)

    def square(weights: PyTree) -> Array:
        found: Any = net.apply(weights, masked)
        return jnp.square(found).sum()

    slope = jax.jit(jax.grad(square))(weights)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


def test_a_cloud_without_points_has_finite_logits(applied, x):
    assert np.isfinite(applied[1](np.full_like(x, np.nan))).all()


def test_edgeconv_is_a_loop_over_edges(x):
    near = np.random.default_rng(0).integers(0, N, (2, N, 4))
    net = EdgeConv(6)
    weights = net.init(jax.random.key(0), x, near)
    p = weights["params"]
    v, w, b = p["own"]["kernel"], p["apart"]["kernel"], p["own"]["bias"]
    found: Any = net.apply(weights, x, near)
    for cloud in range(2):
        for i in range(N):
            own = x[cloud, i]
            edges = [(x[cloud, j] - own) @ w + own @ v + b for j in near[cloud, i]]
            np.testing.assert_allclose(found[cloud, i], np.max(edges, 0), atol=1e-5)


def test_bad_shapes_are_named(x):
    for net, said in (
        (PointNet(3, neighbours=N + 1), f"neighbours must be from 1 to the {N} points; got 21"),
        (PointNet(3, neighbours=4, keep=30), "points to keep must be from 1 to the 20"),
        (PointNet(3, neighbours=9, keep=8), "neighbours must be from 1 to the 8 points; got 9"),
        (PointNet(3, neighbours=4, keep=8, each=True), "points that are not kept have no logits"),
    ):
        with pytest.raises(InputError, match=said):
            jax.eval_shape(net.init, jax.random.key(0), x)
