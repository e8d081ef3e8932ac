"""Splits, plain models and figures of `experiments.frontiers.molecules`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes

from dljax.data import molecules
from dljax.data.molecules import SPLITS, Molecules, Split
from dljax.errors import InputError
from dljax.host import figures
from dljax.host.baselines import chosen
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.learn.risk import Loss
from dljax.ops import unions
from dljax.typing import Array, Graph, PyTree

MOST = 10.0  # deviations of a descriptor, beyond which it is cut: some are sums of exponentials


class Task(NamedTuple):
    """S splits of n molecules, each as its training part has them.

    whole [S, n, d] and y [S, n, K] standardised, y nan where not measured; middle and unit [S] of
    the first target; rows of the parts, train [S, m], validation [S, v], test [S, t].
    """

    whole: np.ndarray
    y: np.ndarray
    middle: np.ndarray
    unit: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    loss: Loss = optax.squared_error

    def bare(self) -> "Task":
        """Without what is told of molecules as wholes."""
        return self._replace(whole=self.whole[..., :0])

    def of(self, seed: int) -> tuple[int, Split]:
        """The split of the seed so many from the first, and its parts."""
        at = seed % len(self.train)
        return at, (self.train[at], self.validation[at], self.test[at])


def check_splits(lists: Sequence[Molecules], splits: Sequence[str], seed: int) -> None:
    """Raises InputError for a list that cannot be split so, before anything is trained."""
    for split in splits:
        for data in lists:
            SPLITS[split](data, seed)


def task(data: Molecules, told: np.ndarray, split: str, seeds: Sequence[int]) -> Task:
    """A list's first target by a split, of each seed where seeds differ in it."""
    found = [SPLITS[split](data, seed) for seed in seeds]
    if all(np.array_equal(found[0][0], each[0]) for each in found):
        found = found[:1]
    train, validation, test = (np.stack(part) for part in zip(*found, strict=True))
    y = data.y[:, :1]
    if not all(np.isfinite(y[rows]).any() for part in (train, validation, test) for rows in part):
        raise InputError(f"{data.name}: in a part of a split no {data.targets[0]} was measured")
    middle, unit = (np.array([f(y[rows]) for rows in train]) for f in (np.nanmean, np.nanstd))
    unit = np.where(unit > 0, unit, 1)
    scaled = (y[None] - middle[:, None, None]) / unit[:, None, None]
    whole = np.stack([standardised(told, rows) for rows in train])
    return Task(whole, scaled.astype(np.float32), middle, unit, train, validation, test)


def standardised(table: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """By means and deviations of some rows, cut at `MOST`, float32 [n, d].

    0 where nothing is told, and where the rows are all alike: nothing was learnt of what differs.
    """
    told = np.isfinite(table)
    filled = np.where(told, table, 0).astype(np.float64)
    mean = filled[rows].sum(0) / np.maximum(told[rows].sum(0), 1)
    filled = np.where(told, filled, mean)
    sd = filled[rows].std(0)
    scaled = np.where(sd > 0, filled - mean, 0) / np.where(sd > 0, sd, 1)
    return np.clip(scaled, -MOST, MOST).astype(np.float32)


def rmse(guess: np.ndarray, y: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(np.square(guess - y))))


def guess(told: np.ndarray, own: Task, at: int = 0) -> np.ndarray:
    """What a network tells, standardised, in the unit of y."""
    return own.middle[at] + own.unit[at] * told


def errors(told: np.ndarray, data: Molecules, own: Task) -> list[float]:
    """The test error of what each seed's network tells [S, n], standardised, in the unit of y."""
    found = []
    for i, each in enumerate(told):
        at, (_, _, test) = own.of(i)
        found.append(rmse(guess(each[test], own, at), data.y[test, 0]))
    return found


def plain_models() -> dict[str, tuple[str, Callable[[], list[Any]]]]:
    """By name, of which features each is, and its candidates, of which validation chooses."""
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import Ridge

    strengths = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)

    def trees() -> list[Any]:
        options = {"n_estimators": 100, "max_features": 0.3, "random_state": 0}
        return [ExtraTreesRegressor(**options)]

    def ridges() -> list[Any]:
        return [Ridge(alpha) for alpha in strengths]

    return {
        "ridge on descriptors": ("descriptors", ridges),
        "ridge on fingerprints": ("fingerprints", ridges),
        "extra trees on descriptors": ("descriptors", trees),
    }


def plain(data: Molecules, own: Task, prints: np.ndarray) -> dict[str, list[float]]:
    """Test errors of plain models, one a split, and of what comes with the file."""
    found: dict[str, list[float]] = {name: [] for name in plain_models()}
    if data.formula is not None:
        found[data.formula_name] = []
    y = data.y[:, 0]
    for at in range(len(own.train)):
        train, validation, test = own.of(at)[1]
        train, validation = (rows[np.isfinite(y[rows])] for rows in (train, validation))
        counts = np.log1p(prints.astype(np.float32))
        features = {"descriptors": own.whole[at], "fingerprints": counts}
        for name, (kind, candidates) in plain_models().items():
            x = features[kind]
            fits = (model.fit(x[train], y[train]) for model in candidates())
            best = chosen(fits, (x[validation], y[validation]))
            found[name].append(rmse(best.predict(x[test]), y[test]))
        if data.formula is not None:
            found[data.formula_name].append(rmse(data.formula[test], y[test]))
    return found


def without_each(net: nn.Module, params: PyTree, graphs: Sequence[Graph]) -> list[np.ndarray]:
    """What each atom adds: `f(G) - f(G without it)`, its node masked, of an ensemble, [a] a graph.

    params lead with the ensemble's axis; the network is told nothing of graphs as wholes.
    """
    shelf = unions.shelve(graphs)
    atoms, bonds = unions.largest(shelf)
    copies = atoms + 1
    size = unions.Size(copies * atoms, copies * bonds)

    @jax.jit
    def told(row: Array) -> Array:
        rows, whole = jnp.full(copies, row), jnp.zeros((copies, 0))
        union, _ = unions.unite(shelf, rows, size, whole)
        own = jnp.diff(jnp.asarray(shelf.nodes))[row]
        # copy i is without atom i; the last one lacks none
        kept = jnp.arange(size.nodes) - union.whose * own != union.whose
        union = union._replace(graph=union.graph._replace(real=union.graph.real & kept))
        each = jax.vmap(lambda own: jnp.asarray(net.apply({"params": own}, union)))(params)
        return each.mean(0)[:, 0]

    found = [np.asarray(told(row)) for row in range(len(graphs))]
    return [each[-1] - each[: len(graph.x)] for each, graph in zip(found, graphs, strict=True)]


def show(
    run: Study,
    title: str,
    data: Molecules,
    own: Task,
    told: np.ndarray,
    net: nn.Module,
    params: PyTree,
) -> None:
    """What the first ensemble tells [n], and what atoms add where no descriptors are told."""
    file = title.replace(" ", "-")
    run.figure(f"{file}.png", draw, run.result, title, data, own, told)
    run.figure(f"{file}-atoms.png", show_atoms, title, data, own, net, params)


def draw(
    path: Path, found: Result, title: str, data: Molecules, own: Task, told: np.ndarray
) -> Path:
    """Every ensemble's test error beside what is plain, and what the first tells, [n]."""
    _, (_, _, test) = own.of(0)
    y, told = data.y[test, 0], guess(told[test], own)
    figure, (left, right) = figures.panels(2, size=(4.6, 3.6))
    start = f"test RMSE, {title}"
    groups = {
        name: each["values"] for name, each in found.metrics.items() if name.startswith(start)
    }
    names = {
        name: name.removeprefix(start).strip(", ") or "graph and\ndescriptors" for name in groups
    }
    figures.dots(left, {names[n].replace(" ", "\n", 1): v for n, v in groups.items()})
    lines = [(k, v) for k, v in found.baselines.items() if v["metric"] == start]
    for (name, value), color in zip(lines, figures.COLORS, strict=False):
        left.axhline(value["mean"], color=color, lw=0.9, ls="--", label=name.partition(",")[0])
    left.legend(fontsize=7, frameon=False, loc="upper right", bbox_to_anchor=(1, 0.93))
    left.set_ylabel("test RMSE")
    right.scatter(y, told, s=9, color=figures.COLORS[0], alpha=0.6, lw=0)
    ends = [min(np.nanmin(y), told.min()), max(np.nanmax(y), told.max())]
    right.plot(ends, ends, color=figures.INK, lw=0.8)
    right.set(xlabel="measured", ylabel="told by the first ensemble")
    figure.suptitle(title, fontsize=10)
    return figures.save(figure, path)


def show_atoms(
    path: Path, title: str, data: Molecules, own: Task, net: nn.Module, params: PyTree
) -> Path:
    """Of eight molecules of the test, from the least y to the greatest, what each atom adds."""
    _, (_, _, test) = own.of(0)
    y = data.y[:, 0]
    fit = [i for i in test if 5 <= data.mols[i].GetNumAtoms() <= 20 and np.isfinite(y[i])] or test
    order = np.array(sorted(fit, key=lambda i: y[i]))
    rows = order[np.unique(np.linspace(0, len(order) - 1, 8).round().astype(int))]
    graphs = [molecules.graph(data.mols[i]) for i in rows]
    adds = [own.unit[0] * each for each in without_each(net, params, graphs)]
    said = [f"{data.smiles[i]}\nmeasured {y[i]:.2f}" for i in rows]
    what = f"{title}, {data.targets[0]}: f(molecule) - f(without the atom), graph alone"
    return draw_atoms(path, what, [data.mols[i] for i in rows], adds, said)


def draw_atoms(
    path: Path, title: str, mols: Sequence[Any], adds: Sequence[np.ndarray], names: Sequence[str]
) -> Path:
    """Molecules whose atoms are coloured by what they add to the prediction: red up, blue down."""
    columns = min(4, len(mols))
    figure, axes = figures.panels(columns, -(-len(mols) // columns), size=(2.9, 2.7))
    most = max(float(np.abs(each).max()) for each in adds) or 1.0
    for ax in axes:
        ax.axis("off")
    for ax, mol, each, name in zip(axes, mols, adds, names, strict=False):
        skeleton(ax, mol, each, most)
        ax.set_title(name, fontsize=7)
    scale = figure.colorbar(axes[0].collections[-1], ax=axes, shrink=0.6)
    scale.ax.tick_params(labelsize=7)
    figure.suptitle(title, fontsize=10)
    return figures.save(figure, path)


def skeleton(ax: Axes, mol: Any, adds: np.ndarray, most: float) -> None:
    """A molecule as chemists draw it: bonds as lines, atoms as discs, named unless carbon."""
    from rdkit.Chem import rdDepictor

    rdDepictor.Compute2DCoords(mol)
    at = mol.GetConformer().GetPositions()[:, :2]
    for bond in mol.GetBonds():
        a, b = at[bond.GetBeginAtomIdx()], at[bond.GetEndAtomIdx()]
        side = np.array([a[1] - b[1], b[0] - a[0]]) / max(np.hypot(*(a - b)), 1e-9)
        kind = str(bond.GetBondType())
        offsets = {"DOUBLE": (-0.08, 0.08), "TRIPLE": (-0.14, 0, 0.14), "AROMATIC": (0, 0.18)}
        for i, offset in enumerate(offsets.get(kind, (0,))):
            ends = np.stack([a, b]) + offset * side
            dotted = ":" if kind == "AROMATIC" and i else "-"
            ax.plot(*ends.T, color=figures.INK, lw=1, ls=dotted, zorder=1)
    limits = {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
    ax.scatter(*at.T, c=adds, s=90, edgecolors=figures.INK, lw=0.4, zorder=2, **limits)
    for atom, (x, y) in zip(mol.GetAtoms(), at.tolist(), strict=True):
        if atom.GetSymbol() != "C":
            ax.text(x, y, atom.GetSymbol(), ha="center", va="center", fontsize=6, zorder=3)
    ax.set_aspect("equal")
    ax.margins(0.15)
