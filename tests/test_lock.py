"""requirements.lock: every file that is installed is named by its hash, and whoever serves it by nothing."""

import re
import tomllib

from tests.conftest import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
PINS = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==((?:[^\n]*\\\n)*[^\n]*)", LOCK, re.MULTILINE)


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_pin_has_a_hash() -> None:
    assert len(PINS) > 50
    assert [name for name, rest in PINS if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", rest)] == []
    assert len(PINS) == len(re.findall("==", re.sub("(?m);.*", "", LOCK)))


def test_every_dependency_of_the_project_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    wanted = [
        *project["project"]["dependencies"],
        *project["build-system"]["requires"],
        *(one for e in extras for one in e),
    ]
    names = {plain(re.split(r"[<>=\[; ]", one)[0]) for one in wanted}
    assert names - {plain(name) for name, _ in PINS} == set()


def test_the_lock_names_no_host_and_no_file() -> None:
    assert not re.search(r"//|@ |--index|--find|file:", LOCK)


def test_what_is_installed_is_held_to_the_hashes() -> None:
    assert "--require-hashes -r requirements.lock" in (ROOT / "Makefile").read_text()
