"""docs/public-surface.md and the generated reference, held to the code, the command line and the warehouse's grants."""

import importlib.util
import re
from collections.abc import Iterator
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

import opensrp_dhis2
from opensrp_dhis2.cli import main
from opensrp_dhis2.definitions import defs
from opensrp_dhis2.project import Project
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.views.build import build_all
from opensrp_dhis2.views.catalog import load_catalog
from opensrp_dhis2.views.contract import MEMBER_COLUMNS
from opensrp_dhis2.views.data_sets import DataSet, DataSets
from opensrp_dhis2.views.front_matter import FrontMatter, read_front_matter
from opensrp_dhis2.views.yaml_document import read_yaml
from opensrp_dhis2.warehouse.database import Warehouse
from tests.conftest import ROOT
from tests.support.golden_part import part
from tests.support.sql import rows

PAGE = ROOT / "docs" / "public-surface.md"
OPEN = {"indicator", "lookup", "outbox"}


def named(heading: str) -> list[str]:
    """Return the names in the first column below a heading."""
    text = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [name for row in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE) for name in re.findall(r"`(.+?)`", row)]


def verbs(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, with all of its name."""
    if command.hidden:  # an old name
        return
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from verbs(command.commands[name], f"{path} {name}")
    else:
        yield path, command


def commands() -> str:
    found = ["| command | options |", "|---|---|"]
    for path, verb in verbs(main, "opensrp-dhis2"):
        options = ["/".join((*one.opts, *one.secondary_opts)) for one in verb.params if isinstance(one, click.Option)]
        found.append(f"| `{path}` | {' '.join(f'`{option}`' for option in options)} |")
    return "\n".join(found) + "\n"


def settings() -> str:
    return "\n".join(["| setting |", "|---|", *(f"| `{name.upper()}` |" for name in Settings.model_fields)]) + "\n"


def test_the_golden_list_of_commands_is_the_command_line() -> None:
    assert part(PAGE, "commands", commands()) == commands()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("extract", "resweep"), "extract reread"), (("views", "touched"), "views changed-periods"),
        (("scan",), "privacy-scan"), (("dhis2", "replay"), "recordings score"),
    ],
)  # fmt: skip
def test_an_old_name_of_a_command_is_accepted_and_names_the_new_one(old: tuple[str, ...], new: str) -> None:
    shown = CliRunner().invoke(main, [*old, "--help"])
    assert shown.exit_code == 0
    assert f"use `{new}`" in shown.output
    assert new in {path.removeprefix("opensrp-dhis2 ") for path, _ in verbs(main, "opensrp-dhis2")}


def test_the_golden_list_of_settings_is_the_settings() -> None:
    assert part(PAGE, "settings", settings()) == settings()


def test_the_names_to_import_are_those_of_the_package() -> None:
    ours = {name for name in vars(opensrp_dhis2) if name in opensrp_dhis2.__all__}
    assert set(named("Python")) == {f"opensrp_dhis2.{name}" for name in ours} | {"opensrp_dhis2.definitions.defs"}
    assert set(opensrp_dhis2.__all__) == ours


def test_the_jobs_and_the_sensor_are_those_that_dagster_loads() -> None:
    loaded = defs()
    found = {re.sub(r"^(report|reconcile)_.+", r"\1_<data set>", job.name) for job in loaded.jobs or []}
    assert set(named("Dagster")) == found | {sensor.name for sensor in loaded.sensors or []}


def test_the_reporting_role_reads_the_relations_that_stay_and_only_these_schemas(warehouse: Warehouse) -> None:
    build_all(warehouse, load_catalog(Project()))
    found = rows(
        warehouse,
        "select n.nspname || '.' || c.relname, n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'v', 'm', 'p') and n.nspname !~ '^(pg_|information_schema)'"
        " and has_schema_privilege('opensrp_reporting', n.oid, 'usage')"
        " and has_table_privilege('opensrp_reporting', c.oid, 'select')",
    )
    readable = {name for name, _ in found}
    assert {schema for _, schema in found} == OPEN
    assert len(named("Relations")) > 10
    assert set(named("Relations")) - readable == set()
    assert {f"indicator.{path.stem}" for path in (ROOT / "dbt_like_views" / "indicator").glob("*.sql")} <= readable


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The hook of mkdocs, which needs no mkdocs to make its parts."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("model", [FrontMatter, DataSet])
def test_every_key_of_a_file_is_in_the_reference_with_a_sentence(reference: ModuleType, model: type) -> None:
    schema = model.model_json_schema()  # type: ignore[attr-defined]
    models = [schema, *(one for one in schema.get("$defs", {}).values() if "properties" in one)]
    text = reference.model_tables(model)
    for name, key in ((name, key) for one in models for name, key in one["properties"].items()):
        assert key.get("description"), name
        assert re.search(rf"^\| `{name}` \|.*\| {re.escape(key['description'])} \|$", text, re.MULTILINE), name


def test_every_setting_is_in_the_reference_with_a_sentence(reference: ModuleType) -> None:
    found = re.findall(r"^\| `([A-Z0-9_]+)` \| .+ \| .+ \| (.*) \|$", reference.settings_tables(), re.MULTILINE)
    assert sorted(name for name, text in found if text) == sorted(name.upper() for name in Settings.model_fields)


def test_every_command_is_in_the_reference(reference: ModuleType) -> None:
    text = reference.commands()
    assert [path for path, _ in verbs(main, "opensrp-dhis2") if f"# {path}\n" not in text] == []


def test_every_mark_of_a_page_has_a_part(reference: ModuleType) -> None:
    pages = "".join(page.read_text() for page in (ROOT / "docs" / "reference").glob("*.md"))
    assert set(re.findall(r"<!-- generated: (\w+) -->", pages)) == set(reference.PARTS)


def example(page: str, language: str) -> str:
    """Return the first example of a page."""
    return (ROOT / "docs" / "reference" / page).read_text().partition(f"```{language}\n")[2].partition("```")[0]


def test_the_examples_of_the_reference_are_read_without_an_error() -> None:
    front = read_front_matter(example("indicator-file.md", "sql"), path="indicator-file.md")
    assert {"screened", "severe"} == set(front.measures)
    data_sets = read_yaml(DataSets, example("data-sets.md", "yaml"), path="data-sets.md")
    assert data_sets.codes == front.data_set_codes


def test_the_reference_names_every_column_that_an_indicator_owes() -> None:
    page = (ROOT / "docs" / "reference" / "indicator-file.md").read_text()
    assert [name for name in MEMBER_COLUMNS if not re.search(rf"^\| indicator \|.*`{name}`", page, re.MULTILINE)] == []
