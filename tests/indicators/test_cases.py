"""Every indicator against rows counted by hand: given staging rows, these totals and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from opensrp_dhis2.project import Project
from opensrp_dhis2.views.build import build_all
from opensrp_dhis2.views.catalog import load_catalog
from opensrp_dhis2.views.totals import inputs_digest, refresh
from opensrp_dhis2.warehouse.database import Warehouse

CASES = sorted(Path(__file__).parent.glob("*.yaml"))
SURROUNDINGS = """
insert into lookup.place (location_id, org_unit_id, rule, reason) values
  ('village-1', 'OuDistFaci1', 'ancestor', null), ('village-2', 'OuDistFaci2', 'ancestor', null),
  ('landing-site', null, 'none', 'not mapped');
insert into lookup.period values
  ('Monthly', '202401', '2024-01-01', '2024-01-31'), ('Monthly', '202402', '2024-02-01', '2024-02-29'),
  ('Weekly', '2024W5', '2024-01-29', '2024-02-04'), ('Weekly', '2024W6', '2024-02-05', '2024-02-11'),
  ('Quarterly', '2024Q1', '2024-01-01', '2024-03-31'),
  ('Quarterly', 'the running one', fhir.today() - 30, fhir.today());
"""


def test_every_indicator_has_a_case() -> None:
    assert {path.stem for path in CASES} == {view.path_stem for view in load_catalog(Project()).indicators}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_totals_are_those_counted_by_hand(path: Path, warehouse: Warehouse) -> None:
    case = yaml.safe_load(path.read_text())
    catalog = load_catalog(Project())
    build_all(warehouse, catalog)
    view = catalog.by_name[f"indicator.{path.stem}"]
    with warehouse.connect() as connection:
        connection.execute(SURROUNDINGS)
        for table, rows in case["given"].items():
            for row in rows:
                connection.execute(
                    f"insert into staging.{table} select * from jsonb_populate_record(null::staging.{table}, %s)",
                    (json.dumps(row, default=str),),
                )
        refresh(connection, catalog, view, inputs_digest(connection, catalog, view))
        columns = ["period", "org_unit_id", *view.front_matter.disaggregation, *view.front_matter.measures]
        listed = ", ".join(columns)
        found = connection.execute(f"select {listed} from {view.name}").fetchall()
        left_out = connection.execute(
            "select reason, member_count from indicator.left_out where indicator = %s", (path.stem,)
        ).fetchall()
    assert sorted(map(list, found)) == sorted(_rows(case, columns))
    assert dict(left_out) == case.get("left_out", {})


def _rows(case: dict[str, Any], columns: list[str]) -> list[list[Any]]:
    return [[row[column] for column in columns] for row in case["expect"]]
