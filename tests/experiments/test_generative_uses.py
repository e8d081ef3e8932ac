"""The uses of autoencoders: what stands beside them is right, and bad input ends in one line."""

import io
import struct
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.stats
from PIL import Image

from dljax import InputError
from dljax.nets.codec import Basis, Codec, bits, causal
from dljax.nets.restore import Restorer, SlidingCoder
from experiments.generative import _alike, _coder, _mending, _photos, _rates, uses


def small_image(side=32):
    return _photos.photo("flower")[60 : 60 + side, 100 : 100 + side] / np.float32(255)


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


def test_an_image_lies_in_eight_ways():
    image = np.arange(4 * 4).reshape(4, 4)
    assert len({each.tobytes() for each in map(np.ascontiguousarray, _photos.turned(image))}) == 8


def test_photographs_come_with_packages_and_their_parts_are_disjoint():
    assert len({*_photos.TRAIN, *_photos.VALIDATION, *_photos.TEST}) == 11
    tests = _photos.tested("photos")
    assert list(tests) == list(_photos.TEST)
    shown = [*tests.values(), *_photos.validated()]
    assert {x.shape for x in shown} == {(*_photos.VIEW, 3)}
    assert all(x.min() >= 0 and 0.3 < x.max() <= 1 for x in shown)


def test_a_persons_folders_are_learnt_from_and_tested(tmp_path):
    rng = np.random.default_rng(0)
    for folder, names in (("mine", ("a.png", "b.JPG")), ("yours", ("c.jpeg",))):
        (tmp_path / folder).mkdir()
        for name in names:
            pixels = rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / name)
    mine, yours = str(tmp_path / "mine"), str(tmp_path / "yours")
    pieces = _photos.learnt((mine,))
    assert pieces.shape == (2 * 8 * 8 * 11, 32, 32, 3)  # files, turns, rows, columns
    assert [*_photos.tested(yours)] == ["c"]
    _photos.check_apart((mine, "photos"), yours)
    with pytest.raises(InputError, match=r"a\.png is in --train and in --test"):
        _photos.check_apart((mine,), mine)


def test_noise_is_taken_away_by_each_plain_way():
    true = small_image(48)[None]
    spoilt = np.asarray(_mending.noise(jax.random.key(0), jnp.asarray(true)))
    given = _mending.decibels(spoilt, true)[0]
    assert given == pytest.approx(20, abs=0.5)
    found, best = _mending.best_plain(_mending.denoisers(true), spoilt, true)
    reached = {
        name: _mending.decibels(_mending.all_by(way, spoilt), true)[0]
        for name, way in found.items()
    }
    assert min(reached.values()) > given + 3
    assert best == max(reached, key=lambda name: reached[name])
    assert best != "Gaussian filter"


def test_sliding_cosines_are_those_of_a_lone_square():
    image = np.random.default_rng(0).random((8, 8, 3))
    codes = np.asarray(scipy.fft.dctn(image, norm="ortho"))
    codes[np.abs(codes) < 2 * _mending.SIGMA] = 0
    found = _mending.cosines(2.0, image)
    np.testing.assert_allclose(found, np.asarray(scipy.fft.idctn(codes, norm="ortho")))


def test_back_projection_shrinks_to_what_was_given():
    small = small_image(16)
    errors = []
    for times in (0, 1, 8):
        large = _mending.back_projected(times, small)
        again = _mending.shrink(jax.random.key(0), jnp.asarray(large[None]))
        errors.append(float(jnp.abs(again[0] - small).max()))
    assert errors[2] < 0.1 * errors[1] < 0.1 * errors[0]


def test_colours_are_those_of_the_nearest_surroundings():
    level = np.linspace(20, 235, 64, dtype=np.float32)[:, None, None, None]
    pieces = np.broadcast_to(level * np.array([1.0, 0.8, 0.6], np.float32), (64, 32, 32, 3))
    pieces = np.round(pieces).astype(np.uint8)  # the brighter, the more coloured
    true = pieces[40] / np.float32(255)
    grey = np.asarray(_mending.drain(jax.random.key(0), jnp.asarray(true[None])))[0]
    found = _mending.Transfer(pieces).painted(1, grey)
    np.testing.assert_allclose(found, true, atol=0.02)
    assert np.abs(_mending.tint(pieces, grey) - true).max() > 0.02


def test_what_spoils_spoils_as_it_says():
    x, key = jnp.asarray(small_image()[None]), jax.random.key(0)
    assert float((_mending.noise(key, x) - x).std()) == pytest.approx(0.1, rel=0.1)
    grey = _mending.drain(key, x)
    np.testing.assert_allclose(grey[..., 0], grey[..., 2])
    np.testing.assert_allclose(_mending.drain(key, grey), grey, rtol=1e-5)
    small = _mending.shrink(key, x)
    np.testing.assert_allclose(small[0, 2, 3], x[0, 4:6, 6:8].mean((0, 1)), rtol=1e-5)


@pytest.mark.parametrize("enlarge", [1, 2])
def test_the_network_begins_as_the_plain_way_and_takes_any_size(enlarge):
    net = Restorer((4,), 1, 2, enlarge, None if enlarge == 1 else _mending.doubled)
    params = net.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    x = jax.random.uniform(jax.random.key(1), (2, 10, 12, 3))
    plain = jax.image.resize(x, (2, 10 * enlarge, 12 * enlarge, 3), "cubic")
    np.testing.assert_allclose(net.apply(params, x), plain, atol=1e-6)
    with pytest.raises(InputError, match="multiples of 2 pixels; got 9 x 8"):
        net.apply(params, x[:, :9, :8])


def test_a_steep_sliding_coder_is_the_cosine_transform():
    image = small_image(20)[:, :16]
    net = SlidingCoder(2.7 * _mending.SIGMA, slope=1e5)
    found, _ = net.init_with_output(jax.random.key(0), jnp.asarray(image[None]))
    np.testing.assert_allclose(found[0], _mending.cosines(2.7, image), atol=1e-4)
    assert np.abs(found[0] - image).max() > 0.01
    with pytest.raises(InputError, match="sides must be at least 8 pixels; got 7 x 16"):
        net.init(jax.random.key(0), jnp.zeros((1, 7, 16, 3)))


def test_what_denoises_begins_as_well_as_the_cosine_transform():
    task, true = _mending.TASKS["denoise"], small_image(48)
    noisy = task.spoil(jax.random.key(0), jnp.asarray(true[None]))
    net = Restorer((4,), 1, task.fold, task.enlarge, task.begin)
    begun, params = net.init_with_output(jax.random.key(0), noisy)
    reached = _mending.decibels(np.asarray(begun)[0], true)
    plain = _mending.decibels(_mending.cosines(2.7, np.asarray(noisy[0])), true)
    assert plain > _mending.decibels(np.asarray(noisy[0]), true) + 5
    assert reached == pytest.approx(plain, abs=0.15)
    moved = jax.grad(lambda own: jnp.abs(jnp.asarray(net.apply(own, noisy)) - true[None]).mean())
    slopes = moved(params)["params"]["begin"]
    assert len(slopes) == 4
    assert all(np.isfinite(each).all() and np.abs(each).max() > 1e-6 for each in slopes.values())


def test_what_enlarges_begins_as_back_projection_and_sees_it():
    task, x = _mending.TASKS["enlarge"], jnp.asarray(small_image(16)[None])
    net = Restorer((4,), 1, task.fold, task.enlarge, task.begin)
    begun, variables = net.init_with_output(jax.random.key(0), x)
    plain = _mending.back_projected(4, np.asarray(x[0]))
    np.testing.assert_allclose(np.asarray(begun)[0], plain, atol=1e-5)
    kernel = np.shape(variables["params"]["Conv_0"]["kernel"])
    assert kernel == (3, 3, 3 + 4 * 3, 4)  # each pixel of x, and the four where it begins
    with pytest.raises(InputError, match=r"begin must give images \(1, 32, 32, 3\)"):
        Restorer((4,), enlarge=2).init(jax.random.key(0), x)


def test_bits_are_those_of_the_distribution():
    y, mean = np.array([0.0, 1.0, -3.0, 40.0, 7.0]), np.array([0.2, 1.0, 0.5, 0.0, 6.7])
    scale = np.array([0.5, 0.05, 1.5, 4.0, 300.0])
    law = scipy.stats.laplace(mean, scale)
    wanted = -np.log2(law.cdf(y + 0.5) - law.cdf(y - 0.5))
    found = bits(*map(jnp.asarray, (y, mean, np.log(scale))))
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def test_numbers_are_read_again_and_cost_their_entropy():
    rng = np.random.default_rng(0)
    mean, scale = rng.normal(size=3000), rng.choice([0.02, 0.3, 3.0, 300.0], 3000)
    q = np.clip(np.round(rng.laplace(mean, scale)), -2047, 2047).astype(int)
    q[:4] = 2047, -2047, 0, 0  # far from where they are likely
    file = _coder.write(q, mean, scale)
    read = _coder.reader(file)
    assert [read(*each) for each in zip(mean, scale, strict=True)] == q.tolist()
    counts = _coder.below(q + 1, mean, scale) - _coder.below(q, mean, scale)
    entropy = (_coder.TOTAL - np.log2(counts)).sum()
    assert entropy <= 8 * len(file) <= entropy + 16
    law = scipy.stats.laplace(mean, scale)
    wanted = -np.log2(np.maximum(law.cdf(q + 0.5) - law.cdf(q - 0.5), 2.0**-24))[4:].sum()
    assert 8 * len(file) == pytest.approx(wanted, rel=0.02)


def test_carries_run_through_full_bytes():
    out = bytearray((7, 255, 255))
    assert _coder.carried(_coder.TOP + 5, out) == 5
    assert out == bytes((8, 0, 0))


@pytest.fixture(scope="module")
def codec():
    """A codec of 5 numbers a block whose distributions hang on what came before, and its codes."""
    start = Basis(np.linalg.qr(np.random.default_rng(0).normal(size=(12, 5)))[0], np.full(5, 0.2))
    net = Codec(lambda: start, (2.0, 3.0), channels=3, blocks=1, block=2, fold=2)
    x = jnp.asarray(small_image()[None])
    params = net.init(jax.random.key(0), x)["params"]
    for i, name in enumerate(("to_mean", "to_scale")):
        params[name] = 0.1 * jax.random.normal(jax.random.key(i), params[name].shape)
    level = jnp.ones(1, jnp.int32)
    codes = np.round(np.asarray(net.apply({"params": params}, x, level, method="encode")))
    chances = net.apply({"params": params}, jnp.asarray(codes), level, method="chances")
    return net, params, codes, chances


def test_codes_are_read_from_their_file_which_is_as_long_as_they_are_unlikely(codec):
    _, params, codes, chances = codec
    known = _rates.tables(params, 1)
    file = _rates.packed(codes[0], 1, known)
    np.testing.assert_array_equal(_rates.unpacked(file, known), codes[0])
    unlikely = float(bits(jnp.asarray(codes), *chances).sum())
    assert 0.99 * unlikely < 8 * len(file) < 1.02 * unlikely + 80
    assert len(set(codes.reshape(-1))) > 10


def test_a_code_is_told_by_what_came_before_it_alone(codec):
    net, params, codes, _ = codec

    def mean(y):
        return net.apply({"params": params}, y, jnp.ones(1, jnp.int32), method="chances")[0]

    slopes = jax.grad(lambda y: mean(y)[0, 3, 4, 2])(jnp.asarray(codes))[0]
    rows, columns, numbers = np.nonzero(np.asarray(slopes))
    place = (rows * 16 + columns) * 5 + numbers
    assert place.max() < (3 * 16 + 4) * 5 + 2
    assert len(place) == 4 * 5 + 2 == causal(5)[..., 2].sum()


def test_a_codec_begins_as_its_transform():
    whole = Basis(np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0], np.ones(12))
    net = Codec(lambda: whole, (1.0,), channels=3, blocks=1, block=2, fold=2)
    x = jnp.asarray(small_image()[None])
    (found, _), _ = net.init_with_output(jax.random.key(0), x)
    np.testing.assert_allclose(found, x, atol=1e-5)


def test_jpeg_costs_more_the_better_it_is():
    images = np.stack([small_image(64), small_image(64)[::-1]])
    found = _rates.library(images, "JPEG", optimize=True)
    assert found.bits.shape == found.decibels.shape == (2, 21)
    assert (np.diff(found.bits) >= 0).all()
    assert found.decibels[0, -1] > found.decibels[0, 0] + 10
    middle = np.sqrt(found.bits[:, 9] * found.bits[:, 10])
    mean = (found.decibels[:, 9] + found.decibels[:, 10]) / 2
    np.testing.assert_allclose(found.at(middle), mean)
    files = [_rates.library(images, "JPEG", whole) for whole in (True, False)]
    tables = (files[0].bits - files[1].bits) * 64 * 64 / 8
    np.testing.assert_allclose(tables, tables[0, 0])  # bytes, the same in all files
    assert 600 < tables[0, 0] < 650


def test_who_is_beaten_is_so_by_two_standard_errors():
    assert _rates.beaten(np.array([1.0, 2.0, 3.0]))  # of 2, and an error of 0.58
    assert not _rates.beaten(np.array([-1.0, 2.0, 3.0]))
    assert not _rates.beaten(np.array([1.0]))


def test_what_is_found_is_counted_by_its_label():
    known = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]] * 10)
    labels = (known[:, 0] > 1).astype(int)
    asked, answers = np.array([[0.1], [5.1]]), np.array([0, 1])
    np.testing.assert_allclose(_alike.precision(known, labels, asked, answers), [1, 1, 0.6])
    np.testing.assert_allclose(_alike.precision(known, labels, asked, answers[::-1]), [0, 0, 0.4])
    assert _alike.neighbours(known, labels, asked, np.array([0, 0])) == 0.5


def test_no_such_photographs_are_one_line(tmp_path):
    with pytest.raises(
        InputError, match=r"--train must be photos, cifar10 or a folder of .*nothin"
    ):
        uses.main(uses.Config(train=("nothing",)))
    with pytest.raises(InputError, match=r"--test: no .* file in"):
        uses.main(uses.Config(test=str(tmp_path)))
    Image.fromarray(np.zeros((200, 400, 3), np.uint8)).save(tmp_path / "small.png")
    with pytest.raises(InputError, match=r"small\.png: at least 384 x 288 pixels are needed"):
        uses.main(uses.Config(test=str(tmp_path)))
    with pytest.raises(InputError, match="--codes must be below 193; got 500"):
        uses.main(uses.Config(codes=500))


def png(width, height):
    """A PNG file whose header says that it is of this size, and with no pixels."""
    header = struct.pack(">II5B", width, height, 8, 2, 0, 0, 0)
    parts = (b"IHDR" + header, b"IDAT" + zlib.compress(b""), b"IEND")
    framed = (struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def refused(path):
    with pytest.raises(InputError, match=r"^no image .*; accepted is one of .*, or an image") as e:
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


def test_it_runs_and_leaves_its_result(tmp_path, monkeypatch):
    monkeypatch.setattr(_photos, "VIEW", (48, 64))
    ramp = np.linspace(0, 255, 400)[None, :, None] * np.array([1, 0.5, 0.2])
    for i, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        pixels = np.roll(np.broadcast_to(ramp, (304, 400, 3)), 90 * i, 1).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / folder / f"{folder}.png")
    folders = {"train": (str(tmp_path / "a"),), "test": str(tmp_path / "b")}
    small = {"channels": 2, "blocks": 0, "codes": 4, "weights": (500.0,), "batch": 4}
    out = tmp_path / "run"
    result = uses.main(uses.Config(seeds=1, steps=2, out=out, quiet=True, **small, **folders))
    assert result.metrics["denoise PSNR"]["photographs"] == ["b"]
    gain = "enlarge gain over the strongest plain way, decibels"
    assert result.metrics[gain]["photographs"] == ["b"] and not result.targets[gain]["met"]
    assert 0 < result.metrics["bits per pixel at rate 1"]["mean"] < 1
    found = result.metrics["precision of 10 found"]["mean"]
    assert 0.3 < found < result.baselines["pixels, precision of 10 found"]["mean"]
    assert (out / "figures" / "curve.png").exists()
    assert {each.name for each in (out / "model").iterdir() if each.is_dir()} == {
        *("denoise", "enlarge", "colour", "compress")
    }
