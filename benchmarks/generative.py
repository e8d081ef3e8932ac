"""Steps of a VAE and of a GAN beside torch and plain Flax; many seeds of either in one program.

The VAE is that of Flax's own example, 784-500-20-500-784 by Adam on batches of 128 bits, and plain
Flax is its loop: a jitted step called from Python. The GAN on images halves twice, 32 and 64 maps,
and doubles as often; that on the ring has dense layers of 64. Neither has a penalty. All sides draw
their own batches from their device's memory. The share of the peak counts direct products.
"""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.classify import BATCH, Trainer, pixels
from benchmarks.measure import compiled, interleaved, lower, per, row, seeds_curve
from dljax import Batch, Learner, advance, start
from dljax.data import gaussians
from dljax.data.gaussians import Ring
from dljax.data.stream import epochs
from dljax.learn import gan, vae
from dljax.nets.adversarial import Discriminator, Generator
from dljax.nets.coders import dense

LATENT, HIDDEN, EXAMPLES, REPEATS = 20, 500, 20_000, 9
GAN_LATENT, GAN_BATCH = 64, 64
CHUNK = {"VAE": 20, "GAN on images": 20, "GAN on the ring": 200}
SEEDS = (1, 4, 16, 64)


def bits() -> np.ndarray:
    """Noise in the shape of MNIST's bits, 0 or 255: [n, 28, 28, 1]."""
    return np.where(pixels(EXAMPLES).x > 127, 255, 0).astype(np.uint8)


def points() -> np.ndarray:
    return np.asarray(gaussians.sample(jax.random.key(0), Ring(), EXAMPLES).x, np.float32)


def trainer(learner: Learner) -> Trainer:
    run = start(learner, jax.random.key(0))
    return lambda steps: functools.partial(advance, learner, run, steps)


def our_vae(dtype: str) -> Learner:
    net = dense((28, 28, 1), LATENT, (HIDDEN,), variational=True, dtype=jnp.dtype(dtype))
    return vae.make(net, optax.adam(1e-3), bits(), batch=BATCH)


class PlainVAE(nn.Module):
    """The same network, written as Flax's example writes it."""

    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, key: jax.Array) -> tuple[jax.Array, ...]:
        layer = functools.partial(nn.Dense, dtype=self.dtype)
        h = nn.relu(layer(HIDDEN)(x))
        mean, log_var = (layer(LATENT)(h).astype(jnp.float32) for _ in range(2))
        z = mean + jnp.exp(log_var / 2) * jax.random.normal(key, mean.shape)
        logits = layer(28 * 28)(nn.relu(layer(HIDDEN)(z)))
        return logits.astype(jnp.float32), mean, log_var


def flax_vae(dtype: str) -> Trainer:
    x = jnp.asarray(bits(), jnp.float32).reshape(-1, 28 * 28) / 255
    net, tx = PlainVAE(dtype), optax.adam(1e-3)

    @jax.jit
    def step(params, opt, rows, key):
        seen = x[rows]

        def loss(params):
            found: Any = net.apply({"params": params}, seen, key)
            logits, mean, log_var = found
            distortion = optax.sigmoid_binary_cross_entropy(logits, seen).sum(-1).mean()
            rate = (jnp.exp(log_var) + mean**2 - 1 - log_var).sum(-1).mean() / 2
            return distortion + rate

        value, grads = jax.value_and_grad(loss)(params)
        updates, opt = tx.update(grads, opt)
        return optax.apply_updates(params, updates), opt, value

    begun = net.init(jax.random.key(0), x[:1], jax.random.key(1))["params"]
    fresh = tx.init(begun)

    def train(steps: int) -> Any:
        params, opt, key, value = begun, fresh, jax.random.key(2), None
        order = np.random.default_rng(0).permutation(len(x))[: steps * BATCH].reshape(steps, -1)
        for rows in order:
            key, k_step = jax.random.split(key)
            params, opt, value = step(params, opt, rows, k_step)
        return value

    return lambda steps: functools.partial(train, steps)


def torch_vae(dtype: str, compile: bool = False) -> Trainer:
    import torch
    from torch.nn import functional

    device = "cuda" if torch.cuda.is_available() else "cpu"
    linear = functools.partial(torch.nn.Linear, device=device)
    encoder: Any = torch.nn.Sequential(
        linear(28 * 28, HIDDEN), torch.nn.ReLU(), linear(HIDDEN, 2 * LATENT)
    )
    decoder: Any = torch.nn.Sequential(
        linear(LATENT, HIDDEN), torch.nn.ReLU(), linear(HIDDEN, 28 * 28)
    )
    tx = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-3, fused=True)
    x = torch.tensor(bits()).reshape(-1, 28 * 28).to(device, torch.float32) / 255

    def loss(seen: Any) -> Any:
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
            mean, log_var = encoder(seen).float().chunk(2, 1)
            logits = decoder(mean + (log_var / 2).exp() * torch.randn_like(mean))
        lost = functional.binary_cross_entropy_with_logits(logits.float(), seen, reduction="sum")
        return (lost + (log_var.exp() + mean**2 - 1 - log_var).sum() / 2) / BATCH

    objective = torch.compile(loss) if compile else loss

    def train(steps: int) -> float:
        order = torch.randperm(len(x), device=device)[: steps * BATCH].reshape(steps, -1)
        for rows in order:
            value: Any = objective(x[rows])
            tx.zero_grad()
            value.backward()
            tx.step()
        return value.item()  # waits for the device

    return lambda steps: functools.partial(train, steps)


def players(images: bool) -> gan.GAN:
    if images:
        nets = Generator((28, 28, 1), (), (64, 32), jax.nn.sigmoid), Discriminator((), (32, 64))
        return gan.GAN(*nets, GAN_LATENT)
    return gan.GAN(Generator((2,), (64, 64)), Discriminator((64, 64)), GAN_LATENT)


def our_gan(images: bool) -> Learner:
    x = pixels(EXAMPLES).x if images else points()
    tx = optax.adam(2e-4, b1=0.5)
    stream = epochs(Batch(x, np.zeros(len(x), np.int32)), GAN_BATCH)
    return gan.make(players(images), tx, tx, stream)


def flax_gan(images: bool) -> Trainer:
    """One jitted step of both players, called from Python; Flax's own convolutions."""
    drawn = pixels(EXAMPLES).x.astype(np.float32) / 255 if images else points()
    x, tx = jnp.asarray(drawn), optax.adam(2e-4, b1=0.5)

    class PlainGenerator(nn.Module):
        @nn.compact
        def __call__(self, z: jax.Array) -> jax.Array:
            if not images:
                return nn.Dense(2)(nn.relu(nn.Dense(64)(nn.relu(nn.Dense(64)(z)))))
            h = nn.relu(nn.Dense(7 * 7 * 64)(z).reshape(-1, 7, 7, 64))
            h = nn.relu(nn.ConvTranspose(32, (4, 4), (2, 2))(h))
            return nn.sigmoid(nn.ConvTranspose(1, (4, 4), (2, 2))(h))

    class PlainDiscriminator(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            for width in (32, 64) if images else (64, 64):
                layer = nn.Conv(width, (4, 4), 2) if images else nn.Dense(width)
                x = nn.leaky_relu(layer(x), 0.2)
            return nn.Dense(1)(x.reshape(len(x), -1))[:, 0]

    make, judge = PlainGenerator(), PlainDiscriminator()

    @jax.jit
    def step(g, d, g_opt, d_opt, rows, key):
        real = x[rows]
        z = jax.random.normal(key, (GAN_BATCH, GAN_LATENT))

        def logits(d, x) -> Any:
            return judge.apply({"params": d}, x)

        def d_loss(d):
            fake = make.apply({"params": g}, z)
            return (nn.softplus(-logits(d, real)) + nn.softplus(logits(d, fake))).mean()

        updates, d_opt = tx.update(jax.grad(d_loss)(d), d_opt)
        d = optax.apply_updates(d, updates)

        def g_loss(g):
            return nn.softplus(-logits(d, make.apply({"params": g}, z))).mean()

        value, slope = jax.value_and_grad(g_loss)(g)
        updates, g_opt = tx.update(slope, g_opt)
        return optax.apply_updates(g, updates), d, g_opt, d_opt, value

    first = make.init(jax.random.key(0), jnp.zeros((1, GAN_LATENT)))["params"]
    other = judge.init(jax.random.key(1), x[:1])["params"]
    begun = first, other, tx.init(first), tx.init(other), None

    def train(steps: int) -> Any:
        g, d, g_opt, d_opt, value = begun
        key = jax.random.key(2)
        order = np.random.default_rng(0).permutation(len(x))[: steps * GAN_BATCH]
        for rows in order.reshape(steps, -1):
            key, k_step = jax.random.split(key)
            g, d, g_opt, d_opt, value = step(g, d, g_opt, d_opt, rows, k_step)
        return value

    return lambda steps: functools.partial(train, steps)


def torch_gan(images: bool, compile: bool = False) -> Trainer:
    import torch
    from torch.nn import functional

    device = "cuda" if torch.cuda.is_available() else "cpu"
    t = torch.nn
    if images:
        generator: Any = t.Sequential(
            t.Linear(GAN_LATENT, 64 * 7 * 7),
            t.ReLU(),
            t.Unflatten(1, (64, 7, 7)),
            t.ConvTranspose2d(64, 32, 4, 2, 1),
            t.ReLU(),
            t.ConvTranspose2d(32, 1, 4, 2, 1),
            t.Sigmoid(),
        ).to(device)
        discriminator: Any = t.Sequential(
            t.Conv2d(1, 32, 4, 2, 1),
            t.LeakyReLU(0.2),
            t.Conv2d(32, 64, 4, 2, 1),
            t.LeakyReLU(0.2),
            t.Flatten(),
            t.Linear(7 * 7 * 64, 1),
        ).to(device)
        x = torch.tensor(pixels(EXAMPLES).x).permute(0, 3, 1, 2).to(device, torch.float32) / 255
    else:
        widths = (GAN_LATENT, 64, 64, 2), (2, 64, 64, 1)
        generator, discriminator = (
            t.Sequential(
                t.Linear(a, b), rise, t.Linear(b, c), rise, t.Linear(c, d)
            ).to(device)
            for (a, b, c, d), rise in zip(widths, (t.ReLU(), t.LeakyReLU(0.2)), strict=True)
        )  # fmt: skip
        x = torch.tensor(points(), device=device)
    if compile:
        generator, discriminator = torch.compile(generator), torch.compile(discriminator)
    adam = functools.partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999), fused=True)
    g_tx, d_tx = adam(generator.parameters()), adam(discriminator.parameters())

    def train(steps: int) -> float:
        order = torch.randperm(len(x), device=device)[: steps * GAN_BATCH].reshape(steps, -1)
        for rows in order:
            fake = generator(torch.randn(GAN_BATCH, GAN_LATENT, device=device))
            real_loss = functional.softplus(-discriminator(x[rows])).mean()
            d_loss = real_loss + functional.softplus(discriminator(fake.detach())).mean()
            d_tx.zero_grad()
            d_loss.backward()
            d_tx.step()
            g_loss: Any = functional.softplus(-discriminator(fake)).mean()
            g_tx.zero_grad()
            g_loss.backward(inputs=[*generator.parameters()])
            g_tx.step()
        return g_loss.item()  # waits for the device

    return lambda steps: functools.partial(train, steps)


def gflop(work: str) -> float:
    """Two operations a product; a layer's products forward, for its weights and for its inputs."""
    if work == "VAE":
        first, rest = 784 * HIDDEN, HIDDEN * 2 * LATENT + LATENT * HIDDEN + HIDDEN * 784
        return 2e-9 * BATCH * (2 * first + 3 * rest)
    if work == "GAN on images":
        outer, inner = 14 * 14 * 16 * 32, 7 * 7 * 16 * 32 * 64
        generator = [GAN_LATENT * 7 * 7 * 64, inner, outer]
        discriminator = [outer, inner, 7 * 7 * 64]
    else:
        generator, discriminator = [GAN_LATENT * 64, 64 * 64, 64 * 2], [2 * 64, 64 * 64, 64]
    # the generator once, but for the gradient of z; the discriminator on real and on fake without
    # the gradient of x, and again on fake without those of its weights
    made = 3 * sum(generator) - generator[0]
    judged = 2 * (3 * sum(discriminator) - discriminator[0]) + 2 * sum(discriminator)
    return 2e-9 * GAN_BATCH * (made + judged)


def vaes(dtype: str) -> dict[str, Callable[[], Any]]:
    return {
        "dljax": functools.partial(our_vae, dtype),
        "plain Flax": functools.partial(flax_vae, dtype),
        "torch eager": functools.partial(torch_vae, dtype),
        "torch compiled": functools.partial(torch_vae, dtype, compile=True),
    }


def gans(images: bool) -> dict[str, Callable[[], Any]]:
    return {
        "dljax": functools.partial(our_gan, images),
        "plain Flax": functools.partial(flax_gan, images),
        "torch eager": functools.partial(torch_gan, images),
        "torch compiled": functools.partial(torch_gan, images, compile=True),
    }


WORK: dict[str, dict[str, Callable[[], Any]]] = {
    "VAE": vaes("float32"),
    "GAN on images": gans(images=True),
    "GAN on the ring": gans(images=False),
}


def one_step(work: str, sides: dict[str, Callable[[], Any]], peak: float, end: str = "") -> Any:
    """A row; torch's compiler is asked on accelerators only: on a CPU it is minutes for no gain."""
    there = {"dljax", "plain Flax"}
    if importlib.util.find_spec("torch") is not None:
        there |= {"torch eager"} if jax.default_backend() == "cpu" else sides.keys()
    steps, makers = CHUNK[work], {name: sides[name] for name in sides if name in there}
    trainers = {"dljax": trainer(makers.pop("dljax")())}
    trainers |= {name: make() for name, make in makers.items()}
    _, costs = compiled(advance, *trainers["dljax"](steps).args, static=(0, 2))
    times = interleaved({name: make(steps) for name, make in trainers.items()}, REPEATS)
    times = per(times, steps)
    ratios = {k: round(v["median_ms"] / times["dljax"]["median_ms"], 3) for k, v in times.items()}
    return row(
        f"{work}, a step{end}", times, ours="dljax", gflop=gflop(work), peak=peak, costs=costs,
        times_ours=ratios,
    )  # fmt: skip


def main(peak: float) -> list[dict[str, Any]]:
    rows = [one_step(work, sides, peak) for work, sides in WORK.items()]
    ring = our_gan(images=False)
    rows += seeds_curve("GAN on the ring", ring, SEEDS, CHUNK["GAN on the ring"], 5)
    return rows + [one_step("VAE", vaes(dtype), top, f", {dtype}") for top, dtype in lower()]
