"""The loss around trained parameters, on a plane through them (S12).

Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets". A plane is an origin and two
directions; the loss over it is one batched evaluation. `record` keeps the path that training took.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from dljax.learner import Learner
from dljax.typing import Array, Key, Metrics, PyTree


class Plane(NamedTuple):
    """The points `origin + a first + b second`, each a tree like the parameters."""

    origin: PyTree
    first: PyTree
    second: PyTree


def point(plane: Plane, a: Array, b: Array) -> PyTree:
    """`origin + a first + b second`."""
    return jax.tree.map(lambda o, d, e: o + a * d + b * e, *plane)


def filter_norms(leaf: Array) -> Array:
    """The norm of the weights into each unit: kernel [..., in, out] -> [1, ..., 1, out]."""
    return jnp.sqrt(jnp.sum(leaf**2, axis=range(leaf.ndim - 1), keepdims=True))


def normalise(direction: PyTree, params: PyTree) -> PyTree:
    """`d_ij <- d_ij ||w_ij|| / ||d_ij||` for the weights ij into each unit; biases do not move.

    The loss of a ReLU network does not change when one layer is scaled up and the next down, so
    only steps relative to the size of the weights can be compared between networks. Li et al. 2018,
    section 4; biases (leaves of rank 0 and 1) are 0 as in the figures of the paper.
    """

    def one(d: Array, w: Array) -> Array:
        if w.ndim < 2:
            return jnp.zeros_like(w)
        return d * filter_norms(w) / jnp.maximum(filter_norms(d), 1e-12)

    return jax.tree.map(one, direction, params)


def random_plane(key: Key, params: PyTree) -> Plane:
    """The plane through `params` along two filter-normalised Gaussian directions."""
    first, second = (
        normalise(normal_like(child, params), params) for child in jax.random.split(key)
    )
    return Plane(params, first, second)


def normal_like(key: Key, like: PyTree) -> PyTree:
    """Independent standard normals in the shape of a tree."""
    flat, restore = ravel_pytree(like)
    return restore(jax.random.normal(key, flat.shape, flat.dtype))


def heights(
    loss: Callable[[PyTree], Array], plane: Plane, a: Array, b: Array, chunk: int = 32
) -> Array:
    """The loss [A, B] at every point of the plane with coordinates a [A] and b [B].

    One compiled evaluation, `chunk` points at a time.
    """
    grid = jnp.stack(jnp.meshgrid(a, b, indexing="ij"), -1).reshape(-1, 2)
    values = jax.lax.map(lambda ab: loss(point(plane, ab[0], ab[1])), grid, batch_size=chunk)
    return values.reshape(len(a), len(b))


def curvatures(heights: Array, spacing: float) -> Array:
    """Both eigenvalues, in ascending order, of the Hessian at the inner points of a square grid.

    heights [A, B] -> [A - 2, B - 2, 2], by central second differences: exact for a quadratic.
    """
    centre = heights[1:-1, 1:-1]
    aa = heights[2:, 1:-1] - 2 * centre + heights[:-2, 1:-1]
    bb = heights[1:-1, 2:] - 2 * centre + heights[1:-1, :-2]
    ab = (heights[2:, 2:] - heights[2:, :-2] - heights[:-2, 2:] + heights[:-2, :-2]) / 4
    mean, gap = (aa + bb) / 2, jnp.hypot((aa - bb) / 2, ab)
    return jnp.stack([mean - gap, mean + gap], -1) / spacing**2


def non_convexity(heights: Array) -> Array:
    """`mean max(0, -k_1) / max(|k_1|, |k_2|)` over a grid's curvatures: 0 convex, 1 concave.

    The share by which negative curvature rules; section 6 of Li et al. 2018 maps the same ratio.
    """
    low, high = jnp.moveaxis(curvatures(heights, 1.0), -1, 0)
    largest = jnp.maximum(jnp.abs(low), jnp.abs(high))
    return jnp.mean(jnp.maximum(0.0, -low) / jnp.maximum(largest, 1e-12))


class Recorded(NamedTuple):
    """A learner's state, the steps done, and what was recorded: leaves [length, ...]."""

    state: PyTree
    step: Array
    path: PyTree


def record(learner: Learner, keep: Callable[[PyTree], PyTree], every: int, length: int) -> Learner:
    """The learner, with `keep(state)` of its start and of every `every`-th step on record.

    Row i of the path is that after `i every` steps; the newest row and the last are of the newest
    step.
    """

    def write(path: PyTree, state: PyTree, row: Array) -> PyTree:
        return jax.tree.map(lambda old, new: old.at[row].set(new), path, keep(state))

    def init(key: Key) -> Recorded:
        state = learner.init(key)
        empty = jax.tree.map(lambda leaf: jnp.zeros((length, *leaf.shape), leaf.dtype), keep(state))
        return Recorded(state, jnp.int32(0), write(empty, state, jnp.int32(0)))

    def step(key: Key, recorded: Recorded) -> tuple[Recorded, Metrics]:
        state, metrics = learner.step(key, recorded.state)
        done = recorded.step + 1
        # Rows are written at every step, the last write stays: cheaper under vmap than a branch.
        row = jnp.minimum(-(-done // every), length - 1)
        return Recorded(state, done, write(recorded.path, state, row)), metrics

    return Learner(init, step)


class Projection(NamedTuple):
    """A path seen from its best plane: coordinates [T, 2], share of the motion each shows [2]."""

    plane: Plane
    coordinates: Array
    share: Array


def path_plane(path: PyTree) -> Projection:
    """The plane through a path's end along the two principal components of `theta_t - theta_T`.

    path: leaves [T, ...]. The directions are orthonormal over all parameters. Li et al. 2018,
    section 7: random directions are nearly orthogonal to the path, and so show none of it.
    """
    end = jax.tree.map(lambda leaf: leaf[-1], path)
    _, restore = ravel_pytree(end)
    motion = jax.vmap(lambda one: ravel_pytree(one)[0])(path)
    motion = motion - motion[-1:]
    left, sizes, right = jnp.linalg.svd(motion, full_matrices=False)
    share = sizes**2 / jnp.sum(sizes**2)
    plane = Plane(end, restore(right[0]), restore(right[1]))
    return Projection(plane, left[:, :2] * sizes[None, :2], share[:2])


def window(coordinates: Array, points: int, margin: float = 0.3) -> tuple[Array, Array]:
    """Axes [points] each that span a path's coordinates [T, 2], and a margin of their range."""
    low, high = coordinates.min(0), coordinates.max(0)
    margins = margin * (high - low)
    a, b = jnp.linspace(low - margins, high + margins, points).T
    return a, b
