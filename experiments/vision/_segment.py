"""How masks are judged, what stands beside the network, and what a person looks at."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.ndimage

from dljax.data.masks import MaskData
from dljax.host import figures
from dljax.ops.masks import confusion, dice, iou, pixel_accuracy, rand_score, regions
from dljax.typing import Batch

THRESHOLDS = np.arange(1, 20) / 20
SCALES = (1.0, 2.0, 4.0, 8.0)  # pixels
Scores = dict[str, float]


def overlap(truth: np.ndarray, guess: np.ndarray, classes: Sequence[str]) -> Scores:
    """Pixel accuracy, and the last class's IoU and Dice if there are two, else their means."""
    counts = confusion(jnp.asarray(truth), jnp.asarray(guess), len(classes))
    found = {"pixel accuracy": float(pixel_accuracy(counts))}
    if len(classes) == 2:
        return found | {f"{classes[1]} {n}": float(f(counts)[1]) for n, f in SHARED.items()}
    return found | {f"mean {n}": float(jnp.nanmean(f(counts))) for n, f in SHARED.items()}


SHARED: dict[str, Callable] = {"IoU": iou, "Dice": dice}


def parts(truth: np.ndarray) -> bool:
    """Whether class 1 parts every image into regions, as membranes do, and Rand says anything."""
    return all(regions(each).max() > 1 for each in truth)


def rand(truth: np.ndarray, guess: np.ndarray) -> float:
    """The mean over images of the Rand score of the regions that class 1 parts, if there are."""
    pairs = [(t, g) for t, g in zip(truth, guess, strict=True) if not t.all()]
    found = [rand_score(regions(t), regions(g, fill=True)) for t, g in pairs]
    return float(np.mean(found)) if found else math.nan


def judge(
    known: np.ndarray,
    chosen_on: np.ndarray,
    asked: np.ndarray,
    truth: np.ndarray,
    names: Sequence[str],
) -> tuple[Scores, Scores, np.ndarray]:
    """Test scores, of two classes each at the threshold that validation prefers for it.

    known, asked: chances [n, h, w, K] of the validation and test images, whose masks are chosen_on
    and truth. The scores, the thresholds, and the test masks at that of the pixel accuracy.
    """
    if len(names) > 2:
        guess = asked.argmax(-1)
        return overlap(truth, guess, names), {}, guess

    walls = parts(chosen_on) and parts(truth)

    def at(chances: np.ndarray, y: np.ndarray, threshold: float) -> Scores:
        guess = (chances[..., 1] > threshold).astype(int)
        return overlap(y, guess, names) | ({"Rand": rand(y, guess)} if walls else {})

    tried = [at(known, chosen_on, threshold) for threshold in THRESHOLDS]
    told = {n: np.nan_to_num([each[n] for each in tried], nan=-1) for n in tried[0]}
    # of equals the one nearest to a half: few images tell few thresholds apart
    plain = np.argsort(np.abs(THRESHOLDS - 0.5), kind="stable")
    best = {name: float(THRESHOLDS[plain[v[plain].argmax()]]) for name, v in told.items()}
    found = {name: at(asked, truth, threshold)[name] for name, threshold in best.items()}
    return found, best, (asked[..., 1] > best["pixel accuracy"]).astype(int)


def brightness(x: np.ndarray, dark: bool) -> np.ndarray:
    """An image's grey [n, h, w, c] as the chances of two classes, the second dark or bright."""
    grey = x.mean(-1) / (255 if x.dtype == np.uint8 else 1)
    return np.stack([grey, 1 - grey] if dark else [1 - grey, grey], -1)


def threshold(data: MaskData) -> Scores:
    """The best threshold of the grey value, and its side, both chosen on validation."""
    known, asked = data.validation, data.test

    def of(dark: bool, part: Batch) -> Scores:
        chances = brightness(known.x, dark), known.y, brightness(part.x, dark), part.y
        return judge(*chances, data.classes)[0]

    side = max((True, False), key=lambda dark: of(dark, known)["pixel accuracy"])
    return of(side, asked)


def features(image: np.ndarray) -> np.ndarray:
    """What is around each pixel of [h, w, c], [h w, F]: as ilastik's (Berg et al. 2019).

    Grey, and at each of `SCALES` its Gaussian, the gradient's length and the Hessian's eigenvalues.
    """
    found = []
    for grey in np.moveaxis(image.astype(np.float32), -1, 0):
        found.append(grey)
        for s in SCALES:

            def by(rows: int, columns: int, grey=grey, s=s) -> np.ndarray:
                scale = s ** (rows + columns)
                found: Any = scipy.ndimage.gaussian_filter
                return scale * found(grey, s, (rows, columns))

            mean, half = (by(2, 0) + by(0, 2)) / 2, (by(2, 0) - by(0, 2)) / 2
            apart = np.hypot(half, by(1, 1))
            found += [by(0, 0), np.hypot(by(1, 0), by(0, 1)), mean + apart, mean - apart]
    return np.stack(found, -1).reshape(-1, len(found))


def forest(data: MaskData, pixels: int, trees: int) -> tuple[np.ndarray, np.ndarray]:
    """A random forest of so many training pixels' `features`: chances of validation and test."""
    from sklearn.ensemble import RandomForestClassifier

    rng, each = np.random.default_rng(0), -(-pixels // len(data.train.y))
    x, y = [], []
    for image, mask in zip(*data.train, strict=True):
        rows = rng.choice(mask.size, min(each, mask.size), replace=False)
        x.append(features(image)[rows])
        y.append(mask.ravel()[rows])
    model = RandomForestClassifier(trees, min_samples_leaf=5, n_jobs=-1, random_state=0)
    model.fit(np.concatenate(x), np.concatenate(y))

    def chances(part: Batch) -> np.ndarray:
        found = np.zeros((*part.y.shape, len(data.classes)), np.float32)
        for i, image in enumerate(part.x):
            told = np.asarray(model.predict_proba(features(image)))
            found[i][..., model.classes_] = told.reshape(*found.shape[1:3], -1)
        return found

    return chances(data.validation), chances(data.test)


def draw(
    path: Path, x: np.ndarray, truth: np.ndarray, guesses: dict[str, np.ndarray], shown: int = 3
) -> Path:
    """Test images, their masks, and each method's with its errors: missed blue, cried orange."""
    rows = np.linspace(0, len(x) - 1, min(shown, len(x))).round().astype(int)
    figure, axes = figures.panels(2 + len(guesses), len(rows), size=(3.0, 3.1))
    for ax in axes:
        ax.axis("off")
    grid = np.reshape(np.array(axes), (len(rows), -1))
    for line, i in zip(grid, rows.tolist(), strict=True):
        line[0].imshow(x[i].squeeze(), cmap="gray")
        line[1].imshow(truth[i], cmap="gray_r", interpolation="nearest")
        for ax, guess in zip(line[2:], guesses.values(), strict=True):
            ax.imshow(marked(truth[i], guess[i]), interpolation="nearest")
    for ax, name in zip(grid[0], ["image", "truth", *guesses], strict=True):
        ax.set_title(name, fontsize=9)
    figure.suptitle("errors: class missed in blue, cried in orange, confused in green", fontsize=10)
    return figures.save(figure, path)


def marked(truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """A guess in grey, [h, w, 3], with what was missed, cried without cause, or confused."""
    grey = 1 - 0.6 * guess / max(1, guess.max())
    picture = np.repeat(grey[..., None], 3, -1)
    colors = [tuple(int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)) for c in figures.COLORS]
    picture[(truth > 0) & (guess == 0)] = colors[0]
    picture[(truth == 0) & (guess > 0)] = colors[1]
    picture[(truth > 0) & (guess > 0) & (truth != guess)] = colors[2]
    return picture
