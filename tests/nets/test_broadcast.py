"""The decoder that knows places: shapes, that a square hears of its place, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.nets.broadcast import Broadcast, spatial

KEY = jax.random.key(0)


@pytest.mark.parametrize("shape", [(16, 16, 1), (10, 7, 2)])
def test_codes_and_images_have_their_shapes(shape):
    net = spatial(shape, 3, (4,), (8,), (6, 5), patch=4)
    x = jnp.zeros((2, *shape))

    def passes():
        params = net.init(KEY, x)
        return net.apply(params, x, method="encode"), net.apply(params, x)

    code, whole = jax.eval_shape(passes)
    assert code.mean.shape == code.log_var.shape == (2, 3)
    assert whole.shape == x.shape and whole.dtype == jnp.float32


def test_a_square_is_a_function_of_the_code_and_its_place():
    """By a loop over the squares, each a small network of code and place together."""
    net, z = Broadcast((6, 4, 1), (5, 3), patch=2, activation=jnp.tanh), jnp.ones((1, 2)) * 0.7
    params = net.init(KEY, z)["params"]
    image = np.asarray(net.apply({"params": params}, z)[0, ..., 0])
    first = np.concatenate([params["code"]["kernel"], params["place"]["kernel"]])
    for row in range(3):
        for column in range(2):
            place = [(2 * row + 1) / 3 - 1, (2 * column + 1) / 2 - 1]
            x = np.array([0.7, 0.7, *place]) @ first + params["code"]["bias"]
            for name in ("Dense_0", "Dense_1"):
                x = np.tanh(x) @ np.asarray(params[name]["kernel"]) + params[name]["bias"]
            square = image[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            np.testing.assert_allclose(square, np.reshape(x, (2, 2)), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"latent": 0}, "latent must be at least 1; got 0"),
        ({"decoder": ()}, "needs images"),
        ({"channels": (4, 4, 4)}, "2 pixels cannot be halved 3 times"),
    ],
)
def test_what_cannot_be_built_is_said(options, said):
    with pytest.raises(InputError, match=said):
        spatial((8, 8, 1), **{"latent": 2} | options)
