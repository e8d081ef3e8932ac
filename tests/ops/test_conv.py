"""Convolution and pooling against XLA's own, forward and backward, and what they compile to."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dljax import InputError
from dljax.ops import direct
from dljax.ops.conv import _plan, avg_pool, conv, conv_pool, max_pool
from dljax.ops.direct import conv_same

NUMBERS = ("NHWC", "HWIO", "NHWC")


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def assert_close(actual, expected, tolerance=1e-4):
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        scale = 1 + np.abs(e).max()  # so that sums over many positions share one tolerance
        np.testing.assert_allclose(a / scale, e / scale, atol=tolerance, rtol=0)


def value_and_grads(f, *operands):
    """`f` and the gradients of a nonlinear function of it, in one compilation."""
    argnums = tuple(range(len(operands)))

    def both(*operands):
        grads = jax.grad(lambda *operands: jnp.sin(f(*operands)).sum(), argnums)(*operands)
        return f(*operands), grads

    return both, jax.jit(both)(*operands)


def assert_same(ours, theirs, *operands):
    assert_close(value_and_grads(ours, *operands)[1], value_and_grads(theirs, *operands)[1])


def unfused(x, kernel, bias):
    y = lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=NUMBERS)
    return nn.relu(nn.max_pool(y, (2, 2), (2, 2)) + bias[None, None, None])


@pytest.mark.parametrize(
    ("image", "window", "strides", "padding", "dilation"),
    [
        ((7, 6), (3, 2), (1, 1), "SAME", (1, 1)),
        ((9, 6), (3, 3), (2, 1), "VALID", (1, 1)),
        ((8, 7), (5, 4), (2, 3), ((2, 1), (0, 3)), (1, 1)),
        ((9, 8), (2, 3), (1, 2), "SAME", (3, 2)),
    ],
)
def test_conv_and_its_gradients_equal_the_library(image, window, strides, padding, dilation):
    x, kernel = normal(0, 2, *image, 3), normal(1, *window, 3, 5)

    def by(convolution):
        return lambda x, kernel: convolution(
            x, kernel, strides, padding, rhs_dilation=dilation, dimension_numbers=NUMBERS
        )

    assert_same(by(conv), by(lax.conv_general_dilated), x, kernel)


@pytest.mark.parametrize(
    ("window", "channels", "strides"),
    [((3, 3), 8, (1, 1)), ((5, 1), 9, (1, 1)), ((3, 3), 8, (2, 1)), ((3, 3), 3, (1, 1))],
)
def test_a_same_convolution_and_its_gradients_equal_the_library(
    window, channels, strides, monkeypatch
):
    """Of first and second order; strided by phases, as where patches are large."""
    monkeypatch.setattr(direct, "LARGE", 0)
    x, kernel = normal(0, 2, 6, 5, channels), normal(1, *window, channels, 4)

    def by(convolution):
        def f(x, kernel):
            options = {"dimension_numbers": NUMBERS}
            return convolution(x, kernel, strides, "SAME", **options)

        return f

    def steep(convolution):
        def slopes(x, kernel):
            grads = jax.grad(lambda *given: jnp.sin(by(convolution)(*given)).sum(), (0, 1))
            return jnp.concatenate([each.reshape(-1) for each in grads(x, kernel)])

        return slopes

    assert_same(by(conv_same), by(lax.conv_general_dilated), x, kernel)
    assert_same(steep(conv_same), steep(lax.conv_general_dilated), x, kernel)


def test_a_dilated_same_convolution_is_dilated():
    x, kernel = normal(0, 2, 6, 5, 8), normal(1, 3, 3, 8, 4)
    options = {"dimension_numbers": NUMBERS, "rhs_dilation": (2, 2)}
    found, wanted = (
        convolution(x, kernel, (1, 1), "SAME", **options)
        for convolution in (conv_same, lax.conv_general_dilated)
    )
    assert_close(found, wanted)


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)])
@pytest.mark.parametrize("size", [1, 3])
def test_many_same_convolutions_equal_a_loop(axes, size):
    x, kernel = normal(0, size, 2, 6, 5, 8), normal(1, size, 3, 3, 8, 4)
    given = [each if axis == 0 else each[0] for each, axis in zip((x, kernel), axes, strict=True)]

    def f(x, kernel):
        return jnp.sin(conv_same(x, kernel, (1, 1), "SAME", dimension_numbers=NUMBERS)).sum()

    both = jax.value_and_grad(f, (0, 1))
    together = jax.jit(jax.vmap(both, axes))(*given)
    one = jax.jit(both)
    for i in range(size):
        alone = one(
            *(each if axis is None else each[i] for each, axis in zip(given, axes, strict=True))
        )
        assert_close(jax.tree.map(lambda leaf, i=i: leaf[i], together), alone)


@pytest.mark.parametrize(
    ("layout", "options"),
    [
        (NUMBERS, {"feature_group_count": 2}),
        (NUMBERS, {"lhs_dilation": (2, 1)}),
        (("NCHW", "HWIO", "NHWC"), {}),
    ],
)
def test_what_im2col_does_not_cover_goes_to_the_library(layout, options):
    x = normal(0, 2, 4, 5, 4) if layout == NUMBERS else normal(0, 2, 4, 4, 5)
    kernel = normal(1, 3, 3, 4 // options.get("feature_group_count", 1), 6)
    settings = {"dimension_numbers": layout, **options}
    pads = ((1, 1), (0, 2))
    ours = conv(x, kernel, (1, 1), pads, **settings)
    assert_close(ours, lax.conv_general_dilated(x, kernel, (1, 1), pads, **settings))


@pytest.mark.parametrize("spatial", [(9,), (4, 5), (3, 4, 5)])
def test_flax_convolves_with_it_in_any_number_of_dimensions(spatial):
    x = normal(0, 2, *spatial, 3)
    ours, theirs = (
        nn.Conv(4, (3,) * len(spatial), strides=2, conv_general_dilated=convolution)
        for convolution in (conv, None)
    )
    params = theirs.init(jax.random.key(0), x)
    assert_close(ours.apply(params, x), theirs.apply(params, x))


@pytest.mark.parametrize(
    "shape",
    [(8, 8, 1), (7, 6, 3), (6, 10, 8), (5, 9, 9)],  # from 8 channels on by Winograd's algorithm
)
def test_conv_pool_and_its_gradients_equal_convolution_then_pooling(shape):
    operands = normal(0, 3, *shape), normal(1, 3, 3, shape[-1], 6), normal(2, 6)
    assert_same(conv_pool, unfused, *operands)


@pytest.mark.parametrize(("images", "most"), [(6, 2), (7, 5)])  # 7 is prime: one piece
def test_conv_pool_in_pieces_of_the_batch_equals_the_unfused(monkeypatch, images, most):
    operands = normal(0, images, 7, 6, 8), normal(1, 3, 3, 8, 6), normal(2, 6)
    monkeypatch.setattr("dljax.ops.conv.CACHE", most * 16 * 4 * 9 * 6)
    assert_same(conv_pool, unfused, *operands)


def test_a_piece_fills_the_cache():
    """An image has 16 * 14 * 14 products of 32 numbers, 392 KiB: ten of them are in 4 MiB."""

    def piece(images, channels=8):
        x, kernel = jnp.zeros((images, 28, 28, channels)), jnp.zeros((3, 3, channels, 32))
        return tuple(_plan(x, kernel)[0])

    assert piece(60) == (10, 28, 28, 8)
    assert piece(64) == (8, 28, 28, 8)
    assert piece(61) == (61, 28, 28, 8)  # a prime: not one by one, but all at once
    assert piece(60, 7) == (60, 28, 28, 7)  # by patches, where channels are few


def test_conv_pool_takes_other_windows():
    assert_same(conv_pool, unfused, normal(0, 2, 6, 7, 8), normal(1, 5, 2, 8, 4), normal(2, 4))


@pytest.mark.parametrize("channels", [1, 8])
def test_conv_pool_vmaps_over_weights(channels):
    x = normal(0, 3, 2, 6, 6, channels)
    kernel, bias = normal(1, 3, 3, 3, channels, 4), normal(2, 3, 4)
    alone = [
        value_and_grads(unfused, *operands)[1] for operands in zip(x, kernel, bias, strict=True)
    ]
    both, _ = value_and_grads(conv_pool, x[0], kernel[0], bias[0])
    together = jax.jit(jax.vmap(both))(x, kernel, bias)
    assert_close(together, jax.tree.map(lambda *leaves: jnp.stack(leaves), *alone))


def test_conv_vmaps_over_weights_as_the_library_does():
    """Under batch normalisation the sweep's convolutions are these."""
    x, kernel = normal(0, 2, 3, 5, 5, 2), normal(1, 2, 3, 3, 2, 4)

    def ours(x, kernel):
        return conv(x, kernel, (1, 1), "SAME")

    def theirs(x, kernel):
        return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=NUMBERS)

    alone = [value_and_grads(theirs, *pair)[1] for pair in zip(x, kernel, strict=True)]
    both, _ = value_and_grads(ours, x[0], kernel[0])
    together = jax.jit(jax.vmap(both))(x, kernel)
    assert_close(together, jax.tree.map(lambda *leaves: jnp.stack(leaves), *alone))


def test_conv_pool_has_a_second_derivative():
    x, kernel, bias = normal(0, 1, 4, 4, 8), normal(1, 3, 3, 8, 2), normal(2, 2)

    def curvature(f):
        def slope(kernel):
            return jax.grad(lambda kernel: jnp.sin(f(x, kernel, bias)).sum())(kernel)

        return jax.jit(jax.grad(lambda kernel: (slope(kernel) ** 2).sum()))(kernel)

    assert_close(curvature(conv_pool), curvature(unfused), 1e-3)


def test_bfloat16_stays_bfloat16_and_close():
    operands = [normal(0, 2, 6, 6, 8), normal(1, 3, 3, 8, 4), normal(2, 4)]
    low = [operand.astype(jnp.bfloat16) for operand in operands]
    for ours, theirs in [
        (conv_pool, unfused),
        (lambda x, k, _: conv(x, k, (1, 1), "SAME"), None),
    ]:
        exact = (theirs or ours)(*operands)
        y = ours(*low)
        assert y.dtype == jnp.bfloat16
        assert_close(y.astype(jnp.float32), exact, 0.03)


@pytest.mark.parametrize(
    ("window", "strides", "padding"),
    [
        ((2, 2), (2, 2), "VALID"),
        ((3, 2), (3, 2), "SAME"),
        ((3, 3), (2, 1), "SAME"),
        ((2, 3), (2, 3), ((1, 0), (0, 2))),
    ],
)
@pytest.mark.parametrize("ours, theirs", [(max_pool, nn.max_pool), (avg_pool, nn.avg_pool)])
def test_pooling_and_its_gradient_equal_flax(ours, theirs, window, strides, padding):
    x = normal(0, 2, 7, 9, 3)
    assert_same(
        lambda x: ours(x, window, strides, padding),
        lambda x: theirs(x, window, strides, padding),
        x,
    )


def test_pooling_windows_do_not_overlap_unless_asked():
    x = normal(0, 2, 7, 9, 3)
    assert_close(max_pool(x, (2, 3)), nn.max_pool(x, (2, 3), (2, 3)))


def test_average_can_leave_the_padding_out():
    x = normal(0, 2, 5, 5, 3)
    ours = avg_pool(x, (3, 3), (2, 2), "SAME", count_include_pad=False)
    assert_close(ours, nn.avg_pool(x, (3, 3), (2, 2), "SAME", count_include_pad=False))


def test_max_pool_gives_the_gradient_of_a_tie_to_the_first_and_keeps_nan():
    tie = jax.grad(lambda x: max_pool(x, (2, 2)).sum())(jnp.ones((1, 2, 2, 1)))
    assert tie.ravel().tolist() == [1, 0, 0, 0]
    x = jnp.ones((1, 2, 2, 1)).at[0, 0, 1, 0].set(jnp.nan)
    assert jnp.isnan(max_pool(x, (2, 2))).all()


@pytest.mark.parametrize(
    ("f", "channels"),
    [
        (conv_pool, 1),
        (conv_pool, 8),
        (lambda x, k, b: max_pool(conv(x, k, (1, 1), "SAME") + b[None, None, None], (2, 2)), 3),
    ],
)
def test_a_cpu_gradient_holds_neither_convolution_nor_window_scatter(f, channels):
    operands = normal(0, 2, 6, 6, channels), normal(1, 3, 3, channels, 4), normal(2, 4)
    gradient = jax.grad(lambda *operands: f(*operands).sum(), (0, 1, 2))
    lowered = jax.jit(gradient).trace(*operands).lower(lowering_platforms=("cpu",)).as_text()
    assert "dot_general" in lowered
    for slow in ("convolution", "select_and_scatter", "reduce_window"):
        assert slow not in lowered


def test_other_platforms_use_the_library():
    operands = normal(0, 2, 6, 6, 8), normal(1, 3, 3, 8, 4), normal(2, 4)
    for f in (conv_pool, lambda x, k, _: conv(x, k, (1, 1), "SAME")):
        lowered = jax.jit(f).trace(*operands).lower(lowering_platforms=("cuda",)).as_text()
        assert "convolution" in lowered


def test_a_negative_padding_takes_away_as_the_librarys():
    x, kernel, pads = normal(0, 2, 7, 6, 2), normal(1, 3, 2, 2, 3), ((-1, 2), (1, -2))
    theirs = lax.conv_general_dilated(x, kernel, (2, 1), pads, dimension_numbers=NUMBERS)
    assert_close(conv(x, kernel, (2, 1), pads), theirs)
    assert_close(
        max_pool(x, (2, 2), (1, 1), pads), max_pool(x[:, 1:, :4], (2, 2), (1, 1), ((0, 2), (1, 0)))
    )


@pytest.mark.parametrize(
    ("apply", "said"),
    [
        (
            lambda x: conv(x, normal(1, 4, 2, 2, 3), (1, 1), "VALID"),
            "4 x 2 does not fit into 3 x 2",
        ),
        (
            lambda x: conv(x, normal(1, 2, 2, 2, 3), (1, 1), "VALID", rhs_dilation=(1, 2)),
            "2 x 3 does not fit into 3 x 2",
        ),
        (lambda x: conv(x, normal(1, 2, 2, 2, 3), (1, 1), ((-2, 0), (0, 0))), "fit into 1 x 2"),
        (lambda x: max_pool(x, (1, 3)), "1 x 3 does not fit into 3 x 2"),
        (lambda x: avg_pool(x, (4, 4), (1, 1), ((0, 1), (0, 1))), "4 x 4 does not fit into 4 x 3"),
        (lambda x: conv_pool(x[:, :1], normal(1, 3, 3, 2, 3), jnp.ones(3)), "fit into 1 x 2"),
    ],
)
def test_a_window_over_its_input_is_refused(apply, said):
    with pytest.raises(InputError, match=said):
        apply(normal(0, 2, 3, 2, 2))


def test_a_same_convolutions_gradients_are_added_over_devices():
    mesh = jax.make_mesh((1,), ("b",), axis_types=(jax.sharding.AxisType.Auto,))
    x, kernel = normal(0, 2, 6, 5, 8), normal(1, 3, 3, 8, 4)

    def slopes(kernel, x):
        return jax.grad(lambda k: jnp.sin(conv_same(x, k, (1, 1), "SAME")).sum())(kernel)

    specs = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec("b")
    spread = jax.shard_map(slopes, mesh=mesh, in_specs=specs, out_specs=specs[0])
    assert_close(jax.jit(spread)(kernel, x), slopes(kernel, x))
