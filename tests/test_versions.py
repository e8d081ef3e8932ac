"""constraints.txt and uv.lock agree, and the files for clusters are what clusters take."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def plain(name: str) -> str:
    """A package's name as indices compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_constraints_and_lock_name_the_same_versions():
    locked: dict[str, set[str]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]:
        if "registry" in package["source"]:
            locked.setdefault(plain(package["name"]), set()).add(package["version"])
    pinned: dict[str, set[str]] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        name, _, version = line.partition(";")[0].strip().partition("==")
        pinned.setdefault(plain(name), set()).add(version)
    assert len(pinned) > 100
    assert {name: locked.get(name) for name in pinned} == pinned


def test_versions_of_jax_that_break_a_promise_are_left_out():
    """Long scans of scalars are quadratic in 0.11.1; in 0.12.0 a loop of one step is unrolled."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (jax,) = (each for each in map(Requirement, wanted) if each.name == "jax")
    found = [v for v in ("0.10.2", "0.11.0", "0.11.1", "0.11.2", "0.12.0") if v in jax.specifier]
    assert found == ["0.10.2", "0.11.0", "0.11.2"]


def test_the_lock_knows_the_public_index_alone():
    hosts = set(re.findall(r"\w+://[^/\"\s]*", (ROOT / "uv.lock").read_text()))
    assert hosts == {"https://pypi.org", "https://files.pythonhosted.org"}


def test_the_kubernetes_job_has_what_an_indexed_job_needs():
    """`kubernetes-validate --strict`, of 108 MB, passed it when it was written."""
    text = (ROOT / "docs/cluster/kubernetes.yaml").read_text()
    service, job = yaml.safe_load_all(text)
    assert (service["apiVersion"], service["kind"]) == ("v1", "Service")
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec, name = job["spec"], job["metadata"]["name"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"]
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # as backoffLimitPerIndex asks
    # the name by which the others find the first
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"job-name": name}
    (container,) = pod["containers"]
    (command,) = container["args"]
    assert f"--coordinator {name}-0.{pod['subdomain']}:" in command
    assert f"--num-processes {spec['completions']} " in command
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in pod["volumes"]}


@pytest.mark.parametrize("file", ["docs/cluster/slurm.sh", "docs/cluster/kubernetes.yaml"])
def test_the_flags_of_a_cluster_file_are_those_of_the_experiment(file):
    from dljax.host.config import parse
    from experiments.vision import classify

    text = (ROOT / file).read_text().replace("\\\n", " ")
    (words,) = re.findall(r"python -m experiments.vision.classify (.*)", text)
    for shell, value in {
        "$resume": "--resume",
        '"$out"': "out",
        '"$JOB_COMPLETION_INDEX"': "1",
    }.items():
        words = words.replace(shell, value)
    config = parse(classify.PRESETS, words.split(), "x", "")
    assert config.resume and (config.distributed or config.process_id == 1)
