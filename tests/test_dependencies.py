"""pyproject.toml, constraints.txt and environment.yml agree with each other and with what runs."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from edge_course.service import footprint

ROOT = Path(__file__).resolve().parent.parent
README_COMMANDS = (
    "python -m pip install -c constraints.txt -e . && python -m edge_course",
    'python -m pip install -c constraints.txt -e ".[test]" && python -m pytest',
)


def constraints() -> dict[str, str]:
    pins = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins[canonicalize_name(name)] = version
    return pins


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def direct() -> list[Requirement]:
    parts = (project()["dependencies"], project()["optional-dependencies"]["test"])
    return [Requirement(text) for part in parts for text in part]


def environment_problems(text: str) -> list[str]:
    """Return what in an environment.yml disagrees with the other two files."""
    problems = []
    content = yaml.safe_load(text)["dependencies"]
    conda = [d for d in content if isinstance(d, str)]
    pip = next((d["pip"] for d in content if isinstance(d, dict)), [])
    for line in ("--constraint constraints.txt", "--editable ."):
        if line not in pip:
            problems.append(f"environment.yml: the pip section lacks {line!r}")
    pins = [d for d in [*conda, *pip] if not d.startswith("-")]
    versions = {
        canonicalize_name(m[1]): m[2] for d in pins if (m := re.match(r"([\w.-]+)==?([\w.]+)$", d))
    }
    python = versions.pop("python", None)
    if python is None or python not in SpecifierSet(project()["requires-python"]):
        problems.append(f"environment.yml: python is {python}, pyproject.toml wants another")
    for name, version in versions.items():
        if constraints().get(name) != version:
            expected = constraints().get(name, "nothing")
            problems.append(f"{name}: environment.yml has {version}, constraints.txt {expected}")
    return problems


def test_environment_agrees() -> None:
    assert not environment_problems((ROOT / "environment.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("python=3.11", "python=3.9", "python is 3.9"),
        ("- python=3.11", "", "python is None"),
        ("--constraint constraints.txt", "numpy==1.26.4", "lacks '--constraint constraints.txt'"),
        ("--editable .", "numpy==1.26.4", "numpy: environment.yml has 1.26.4, constraints.txt 2."),
        (
            "- pip\n",
            "- pip\n  - leftpad=1.0\n",
            "leftpad: environment.yml has 1.0, constraints.txt",
        ),
    ],
)
def test_disagreement_is_named(old: str, new: str, problem: str) -> None:
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert old in text
    assert problem in "\n".join(environment_problems(text.replace(old, new)))


def test_every_direct_dependency_is_pinned() -> None:
    assert not [r.name for r in direct() if canonicalize_name(r.name) not in constraints()]


def test_every_direct_dependency_says_what_needs_it() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for requirement in direct():
        line = re.search(rf'^ +"{requirement.name}[";].*$', text, re.M)
        before = text[: line.start()].splitlines()[-1]
        assert "#" in line[0] or before.lstrip().startswith(("#", '"tensorflow-cpu')), line[0]


def test_installed_versions_are_the_constraints() -> None:
    pins = constraints()
    needed = footprint.packages(map(str, direct()))
    wrong = {p.name: (p.version, pins.get(p.name)) for p in needed if pins.get(p.name) != p.version}
    assert not wrong, f"installed and constrained versions differ: {wrong}"


def test_readme_has_the_commands_and_ci_runs_the_second() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in README_COMMANDS:
        assert command in readme
    for runner in (".ci/run", ".github/workflows/tests.yml"):
        assert README_COMMANDS[1] in (ROOT / runner).read_text(encoding="utf-8")
