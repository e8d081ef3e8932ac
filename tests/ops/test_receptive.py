"""Receptive fields against gradients, against brute force, and against published ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.ops.conv import avg_pool, conv, max_pool
from dljax.ops.receptive import (
    Field,
    Window,
    effective_width,
    fields,
    lengths,
    padded,
    support,
)


def drawn(rng: np.random.Generator, n: int, layers: int) -> list[Window]:
    """Windows over n inputs, as many of the given number as fit."""
    found: list[Window] = []
    for _ in range(layers):
        size, stride, dilation = (int(rng.integers(1, top)) for top in (5, 4, 4))
        reach = (size - 1) * dilation + 1
        window = Window(size, stride, dilation, *map(int, rng.integers(0, reach, 2)))
        if lengths(found, n)[-1] + window.low + window.high < reach:
            break
        found.append(window)
    return found


def seen(windows: list[Window], n: int, position: int) -> set[int]:
    """The inputs of a position, by following every path."""
    positions = {position}
    for window, length in zip(windows[::-1], lengths(windows, n)[-2::-1], strict=True):
        positions = {
            p * window.stride + q * window.dilation - window.low
            for p in positions
            for q in range(window.size)
        } & set(range(length))
    return positions


def test_every_path_leads_into_the_support_and_the_field_holds_it():
    rng, whole = np.random.default_rng(0), 0
    for _ in range(60):
        n = int(rng.integers(5, 120))
        windows = drawn(rng, n, 5)
        found, field = support(windows, n), fields(windows)[-1]
        assert len(found) == lengths(windows, n)[-1]
        for p, row in enumerate(found):
            assert set(np.flatnonzero(row)) == seen(windows, n, p)
            first = field.start + field.jump * p
            assert not row[: max(first, 0)].any() and not row[max(first + field.size, 0) :].any()
            if first >= 0 and first + field.size <= n:
                assert row[first] and row[first + field.size - 1]
                whole += 1
    assert whole > 100


def test_the_support_is_that_of_the_gradient_where_nothing_cancels():
    """Convolutions with positive weights, and mean pools where a window has no dilation."""
    rng = np.random.default_rng(1)
    stacks = [(int(n), drawn(rng, int(n), 4)) for n in rng.integers(9, 24, 6)]

    def slopes(n: int, windows: list[Window]):
        kernels = [rng.uniform(0.5, 1.5, (w.size, 1, 1)).astype(np.float32) for w in windows]

        def f(x):
            x = x[None, :, None]
            for w, kernel in zip(windows, kernels, strict=True):
                if w.dilation == 1:
                    x = avg_pool(x, (w.size,), (w.stride,), [w[3:]])
                else:
                    x = conv(x, jnp.asarray(kernel), (w.stride,), [w[3:]], None, (w.dilation,))
            return x[0, :, 0]

        return jax.jacrev(f)(jnp.ones(n))

    found = jax.jit(lambda: [slopes(*stack) for stack in stacks])()
    for (n, windows), gradient in zip(stacks, found, strict=True):
        np.testing.assert_array_equal(gradient != 0, support(windows, n))
    assert sum(len(windows) for _, windows in stacks) > 15


def test_a_maximum_has_one_of_what_it_may_see():
    window = padded(9, 3, 2)
    f = lambda x: max_pool(x[None, :, None], (3,), (2,), [window[3:]])[0, :, 0]  # noqa: E731
    gradients = jax.jit(jax.vmap(jax.jacrev(f)))(jax.random.normal(jax.random.key(0), (200, 9)))
    assert ((gradients != 0).sum(-1) == 1).all()
    np.testing.assert_array_equal((gradients != 0).any(0), support([window], 9))


def test_published_fields():
    """Araujo, Norris and Sim 2019: size, effective stride and padding at the last pool."""
    conv3, pool = Window(3, 1, 1, 1, 1), Window(2, 2)
    vgg16 = [conv3, conv3, pool] * 2 + [conv3, conv3, conv3, pool] * 3
    assert fields(vgg16)[-1] == Field(212, 32, -90)
    assert lengths(vgg16, 224)[-1] == 7
    pool = Window(3, 2)
    alexnet = [Window(11, 4), pool, Window(5, 1, 1, 2, 2), pool, conv3, conv3, conv3, pool]
    assert fields(alexnet)[-1] == Field(195, 32, -64)
    assert fields(alexnet)[-1].centre == 33
    context = [Window(3, 1, 2**i, 2**i, 2**i) for i in range(5)]  # Yu and Koltun 2016
    assert fields(context)[-1] == Field(63, 1, -31)


def test_what_cannot_be_is_named():
    with pytest.raises(InputError, match="a window of 5 does not fit into 4"):
        lengths([Window(5)], 4)
    with pytest.raises(InputError, match="strides and dilations start at 1"):
        support([Window(3, 0)], 4)
    with pytest.raises(InputError, match="paddings at 0"):
        fields([Window(3, 1, 1, -1, 0)])


def test_the_width_that_holds_a_share():
    width = jax.jit(effective_width)
    spike, flat = np.zeros((9, 9), np.float32), np.ones((9, 9), np.float32)
    spike[4, 4] = 1
    assert float(width(spike, 0.5)) == pytest.approx(0.5)  # of the one pixel's side
    assert float(width(flat, 49 / 81)) == pytest.approx(7)
    assert float(width(flat, 1.0)) == pytest.approx(9)
    assert 7 < float(width(flat)) < 9
