"""Networks give torch's outputs and gradients for the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.nets import CNN, MLP

torch = pytest.importorskip("torch", reason="torch is not installed: no peer to compare with")


def numpy_tree(tree):
    return jax.tree.map(np.asarray, tree)


def tensor(x):
    return torch.tensor(np.asarray(x), requires_grad=True)


def torch_mlp(params, x):
    """Dense layers with ReLU between: our kernels are torch's weights transposed."""
    layers = [params[f"Dense_{i}"] for i in range(len(params))]
    for layer in layers[:-1]:
        x = torch.relu(x @ layer["kernel"] + layer["bias"])
    return x @ layers[-1]["kernel"] + layers[-1]["bias"]


def torch_cnn(params, x):
    """NHWC and HWIO to torch's NCHW and OIHW, and back before flattening."""
    x = x.permute(0, 3, 1, 2)
    for name in sorted(k for k in params if k.startswith("Conv")):
        kernel = params[name]["kernel"].permute(3, 2, 0, 1)
        x = torch.nn.functional.conv2d(x, kernel, params[name]["bias"], padding="same")
        x = torch.nn.functional.max_pool2d(torch.relu(x), 2)
    return torch_mlp(params["MLP_0"], x.permute(0, 2, 3, 1).reshape(len(x), -1))


CASES = {
    "mlp": (MLP((7, 6, 3)), (5, 4), torch_mlp),
    "cnn": (CNN((4, 6), (9, 3)), (5, 10, 9, 2), torch_cnn),
}


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients_are_torchs(case):
    net, shape, reference = CASES[case]
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=shape).astype("f"), rng.normal(size=(shape[0], 3)).astype("f")
    params = net.init(jax.random.key(0), x)["params"]
    params = jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape), jnp.float32) / 3, params)

    def loss(params, x):
        outputs = net.apply({"params": params}, x)
        return jnp.sum(outputs * weight), outputs

    gradients, outputs = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, x)
    theirs, x_theirs = jax.tree.map(tensor, numpy_tree(params)), tensor(x)
    expected = reference(theirs, x_theirs)
    (expected * torch.tensor(weight)).sum().backward()
    np.testing.assert_allclose(outputs, expected.detach(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(gradients[1], x_theirs.grad, rtol=1e-4, atol=1e-4)
    wanted = jax.tree.map(lambda t: t.grad.numpy(), theirs)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), gradients[0], wanted
    )
