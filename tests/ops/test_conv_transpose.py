"""The transposed convolution: the adjoint of the convolution, against XLA's own and a loop."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dljax import InputError
from dljax.ops import direct
from dljax.ops.conv import conv, conv_transpose

CASES = [
    ((8, 8), (4, 4), (2, 2), "SAME"),
    ((7, 5), (3, 3), (2, 2), "SAME"),
    ((7, 6), (5, 2), (2, 3), ((2, 1), (0, 3))),
    ((9,), (2,), (3,), "VALID"),  # a stride beyond the window leaves gaps
    ((5, 4, 3), (3, 3, 3), (2, 1, 2), "SAME"),
]


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def case(size, window, strides, padding):
    """x, a kernel, and y of the shape of `conv(x)`."""
    x, kernel = normal(0, 2, *size, 3), normal(1, *window, 3, 4)
    shape = jax.eval_shape(lambda x: conv(x, kernel, strides, padding), x).shape
    return x, kernel, normal(2, *shape)


@pytest.mark.parametrize(("size", "window", "strides", "padding"), CASES)
def test_it_is_the_adjoint_of_the_convolution(size, window, strides, padding):
    x, kernel, y = case(size, window, strides, padding)
    back = conv_transpose(y, kernel, strides, padding, size)
    assert back.shape == x.shape
    forth = jnp.vdot(conv(x, kernel, strides, padding), y)
    np.testing.assert_allclose(jnp.vdot(x, back), forth, rtol=1e-4, atol=1e-4)
    rank = len(size)
    names = "DHW"[-rank:]
    layout = (f"N{names}C", f"{names}IO", f"N{names}C")

    def library(x):
        return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=layout)

    np.testing.assert_allclose(back, jax.vjp(library, x)[1](y)[0], atol=2e-5)


def test_one_position_gives_the_kernel_times_its_value():
    """Written out: y = 3 at one position, stride 2: the kernel appears there, scaled."""
    kernel = normal(0, 4, 4, 1, 1)
    y = jnp.zeros((1, 3, 3, 1)).at[0, 1, 1, 0].set(3)
    out = conv_transpose(y, kernel, (2, 2), "SAME")
    expected = np.zeros((6, 6))
    expected[1:5, 1:5] = 3 * kernel[..., 0, 0]
    np.testing.assert_allclose(out[0, ..., 0], expected, atol=1e-6)


def test_its_gradients_equal_those_of_flaxs_operation():
    """Also in the second derivative, as a gradient penalty takes it."""
    y, kernel = normal(0, 2, 3, 4, 5), normal(1, 4, 4, 2, 5)

    def theirs(y, kernel, strides):
        return lax.conv_transpose(y, kernel, strides, "SAME", transpose_kernel=True)

    def derivatives(f):
        def value(y, kernel):
            return jnp.sin(f(y, kernel, (2, 2))).sum()

        def steepness(y, kernel):
            return (jax.grad(value)(y, kernel) ** 2).sum()

        both = [jax.grad(g, (0, 1))(y, kernel) for g in (value, steepness)]
        return f(y, kernel, (2, 2)), both

    ours, expected = jax.jit(lambda: (derivatives(conv_transpose), derivatives(theirs)))()
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


@pytest.mark.parametrize("size", [(8, 6), (7, 5)])
@pytest.mark.parametrize("window", [(4, 4), (3, 2)])
def test_by_phases_it_is_the_same_operation(size, window, monkeypatch):
    """As where patches are large: its value and gradients, alone and for several weights."""
    y, kernel = normal(0, 3, 2, 4, 3, 5), normal(1, 3, *window, 2, 5)

    def both(convolution, y, kernel):
        g = normal(2, 2, *size, 2)
        value, back = jax.vjp(lambda *given: convolution(*given), y, kernel)
        return value, back(g)

    def patches(y, kernel):
        return conv_transpose(y, kernel, (2, 2), "SAME", size)

    def phases(y, kernel):
        return direct.conv_transpose(y, kernel, (2, 2), size)

    expected = jax.vmap(functools.partial(both, patches))(y, kernel)
    monkeypatch.setattr(direct, "LARGE", 0)
    for found in (
        jax.vmap(functools.partial(both, phases))(y, kernel),
        jax.tree.map(
            lambda *x: jnp.stack(x), *(both(phases, *z) for z in zip(y, kernel, strict=True))
        ),
    ):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), found, expected)


def test_it_vmaps_over_weights():
    y, kernel = normal(0, 3, 2, 4, 4, 5), normal(1, 3, 3, 3, 2, 5)
    together = jax.vmap(lambda y, k: conv_transpose(y, k, (2, 2)))(y, kernel)
    alone = [conv_transpose(*pair, (2, 2)) for pair in zip(y, kernel, strict=True)]
    np.testing.assert_allclose(together, jnp.stack(alone), atol=1e-5)


def test_the_library_serves_other_platforms_and_no_convolution_a_cpu():
    y, kernel = normal(0, 2, 4, 4, 5), normal(1, 4, 4, 2, 5)
    gradient = jax.grad(lambda y, k: conv_transpose(y, k, (2, 2)).sum(), (0, 1))
    for platform, found in (("cpu", False), ("cuda", True)):
        lowered = jax.jit(gradient).trace(y, kernel).lower(lowering_platforms=(platform,))
        assert ("convolution" in lowered.as_text()) == found


@pytest.mark.parametrize(("size", "window", "strides", "padding"), CASES)
def test_the_librarys_path_is_the_same_operation(size, window, strides, padding, monkeypatch):
    """Other platforms' path, run here: its padding and its flipped kernel are ours to get right."""
    _, kernel, y = case(size, window, strides, padding)
    ours = conv_transpose(y, kernel, strides, padding, size)
    monkeypatch.setattr(lax, "platform_dependent", lambda *x, cpu, default: default(*x))
    chosen = conv_transpose(y, kernel, strides, padding, size)
    np.testing.assert_allclose(chosen, ours, atol=2e-5)


def test_a_size_that_the_convolution_would_not_halve_so_is_refused():
    y, kernel = normal(0, 1, 4, 4, 5), normal(1, 4, 4, 2, 5)
    with pytest.raises(InputError, match="size"):
        conv_transpose(y, kernel, (2, 2), "SAME", (9, 8))
    assert conv_transpose(y, kernel, (2, 2), "SAME", (7, 8)).shape == (1, 7, 8, 2)
