"""The uses of autoencoders: what stands beside them is right, and bad input ends in one line."""

import io
import struct
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from dljax import InputError
from dljax.nets.restore import Restorer
from experiments.generative import _alike, _photos, uses


def test_a_photo_is_halved_and_cut_to_blocks(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (70, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "mine.png")
    found = _photos.photo(str(tmp_path / "mine.png"))
    assert found.shape == (32, 48, 3)
    np.testing.assert_allclose(found[3, 5], pixels[6:8, 10:12].mean((0, 1)), atol=0.51)


def test_crops_are_every_square():
    image = np.arange(5 * 6 * 3).reshape(5, 6, 3)
    found = _photos.crops(image, 3, 2)
    assert found.shape == (2 * 2, 3, 3, 3)
    np.testing.assert_array_equal(found[3], image[2:5, 2:5])


def test_blocks_make_the_image_again():
    image = _photos.photo("flower") / np.float32(255)
    side = _photos.BLOCK
    np.testing.assert_array_equal(
        _photos.whole(_photos.crops(image, side, side), image.shape), image
    )


def test_jpeg_keeps_to_its_bytes():
    image = _photos.photo("flower")[60:124, 100:164] / 255
    found, size = _photos.jpeg(image, 2000)
    better, larger = _photos.jpeg(image, 4000)
    assert size <= 2000 < larger <= 4000
    assert ((better - image) ** 2).mean() < ((found - image) ** 2).mean() < 0.01


def test_packed_codes_lose_half_a_level_at_most():
    codes = np.random.default_rng(0).uniform(-2, 3, (40, 4))
    low, high = codes.min(0), codes.max(0)
    found, file = _photos.packed(codes, low, high)
    assert np.abs(found - codes).max() <= (high - low).max() / 63 / 2 + 1e-9
    steps = np.frombuffer(zlib.decompress(file), np.uint8).reshape(4, 40)
    levels = np.cumsum(steps, 1, dtype=np.uint8).T  # differences modulo 256
    np.testing.assert_allclose(levels / 63 * (high - low) + low, found)


def test_the_filter_is_the_best_on_the_training_photograph():
    rng = np.random.default_rng(0)
    smooth = scipy.ndimage.gaussian_filter(rng.normal(size=(48, 48, 3)), (3, 3, 0))
    noisy = smooth + 0.1 * rng.normal(size=smooth.shape)
    found = _photos.smooth(noisy, smooth, noisy)
    errors = [
        ((scipy.ndimage.gaussian_filter(noisy, (width, width, 0)) - smooth) ** 2).mean()
        for width in np.linspace(0.2, 2, 19)
    ]
    assert ((found - smooth) ** 2).mean() == pytest.approx(min(errors))
    assert min(errors) < 0.1 * ((noisy - smooth) ** 2).mean()
    shade = np.array([0.1, -0.2, 0.3])
    np.testing.assert_allclose(_photos.tint(noisy, smooth + shade, smooth), noisy + shade)


def test_what_is_found_is_counted_by_its_label():
    known = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]] * 5)
    labels = (known[:, 0] > 1).astype(int)
    asked, answers = np.array([[0.1], [5.1]]), np.array([0, 1])
    assert _alike.precision(known, labels, asked, answers) == 1
    assert _alike.precision(known, labels, asked, answers[::-1]) == 0
    assert _alike.neighbours(known, labels, asked, np.array([0, 0])) == 0.5


def test_what_spoils_spoils_as_it_says():
    x = jnp.asarray(_photos.photo("flower")[None, :32, :32] / np.float32(255))
    key = jax.random.key(0)
    assert float((_photos.noise(key, x) - x).std()) == pytest.approx(0.1, rel=0.1)
    grey = _photos.drain(key, x)
    np.testing.assert_allclose(grey[..., 0], grey[..., 2])
    np.testing.assert_allclose(_photos.drain(key, grey), grey, rtol=1e-5)
    flat = jnp.full((1, 8, 8, 3), 0.3)
    np.testing.assert_allclose(_photos.shrink(key, flat), flat, rtol=1e-5)


def test_the_network_begins_as_the_identity_and_takes_any_size():
    net = Restorer((4,))
    params = net.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    x = jax.random.uniform(jax.random.key(1), (2, 10, 12, 3))
    np.testing.assert_array_equal(net.apply(params, x), x)


def test_no_such_photo_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"no image .nothing\.jpg. \(.*\); china, flower or an"):
        uses.main(uses.Config(train="nothing.jpg"))
    small = io.BytesIO()
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(small, "PNG")
    (tmp_path / "small.png").write_bytes(small.getvalue())
    with pytest.raises(InputError, match="sides of at least 32 pixels"):
        uses.main(uses.Config(test=str(tmp_path / "small.png")))


def png(width, height):
    """A PNG file whose header says that it is of this size, and with no pixels."""
    header = struct.pack(">II5B", width, height, 8, 2, 0, 0, 0)
    parts = (b"IHDR" + header, b"IDAT" + zlib.compress(b""), b"IEND")
    framed = (struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def refused(path):
    with pytest.raises(
        InputError, match=r"^no image .*; china, flower or an image .* accepted$"
    ) as e:
        _photos.photo(str(path))
    assert "\n" not in str(e.value)
    return str(e.value)


@pytest.mark.parametrize("side", [5_000, 10_000, 20_000, 2**31 - 1])
def test_a_huge_photo_is_refused_by_its_header(tmp_path, side):
    (tmp_path / "huge.png").write_bytes(png(side, side))
    assert "pixels" in refused(tmp_path / "huge.png").partition(";")[0]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
def test_a_truncated_photo_is_one_line(tmp_path, kind):
    file, path = io.BytesIO(), tmp_path / "cut"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, kind)
    content = file.getvalue()
    for length in range(0, len(content) * 3 // 4, len(content) // 40):
        path.write_bytes(content[:length])
        refused(path)


def test_it_runs_and_leaves_its_result(tmp_path):
    ramp = np.linspace(0, 255, 72)[:, None, None] * np.array([1, 0.5, 0.2])
    for i, name in enumerate(("a.png", "b.png")):
        pixels = np.roll(np.broadcast_to(ramp, (72, 72, 3)), 9 * i, 0).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    paths = {"train": str(tmp_path / "a.png"), "test": str(tmp_path / "b.png")}
    with pytest.raises(InputError, match="--batch must be below 26; got 32"):
        uses.main(uses.Config(**paths))
    config = uses.Config(seeds=1, steps=2, batch=8, out=tmp_path / "run", quiet=True, **paths)
    result = uses.main(config)
    assert result.metrics["compress PSNR"]["mean"] > 5
    found = result.metrics["precision of 10 found"]["mean"]
    assert 0.3 < found < result.baselines["pixels, precision of 10 found"]["mean"]
    assert (tmp_path / "run" / "figures" / "map.png").exists()
