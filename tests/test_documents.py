"""What the pages about the project say, held to the code, the SQL and the files that they name."""

import re
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from opensrp_dhis2.warehouse.database import Warehouse
from tests.conftest import ROOT
from tests.support.sql import rows

DOCS = ROOT / "docs"
ARCHITECTURE = (DOCS / "architecture.md").read_text()


def table(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its head."""
    lines = text.partition(f"\n## {heading}")[2].partition("\n## ")[0].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|---"))
    found = takewhile(lambda line: line.startswith("|"), lines[first + 1 :])
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found]


def test_each_question_is_answered_by_a_file_that_has_the_word() -> None:
    questions = table(ARCHITECTURE, "Where is ...?")
    assert len(questions) == 10
    for question, file, word in questions:
        assert word.strip("`") in (ROOT / file.strip("`")).read_text(), question


def test_the_states_of_a_value_are_those_of_the_ledger(warehouse: Warehouse) -> None:
    checks = rows(
        warehouse, "select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'outbox.value'::regclass"
    )
    [of_state] = [text for (text,) in checks if "pending" in text]
    assert {state.strip("`") for state, _ in table(ARCHITECTURE, "The life of one value")} == set(
        re.findall(r"'(\w+)'", of_state)
    )


def test_what_the_pictures_name_in_the_warehouse_is_there(warehouse: Warehouse) -> None:
    """`indicator` and `staging` are made by the build of the views, and looked for where that is tested."""
    named = set(re.findall(r"`((?:raw|lookup|outbox|warehouse)\.[a-z_]+)`", ARCHITECTURE))
    assert len(named) > 20
    found = rows(
        warehouse,
        "select n.nspname || '.' || p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace"
        " union select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace",
    )
    assert named - {name for (name,) in found} == set()


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_every_page_and_file_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(
        r"`((?:docs|opensrp_dhis2|sql|tests|deploy)/[\w/.-]+\.(?:md|py|sql|yaml|toml))`", page.read_text()
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_glossary_is_in_the_order_of_the_alphabet_without_doubles() -> None:
    found = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", (DOCS / "glossary.md").read_text(), re.MULTILINE)[1:]
    words = [word.lower() for word, _, _ in found]
    assert len(words) > 50
    assert words == sorted(set(words))
    assert {source for _, _, source in found} == {"DHIS2", "Dagster", "FHIR", "OpenSRP", "Postgres", "ours"}


def test_decisions_are_numbered_without_gaps_and_each_has_its_status() -> None:
    records = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    form = re.compile(
        r"# (\d+)\. .+\n\nStatus: (?:proposed|accepted|rejected|superseded by \d+), \d{1,2} [A-Z][a-z]+ \d{4}(?:; .+)?\n\n"
    )
    for record in records:
        head = form.match(record.read_text())
        assert head, record.name
        assert int(head[1]) == int(record.name[:4])


def test_continuous_integration_runs_the_two_commands_on_each_python() -> None:
    [job] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make run", "make test"]
    pythons = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    assert job["strategy"]["matrix"]["python"] == pythons


def test_the_hooks_before_a_commit_are_the_tools_of_make_check() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\ncheck: install\n")[2].partition("\n\n")[0]
    tools = re.findall(r"\$\(PY\) -m ([^\n&]+)", recipe)
    [hooks] = [repo["hooks"] for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]]
    assert [hook["entry"] for hook in hooks] == [f".venv/bin/python -m {tool.strip()}" for tool in tools]
