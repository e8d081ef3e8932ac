"""Molecules: what RDKit says of them, splits that do not meet, and bad files (S57)."""

import sys

import numpy as np
import pytest

from dljax.data import molecules
from dljax.errors import InputError

chem = pytest.importorskip("rdkit.Chem")

PUBLISHED = {"esol": (1128, 1), "freesolv": (642, 1), "tox21": (7831, 12)}  # MoleculeNet's


@pytest.fixture(scope="module")
def spelled():
    return molecules.load("spelled")


def written(tmp_path, text):
    path = tmp_path / "own.csv"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", PUBLISHED)
def test_known_files_have_their_published_sizes(name):
    try:
        found = molecules.load(name)
    except InputError as error:
        pytest.skip(str(error))
    rows, targets = PUBLISHED[name]
    assert len(found) + len(found.unread) == rows and found.y.shape == (len(found), targets)
    assert len(found.unread) == (8 if name == "tox21" else 0)
    known = np.isfinite(found.y)
    assert known.any(0).all() and (known.all() or name == "tox21")


def test_esol_is_split_and_its_formula_errs_as_was_measured():
    try:
        esol = molecules.load("esol")
    except InputError as error:
        pytest.skip(str(error))
    parts = molecules.scaffold_split(esol)
    assert [len(part) for part in parts] == [902, 113, 113]
    wrong = esol.formula[parts[2]] - esol.y[parts[2], 0]
    assert np.sqrt(np.square(wrong).mean()) == pytest.approx(1.0135, abs=1e-4)
    assert "ESOL predicted" not in " ".join(esol.targets)


def test_what_is_spelled_differs_and_its_target_is_no_descriptor(spelled):
    from rdkit.Chem import Crippen, Descriptors

    assert len(spelled) > 300
    assert len({chem.MolToSmiles(mol) for mol in spelled.mols}) == len(spelled)
    few = molecules.Molecules(
        "few", spelled.smiles[:3], spelled.mols[:3], spelled.targets, spelled.y, leaks=spelled.leaks
    )
    table, names = molecules.descriptors(few)
    assert not [name for name in names if "logp" in name.lower() or name == "qed"]
    assert table.shape == (3, len(Descriptors.descList) - len(spelled.leaks))
    weights = [Descriptors.MolWt(mol) for mol in few.mols]
    np.testing.assert_allclose(table[:, names.index("MolWt")], weights, rtol=1e-6)
    logs = [Crippen.MolLogP(mol) for mol in few.mols]
    np.testing.assert_allclose(few.y[:3, 0], logs, rtol=1e-6)


def test_a_graph_is_its_molecule():
    mol = chem.MolFromSmiles("C/C=C/c1ccc(C#N)nc1.[Na+]")
    graph = molecules.graph(mol)
    assert graph.x.shape == (12, 36) and graph.edges.shape == (22, 7)
    near = np.zeros((12, 12), int)
    near[graph.receivers, graph.senders] = 1
    np.testing.assert_array_equal(near, chem.GetAdjacencyMatrix(mol))
    assert not near[11].any()  # the ion has no neighbour
    half = len(graph.edges) // 2
    np.testing.assert_array_equal(graph.senders[:half], graph.receivers[half:])
    np.testing.assert_array_equal(graph.edges[:half], graph.edges[half:])
    kinds = graph.edges[:half, :4].sum(0)
    assert kinds.tolist() == [3, 1, 1, 6]
    assert graph.edges[:half, 6].sum() == 1  # C/C=C/C has a side
    symbols = [atom.GetSymbol() for atom in mol.GetAtoms()]
    elements = [molecules.ELEMENTS[row.argmax()] for row in graph.x[:, : len(molecules.ELEMENTS)]]
    assert elements == symbols
    alone = molecules.graph(chem.MolFromSmiles("O"))
    assert alone.x.shape == (1, 36) and alone.senders.shape == (0,) and alone.edges.shape == (0, 7)


def test_fingerprints_are_rdkits(spelled):
    from rdkit.Chem import rdFingerprintGenerator as fingerprint

    counts = molecules.fingerprints(spelled, bits=512)
    assert counts.shape == (len(spelled), 512)
    bits = fingerprint.GetMorganGenerator(radius=2, fpSize=512)
    for mol, row in zip(spelled.mols[::60], counts[::60], strict=True):
        assert np.flatnonzero(row).tolist() == list(bits.GetFingerprint(mol).GetOnBits())


def test_no_scaffold_is_in_two_parts_and_the_largest_are_learnt_from(spelled):
    from rdkit.Chem.Scaffolds import MurckoScaffold

    parts = molecules.scaffold_split(spelled)
    assert sorted(np.concatenate(parts)) == [*range(len(spelled))]
    kind_of = MurckoScaffold.MurckoScaffoldSmiles
    kinds = [{kind_of(spelled.smiles[i]) for i in part} for part in parts]
    assert not (kinds[0] & kinds[1] or kinds[0] & kinds[2] or kinds[1] & kinds[2])
    sizes = [len(part) / len(spelled) for part in parts]
    assert sizes[0] <= 0.8 and sizes[0] + sizes[1] <= 0.9
    most = max(kinds[0] | kinds[1] | kinds[2], key=[*map(kind_of, spelled.smiles)].count)
    assert most in kinds[0]
    assert molecules.scaffold(chem.MolFromSmiles("CCc1ccccc1")) == "c1ccccc1"


def test_random_splits_are_of_their_seed(spelled):
    first, again, other = (molecules.random_split(spelled, seed) for seed in (3, 3, 4))
    assert sorted(np.concatenate(first)) == [*range(len(spelled))]
    assert [len(part) for part in first] == [len(part) for part in other]
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert set(first[2]) != set(other[2])


def test_ones_own_file_is_read(tmp_path):
    path = written(tmp_path, "name,SMILES,melts,boils\nwater, O ,0,100\nethanol,CCO,,78.4\n")
    found = molecules.load(path)
    assert found.smiles == ("O", "CCO") and found.targets == ("melts", "boils")
    np.testing.assert_array_equal(found.y, np.float32([[0, 100], [np.nan, 78.4]]))
    assert found.name == "own" and found.formula is None
    with pytest.raises(InputError, match="own: the split leaves no molecule to choose by"):
        molecules.random_split(found, 0)


def test_a_column_that_counts_the_rows_is_no_target(tmp_path, capsys):
    rows = "".join(f"{i},{'C' * i},{i * i}\n" for i in range(1, 12))
    assert molecules.load(written(tmp_path, "number,smiles,y\n" + rows)).targets == ("y",)
    assert "left out, since it only counts the rows: column number" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("smiles,y\nCCO,1\nC1CC,2\n", "row 2: 'C1CC' is no SMILES that RDKit reads"),
        ("smiles,y\n,1\nCC,2\n", "row 1: '' is no SMILES"),
        ("smiles,y\nCCO,1\nCC,2,3\n", "row 2: 3 fields, not 2"),
        ("molecule,y\nCCO,1\n", "has no column smiles; it has molecule, y"),
        ("smiles,y\nCCO,wet\n", "has no column of numbers beside smiles"),
        ("smiles,y\nCCO,nan\n", "has no column of numbers beside smiles"),
        ("smiles,y\n\nCCO,1\n", "row 1: 0 fields, not 2"),
        ("smiles,y,y\nCCO,1,2\n", "has two columns called y"),
        ("smiles,y\n\n", "holds no molecules"),
        ("smiles,y\n" + "C" * 200_000 + ",1\n", "is not a CSV table"),
    ],
)
def test_a_file_that_is_not_right_is_one_line(tmp_path, text, says):
    with pytest.raises(InputError) as caught:
        molecules.load(written(tmp_path, text))
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_cells_that_are_no_numbers_and_names_that_are_none(tmp_path):
    found = molecules.load(written(tmp_path, "smiles,y,z\nCCO,1,2\nC,NaN,inf\n"))
    assert found.targets == ("y",) and np.isnan(found.y).tolist() == [[False], [True]]
    table = {"z": ["2", "inf"]}
    with pytest.raises(InputError, match="row 2: z is 'inf', which is no number"):
        molecules.numbers(tmp_path, table, "z")
    with pytest.raises(InputError, match="unknown column 'x'"):
        molecules.numbers(tmp_path, table, "x")
    with pytest.raises(InputError, match="unknown list of molecules 'esl'; did you mean esol"):
        molecules.load("esl")


def test_without_rdkit_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(InputError, match=r"pip install 'dljax\[molecules\]'"):
        molecules.load("spelled")
