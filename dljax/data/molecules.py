"""Molecules as graphs (S57): CSV files of SMILES, what chemists tell of them, and splits of a list.

All but the bare reading of a file needs RDKit, which `pip install dljax[molecules]` brings.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dljax.data.frames import counts
from dljax.data.scaling import listed, say
from dljax.data.store import fetch, is_path
from dljax.data.text import read_rows
from dljax.errors import InputError, unknown
from dljax.typing import Graph


class File(NamedTuple):
    """A known file: its columns of targets, and of what something else tells of the first."""

    path: str
    targets: tuple[str, ...]
    formula: str | None = None
    formula_name: str = ""


TOX21 = (
    "NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER", "NR-ER-LBD", "NR-PPAR-gamma",
    "SR-ARE", "SR-ATAD5", "SR-HSE", "SR-MMP", "SR-p53",
)  # fmt: skip
KNOWN = {
    "esol": File(
        "molecules/esol.csv",
        ("measured log solubility in mols per litre",),
        "ESOL predicted log solubility in mols per litre",
        "ESOL's own formula",  # which was fitted to nearly these molecules, those of a test too
    ),
    "freesolv": File("molecules/freesolv.csv", ("expt",), "calc", "simulated free energy"),
    "tox21": File("molecules/tox21.csv", TOX21),
}
SPELLED = "spelled"
NAMES = (SPELLED, *KNOWN)
CORES = (
    "c1ccc({})cc1{}", "c1cc({})ncc1{}", "C1CCC({})CC1{}", "c1cc({})sc1{}", "C1CC({})OC1{}",
    "CCC({})CC{}", "CC=CC({})C{}", "CCCCCC({})C{}", "c1cc({})c2ccccc2c1{}", "CC(C)({})C{}",
)  # fmt: skip
GROUPS = ("C", "O", "N", "Cl", "F", "C(=O)O", "C#N")
ELEMENTS = ("C", "N", "O", "S", "F", "Cl", "Br", "I", "P", "Si", "B", "Na")


@dataclass(frozen=True, eq=False)
class Molecules:
    """A list of molecules, and numbers y float32 [n, K] of each target, nan where not measured.

    formula [n] is what somebody's formula or simulation tells of the first target: to compare with,
    and never a feature. `leaks` are descriptors that are, or hold, the target. `unread` says which
    rows of a known file RDKit does not read.
    """

    name: str
    smiles: tuple[str, ...]
    mols: tuple[Any, ...]
    targets: tuple[str, ...]
    y: np.ndarray
    formula: np.ndarray | None = None
    formula_name: str = ""
    leaks: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.smiles)


def rdkit() -> Any:
    """RDKit's `Chem`. Raises InputError where it is not installed."""
    try:
        from rdkit import Chem
    except ImportError as error:
        raise InputError("molecules need RDKit: pip install 'dljax[molecules]'") from error
    return Chem


def load(name: str) -> Molecules:
    """One of `NAMES`, or a CSV file's column `smiles` and its columns of numbers.

    spelled: molecules spelled here, and their logP as Crippen's rules tell it (RDKit). ESOL:
    Delaney 2004; FreeSolv: Mobley and Guthrie 2014; tox21: twelve assays of 2014's challenge, of
    which RDKit does not read 8 rows. Raises InputError for what is no such file, names the first
    row of one's own whose SMILES is none, and where RDKit is missing says how to get it.
    """
    rdkit()
    if name == SPELLED:
        return spelled()
    if name in KNOWN:
        file = KNOWN[name]
        path, targets = fetch(file.path), file.targets
    elif is_path(name):
        file, path, targets = None, Path(name).expanduser(), None
    else:
        raise unknown("list of molecules", name, NAMES)
    table = read(path)
    column = next((each for each in table if each.lower() == "smiles"), None)
    if column is None:
        raise InputError(f"{path} has no column smiles; it has {', '.join(table)}")
    smiles = [each.strip() for each in table[column]]
    if not targets:
        told = [each for each in table if each != column and numeric(table[each])]
        index = [each for each in told if counts(numbers(path, table, each), least=10)]
        if index:
            say(f"left out, since it only counts the rows: {listed('column', index)}")
        targets = [each for each in told if each not in index]
    if not targets:
        raise InputError(f"{path} has no column of numbers beside {column}")
    y = np.stack([numbers(path, table, each) for each in targets], 1)
    formula = numbers(path, table, file.formula) if file and file.formula else None
    mols, wrong = parsed(smiles)
    said = [f"row {i + 1}: {smiles[i]!r} is no SMILES that RDKit reads" for i in wrong]
    if wrong and not file:
        raise InputError(f"{path}, {said[0]}")
    rows = np.setdiff1d(np.arange(len(smiles)), wrong)
    return Molecules(
        name if file else path.stem,
        tuple(smiles[i] for i in rows),
        tuple(mols[i] for i in rows),
        tuple(targets),
        y[rows].astype(np.float32),
        None if formula is None else formula[rows],
        file.formula_name if file else "",
        unread=tuple(said),
    )


def spelled() -> Molecules:
    """Every core with every two groups, and its octanol-water logP by Wildman and Crippen 1999."""
    from rdkit.Chem import Descriptors

    each = itertools.product(CORES, itertools.product(GROUPS, repeat=2))
    written = [core.format(*pair) for core, pair in each]
    mols, wrong = parsed(written)
    assert not wrong
    chem = rdkit()
    first = {chem.MolToSmiles(mol): i for i, mol in reversed([*enumerate(mols)])}
    log_p = dict(Descriptors.descList)["MolLogP"]
    rows = sorted(first.values())  # symmetric cores give some twice
    y = np.array([[log_p(mols[i])] for i in rows], np.float32)
    leaks = (n for n, _ in Descriptors.descList if "logp" in n.lower() or n == "qed")  # of logP too
    return Molecules(
        SPELLED,
        tuple(written[i] for i in rows),
        tuple(mols[i] for i in rows),
        ("logP",),
        y,
        leaks=tuple(leaks),
    )


def read(path: Path) -> dict[str, list[str]]:
    """A CSV file's columns by name. Raises InputError unless all rows are as long as the first."""
    rows = read_rows(path)
    if len(rows) < 2:
        raise InputError(f"{path} holds no molecules")
    for i, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise InputError(f"{path}, row {i}: {len(row)} fields, not {len(rows[0])}")
    if twice := [each for each in rows[0] if rows[0].count(each) > 1]:
        raise InputError(f"{path} has two columns called {twice[0]}")
    return dict(zip(rows[0], map(list, zip(*rows[1:], strict=True)), strict=True))


def number(text: str) -> float:
    """A cell's number, nan where it is empty or nan; raises ValueError for words and infinity."""
    if text.strip().lower() in ("", "nan"):
        return np.nan
    if not np.isfinite(found := float(text)):
        raise ValueError(text)
    return found


def numeric(column: Iterable[str]) -> bool:
    try:
        return not np.isnan([number(each) for each in column]).all()
    except ValueError:
        return False


def numbers(path: Path, table: dict[str, list[str]], name: str) -> np.ndarray:
    """A column's numbers [n]. Raises InputError for an unknown one, and for words in a cell."""
    if name not in table:
        raise unknown("column", name, table)
    for i, text in enumerate(table[name]):
        try:
            number(text)
        except ValueError:
            raise InputError(
                f"{path}, row {i + 1}: {name} is {text!r}, which is no number"
            ) from None
    return np.array([*map(number, table[name])])


def parsed(smiles: Sequence[str]) -> tuple[list[Any], list[int]]:
    """RDKit's molecules, and the rows that are none, or have no atoms."""
    from rdkit import rdBase

    chem = rdkit()
    with rdBase.BlockLogs():  # it would write to the screen for each
        mols = [chem.MolFromSmiles(each) for each in smiles]
    return mols, [i for i, mol in enumerate(mols) if mol is None or not mol.GetNumAtoms()]


def one_of(value: Any, known: Sequence[Any]) -> list[bool]:
    """One-hot, all false for what is not known."""
    return [value == each for each in known]


def graph(mol: Any) -> Graph:
    """RDKit's atoms of a molecule, x uint8 [a, 36], and each bond as two edges, uint8 [2 b, 7].

    Hydrogens are counted at their atoms, but for those that a SMILES spells as atoms.
    Atoms: element, number of neighbours, of hydrogens, charge, hybridisation, in an aromatic ring,
    in rings of 3 to 7. Bonds: single, double, triple, aromatic; conjugated, in a ring, with a side.
    """
    atoms = [
        [
            *one_of(atom.GetSymbol(), ELEMENTS),
            *one_of(atom.GetDegree(), range(1, 5)),
            *one_of(atom.GetTotalNumHs(), range(5)),
            *one_of(atom.GetFormalCharge(), (-1, 1)),
            *one_of(str(atom.GetHybridization()), ("SP", "SP2", "SP3")),
            *one_of(str(atom.GetChiralTag()), ("CHI_TETRAHEDRAL_CW", "CHI_TETRAHEDRAL_CCW")),
            atom.GetIsAromatic(),
            *(atom.IsInRingSize(size) for size in range(3, 8)),
            atom.IsInRing(),
            atom.GetAtomicNum() > 0,  # all, so that none is without a feature
        ]
        for atom in mol.GetAtoms()
    ]
    kinds = ("SINGLE", "DOUBLE", "TRIPLE", "AROMATIC")
    bonds = [
        (
            bond.GetBeginAtomIdx(),
            bond.GetEndAtomIdx(),
            *one_of(str(bond.GetBondType()), kinds),
            bond.GetIsConjugated(),
            bond.IsInRing(),
            str(bond.GetStereo()) in ("STEREOE", "STEREOZ"),
        )
        for bond in mol.GetBonds()
    ]
    table = np.array(bonds, np.int32).reshape(-1, 2 + len(kinds) + 3)
    ends = np.concatenate([table[:, :2], table[:, 1::-1]])
    edges = np.concatenate([table[:, 2:]] * 2).astype(np.uint8)
    return Graph(np.array(atoms, np.uint8), ends[:, 0], ends[:, 1], edges)


def descriptors(molecules: Molecules) -> tuple[np.ndarray, list[str]]:
    """RDKit's descriptors float32 [n, d], and their names; without those that leak the target.

    One that RDKit cannot tell of a molecule, such as partial charges of metals, is nan.
    """
    from rdkit import rdBase
    from rdkit.Chem import Descriptors

    known = [(name, f) for name, f in Descriptors.descList if name not in molecules.leaks]
    with rdBase.BlockLogs(), np.errstate(all="ignore"):
        rows = [[f(mol) for _, f in known] for mol in molecules.mols]
    table = np.array(rows, np.float64)
    most = np.finfo(np.float32).max
    table = np.where(np.abs(table) < most, table, np.nan)
    return table.astype(np.float32), [name for name, _ in known]


def fingerprints(molecules: Molecules, bits: int = 2048, radius: int = 2) -> np.ndarray:
    """How often each environment of an atom is there, hashed, uint8 [n, bits] (ECFP4).

    Rogers and Hahn 2010.
    """
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    counter: Any = GetMorganGenerator(radius=radius, fpSize=bits)
    found = np.stack([counter.GetCountFingerprintAsNumPy(mol) for mol in molecules.mols])
    return np.minimum(found, 255).astype(np.uint8)


def scaffold(mol: Any) -> str:
    """The rings of a molecule and what joins them, as SMILES. Bemis and Murcko 1996."""
    from rdkit.Chem.Scaffolds import MurckoScaffold

    return MurckoScaffold.MurckoScaffoldSmiles(mol=mol, includeChirality=False)


Split = tuple[np.ndarray, np.ndarray, np.ndarray]
Shares = tuple[float, float]


def scaffold_split(molecules: Molecules, shares: Shares = (0.8, 0.9)) -> Split:
    """Rows to learn from, to choose by and to test on: molecules of one scaffold in one part.

    The largest scaffolds are learnt from, up to the first share of all; those that no longer fit go
    on to the second part, and then to the test, so that it asks for what is rare. Wu et al. 2018
    (MoleculeNet), whose order this is. Raises InputError where a part is left empty.
    """
    groups = defaultdict(list)
    for i, mol in enumerate(molecules.mols):
        groups[scaffold(mol)].append(i)
    order = sorted(groups.values(), key=lambda rows: (len(rows), rows[0]), reverse=True)
    count, parts = len(molecules), ([], [], [])
    limits = [share * count for share in shares]
    for rows in order:
        known = len(parts[0]) + len(rows)
        if known <= limits[0]:
            parts[0].extend(rows)
        elif known + len(parts[1]) <= limits[1]:
            parts[1].extend(rows)
        else:
            parts[2].extend(rows)
    return checked(molecules, tuple(np.array(part, int) for part in parts))


def random_split(molecules: Molecules, seed: int, shares: Shares = (0.8, 0.9)) -> Split:
    """Rows as of `scaffold_split`, drawn by a seed. Raises InputError as it does.

    A molecule that a file lists twice (ESOL has 11 such) may be in two parts.
    """
    # the legacy generator: NumPy promises that its numbers never change
    order = np.random.RandomState(seed).permutation(len(molecules))
    cuts = [round(share * len(order)) for share in shares]
    return checked(molecules, tuple(np.split(order, cuts)))


def checked(molecules: Molecules, parts: Any) -> Split:
    for part, said in zip(parts, ("learn from", "choose by", "test on"), strict=True):
        if not len(part):
            raise InputError(f"{molecules.name}: the split leaves no molecule to {said}")
    return parts


SPLITS: dict[str, Callable[[Molecules, int], Split]] = {
    "scaffold": lambda molecules, seed: scaffold_split(molecules),
    "random": random_split,
}
"""By name, of a seed; the scaffold split is the same at every seed."""
