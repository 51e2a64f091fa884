"""The locks: every file that is installed is named by its hash, and whoever serves it by nothing."""

import re
import tomllib
from itertools import chain

import pytest

from tests.conftest import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
DOCS_LOCK = (ROOT / "requirements-docs.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SANDBOX = tomllib.loads((ROOT / "sandbox" / "pyproject.toml").read_text())


def pins(lock: str) -> list[tuple[str, str]]:
    return re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==((?:[^\n]*\\\n)*[^\n]*)", lock, re.MULTILINE)


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {plain(re.split(r"[<>=\[; ]", requirement)[0]) for requirement in requirements}


@pytest.mark.parametrize("lock", [LOCK, DOCS_LOCK], ids=["requirements.lock", "requirements-docs.lock"])
def test_every_pin_has_a_hash(lock: str) -> None:
    assert len(pins(lock)) > 20
    assert [name for name, rest in pins(lock) if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", rest)] == []
    assert len(pins(lock)) == len(re.findall("==", re.sub("(?m);.*", "", lock)))


def test_every_dependency_of_the_project_is_pinned() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    others = chain(*(extra for name, extra in extras.items() if name != "docs"))
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"], *others]
    wanted += SANDBOX["project"]["dependencies"]
    ours = {plain(project["project"]["name"]) for project in (PROJECT, SANDBOX)}
    assert names(wanted) - {plain(name) for name, _ in pins(LOCK)} == ours  # built from the checkout
    assert names(extras["docs"]) - {plain(name) for name, _ in pins(DOCS_LOCK)} == set()


def test_the_documentation_site_changes_no_version_of_what_runs() -> None:
    """Both locks are installed into one .venv."""
    versions = [dict(re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;]+)", lock, re.M)) for lock in (LOCK, DOCS_LOCK)]
    both = versions[0].keys() & versions[1].keys()
    assert "click" in both
    assert {name: versions[1][name] for name in both} == {name: versions[0][name] for name in both}


@pytest.mark.parametrize("lock", [LOCK, DOCS_LOCK], ids=["requirements.lock", "requirements-docs.lock"])
def test_the_lock_names_no_host_and_no_file(lock: str) -> None:
    assert not re.search(r"//|@ |--index|--find|file:", lock)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-docs.lock"])
def test_what_is_installed_is_held_to_the_hashes(lock: str) -> None:
    assert f"--require-hashes -r {lock}" in (ROOT / "Makefile").read_text()
