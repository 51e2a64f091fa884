"""Staging rows against an independent FHIRPath engine: the same columns said as SQL on FHIR ViewDefinitions.

`read-as` says what our SQL does after picking an element; it is done here in Python, without our functions.
"""

import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from opensrp_dhis2_sandbox.district.faults import OWN_ADDRESS
from opensrp_dhis2_sandbox.district.write import write_district

from opensrp_dhis2.project import Project
from opensrp_dhis2.views.build import build_staging
from opensrp_dhis2.views.catalog import load_catalog
from opensrp_dhis2.views.query import RAW_TABLES
from opensrp_dhis2.views.relation import relation
from opensrp_dhis2.warehouse import state
from opensrp_dhis2.warehouse.database import Warehouse
from tests.conftest import REPORT_TIMEZONE, ROOT
from tests.views.conftest import load

DEFINITIONS = {
    path.stem: json.loads(path.read_text()) for path in (ROOT / "tests/data/view_definitions").glob("*.json")
}
SNOMED = ("https://www.snomed.org|", "http://www.snomed.org/|")
BEFORE_1970 = re.compile(r'"(onsetDateTime|start|effectiveDateTime|occurrenceDateTime)": ?"19[0-6]')
SAMPLE = 120
Row = dict[str, Any]


def test_every_staging_view_has_a_definition() -> None:
    assert set(DEFINITIONS) == {view.path_stem for view in load_catalog(Project()).staging}


@pytest.mark.filterwarnings("ignore")  # of the engine's parser
@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_rows_of_the_district_equal_those_of_the_engine(name: str, warehouse: Warehouse, tmp_path: Path) -> None:
    write_district(tmp_path, today=date(2026, 1, 15), months=3)
    with warehouse.connect() as connection:
        state.remember_address(connection, OWN_ADDRESS)
    file = tmp_path / f"{DEFINITIONS[name]['resource']}.ndjson"
    ours, engines = rows_of_both(warehouse, name, spread(name, file.read_text().splitlines()))
    assert ours == engines


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(DEFINITIONS.keys() - {"observation_component"}))  # it has none
def test_rows_of_a_real_server_equal_those_of_the_engine(name: str, warehouse: Warehouse, shared: Path) -> None:
    with gzip.open(shared / "data/hapi-export" / f"{DEFINITIONS[name]['resource']}.ndjson.gz", "rt") as lines:
        ours, engines = rows_of_both(warehouse, name, spread(name, lines.readlines()))
    assert ours == engines


def spread(name: str, lines: list[str]) -> list[Row]:
    """Take a sample; what happened before 1970 stays out, where two time zone databases need not agree."""
    part = '"component"' if name == "observation_component" else ""
    kept = [line for line in lines if part in line and not BEFORE_1970.search(line)]
    return [json.loads(line) for line in kept[:: max(len(kept) // SAMPLE, 1)]]


def rows_of_both(warehouse: Warehouse, name: str, resources: list[Row]) -> tuple[Counter[str], Counter[str]]:
    """Give the rows that our SQL makes of some resources, and those that the engine makes."""
    import sqlonfhir

    catalog = load_catalog(Project())
    view = catalog.by_name[f"staging.{name}"]
    with warehouse.connect() as connection:
        load(connection, RAW_TABLES[view.raw_table], resources, table=view.raw_table.removeprefix("raw."))
    build_staging(warehouse, catalog, view.name)
    wanted = [read(row, name) for row in sqlonfhir.evaluate(resources, DEFINITIONS[name])]
    if "ordinal" in (view.columns or ()) and name != "questionnaire_response_answer":
        number(wanted, view.front_matter.key)
    columns = sorted(wanted[0])
    with warehouse.connect() as connection:
        table = relation(view.name).as_string(connection)
        found = connection.execute(f"select {', '.join(columns)} from {table}").fetchall()
    return Counter(map(repr, found)), Counter(repr(tuple(row[column] for column in columns)) for row in wanted)


def number(rows: list[Row], key: str) -> None:
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        row["ordinal"] = counts[row[key]]
        counts[row[key]] += 1


def read(row: Row, name: str) -> Row:
    """Give the engine's row as our SQL types it."""
    kinds = dict(readings(DEFINITIONS[name]))
    arrived = datetime.fromisoformat(row["updated_at"]) if "updated_at" in row else None
    return {column: typed(value, kinds[column], arrived) for column, value in row.items()}


def readings(select: Row) -> Iterator[tuple[str, str]]:
    for column in select.get("column", []):
        yield column["name"], column["tag"][0]["value"] if "tag" in column else "as-is"
    for inner in select.get("select", []):
        yield from readings(inner)


def typed(value: Any, kind: str, arrived: datetime | None) -> Any:
    if kind == "tokens":
        return [canonical(token) for token in value or []]
    if kind == "only":
        return next(iter(value)) if len(set(value)) == 1 else None
    if value is None or kind == "as-is":
        return value
    if kind == "number":
        return Decimal(str(value))
    if kind == "partial-date":
        return date.fromisoformat(value + "-01-01"[len(value) - 4 :][: 10 - len(value)])
    if kind == "instant":
        return datetime.fromisoformat(value).astimezone(UTC) if "T" in value else None
    return local_day(value, arrived if kind == "event-date" else None)


def canonical(token: str) -> str:
    prefix = next((prefix for prefix in SNOMED if token.startswith(prefix)), None)
    return f"http://snomed.info/sct|{token[len(prefix) :]}" if prefix else token


def local_day(value: str, arrived: datetime | None) -> date | None:
    if len(value) < len("2024-01-01"):
        return None
    zone = ZoneInfo(REPORT_TIMEZONE)
    day = datetime.fromisoformat(value).astimezone(zone).date() if "T" in value else date.fromisoformat(value)
    is_impossible = arrived and (day > arrived.astimezone(zone).date() + timedelta(days=1) or day == date(1970, 1, 1))
    return None if is_impossible else day
