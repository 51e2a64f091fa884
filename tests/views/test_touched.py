"""The periods that a run touched: by the rows of staging before and after, and by the totals."""

from typing import Any

import pytest
from click.testing import CliRunner

from opensrp_dhis2.cli import main
from opensrp_dhis2.views.build import BuildResult, build_all, build_staging
from opensrp_dhis2.views.catalog import Catalog, load_catalog
from opensrp_dhis2.views.changed_periods import touched_periods
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.sql import execute
from tests.views.conftest import INDICATOR, Write, delete, load

VISITS = "indicator.visits"
MEMBER = """select 'OuFacility1' as org_unit_id, encounter.started_on as event_on, patient.gender as sex,
  'Encounter' as resource_type, encounter.id as resource_id
from staging.encounter left join staging.patient on encounter.patient_id = patient.id"""
FRONT = INDICATOR.replace(
    "measures:", "disaggregation: {sex: {category: SEX, options: {female: F, male: M}}}\nmeasures:"
)
CALENDAR = """
insert into lookup.period
select 'Monthly', to_char(m, 'YYYYMM'), m, m + interval '1 month - 1 day'
from generate_series(date '2024-06-01', date '2024-10-01', interval '1 month') m
union all select 'Monthly', '299901', '2999-01-01', '2999-01-31'"""


def visit(name: str, day: str, version: int = 1, **more: Any) -> dict[str, Any]:
    """A visit of 2024; the server wrote each version another day."""
    meta = {"versionId": str(version), "lastUpdated": f"2024-10-0{version}T00:00:00Z"}
    start = {"start": f"2024-{day}T09:00:00Z"}
    subject = {"reference": "Patient/p1"}
    return {"id": name, "meta": meta, "status": "finished", "period": start, "subject": subject, **more}


@pytest.fixture
def catalog(warehouse: Warehouse, write_project: Write) -> Catalog:
    """Visits of August and September 2024, built."""
    with warehouse.connect() as connection:
        connection.execute(CALENDAR)
        load(connection, "Patient", [{"id": "p1", "gender": "female"}])
        load(connection, "Encounter", [visit(f"e{n}", f"08-1{n}") for n in range(4)] + [visit("s1", "09-10")])
    found = load_catalog(write_project({"indicator/visits.sql": FRONT + MEMBER}))
    build_all(warehouse, found)
    return found


def build(warehouse: Warehouse, catalog: Catalog) -> dict[str, BuildResult]:
    return {result.name: result for result in build_all(warehouse, catalog)}


def touched(warehouse: Warehouse) -> list[tuple[str, int, int, bool]]:
    with warehouse.connect() as connection:
        found = touched_periods(connection, [VISITS])
    return [(each.period, each.old_count, each.new_count, each.is_changed) for each in found]


def loaded(warehouse: Warehouse, catalog: Catalog, *resources: dict[str, Any]) -> dict[str, BuildResult]:
    with warehouse.connect() as connection:
        load(connection, "Encounter", list(resources))
    return build(warehouse, catalog)


def test_an_arrival_touches_its_period(warehouse: Warehouse, catalog: Catalog) -> None:
    results = loaded(warehouse, catalog, visit("late", "07-31"))
    assert touched(warehouse) == [("202407", 0, 1, True)]
    assert (results["staging.encounter"].touched, results[VISITS].touched) == (("202407",), ("202407",))


def test_a_change_of_date_touches_the_old_period_and_the_new(warehouse: Warehouse, catalog: Catalog) -> None:
    loaded(warehouse, catalog, visit("e1", "09-02", 2))
    assert touched(warehouse) == [("202408", 1, 0, True), ("202409", 0, 1, True)]


def test_a_deletion_touches_the_period_that_the_resource_was_in(warehouse: Warehouse, catalog: Catalog) -> None:
    with warehouse.connect() as connection:
        delete(connection, "Encounter", ["e2"])
    results = build(warehouse, catalog)
    assert touched(warehouse) == [("202408", 1, 0, True)]
    assert results["staging.encounter"].touched == ("202408",)


def test_a_new_version_that_says_the_same_touches_nothing(warehouse: Warehouse, catalog: Catalog) -> None:
    results = loaded(warehouse, catalog, visit("e1", "08-11", 2))
    assert results["staging.encounter"].changed == 1
    assert (results["staging.encounter"].touched, results[VISITS].touched) == ((), ())
    assert touched(warehouse) == []


def test_a_change_that_no_total_shows_touches_its_period_without_moving_it(
    warehouse: Warehouse, catalog: Catalog
) -> None:
    loaded(warehouse, catalog, visit("e1", "08-11", 2, status="in-progress"))
    assert touched(warehouse) == [("202408", 1, 1, False)]


def test_only_the_changed_rows_count_when_every_row_is_taken_anew(warehouse: Warehouse, catalog: Catalog) -> None:
    execute(warehouse, "analyze raw.encounter")
    same = [visit(f"e{n}", f"08-1{n}", 2) for n in range(4)]
    loaded(warehouse, catalog, *same, visit("s1", "10-01", 2))
    assert touched(warehouse) == [("202409", 1, 0, True), ("202410", 0, 1, True)]


def test_a_change_elsewhere_that_moves_a_total_touches_its_periods(warehouse: Warehouse, catalog: Catalog) -> None:
    """No staging row with the indicator's date is another: the totals tell."""
    with warehouse.connect() as connection:
        load(connection, "Patient", [{"id": "p1", "meta": {"versionId": "2"}, "gender": "male"}])
    results = build(warehouse, catalog)
    assert results["staging.patient"].touched == ()
    assert touched(warehouse) == [("202408", 0, 0, True), ("202409", 0, 0, True)]


def test_a_period_that_has_no_total_any_more_was_touched(warehouse: Warehouse, catalog: Catalog) -> None:
    with warehouse.connect() as connection:
        delete(connection, "Patient", ["p1"])
    build(warehouse, catalog)
    assert touched(warehouse) == [("202408", 0, 0, True), ("202409", 0, 0, True)]


def test_the_next_run_begins_anew_and_what_no_indicator_has_seen_waits(warehouse: Warehouse, catalog: Catalog) -> None:
    loaded(warehouse, catalog, visit("late", "07-31"))
    for day in ("08-01", "08-02"):  # two extracts that broke off before the totals
        with warehouse.connect() as connection:
            load(connection, "Encounter", [visit(f"late {day}", day)])
        build_staging(warehouse, catalog, "staging.encounter")
    assert touched(warehouse) == [("202407", 0, 1, True)]
    build(warehouse, catalog)
    assert touched(warehouse) == [("202408", 0, 2, True)]
    build(warehouse, catalog)
    assert touched(warehouse) == []


def test_a_period_that_is_not_over_is_no_late_data(warehouse: Warehouse, catalog: Catalog) -> None:
    execute(warehouse, "update lookup.period set end_on = '2999-01-31' where period = '202410'")
    loaded(warehouse, catalog, visit("new", "10-02"))
    assert touched(warehouse) == []


def test_a_definition_made_anew_touches_what_it_moves(
    warehouse: Warehouse, catalog: Catalog, write_project: Write
) -> None:
    fewer = load_catalog(write_project({"indicator/visits.sql": f"{FRONT}{MEMBER} where encounter.id <> 's1'"}))
    build(warehouse, fewer)
    assert touched(warehouse) == [("202409", 0, 0, True)]


def test_a_staging_table_made_anew_says_nothing_and_the_totals_do(
    warehouse: Warehouse, catalog: Catalog, write_project: Write
) -> None:
    staging = catalog.by_name["staging.encounter"].sql
    moved = staging.replace("as started_on", "+ case when encounter.id = 'e0' then 30 else 0 end as started_on")
    results = build(warehouse, load_catalog(write_project({"staging/encounter.sql": moved})))
    assert results["staging.encounter"].touched is None
    assert results[VISITS].touched == ("202408", "202409")


def test_two_indicators_of_a_data_set_count_a_row_once(warehouse: Warehouse, write_project: Write) -> None:
    execute(warehouse, CALENDAR)
    both = load_catalog(write_project({f"indicator/{name}.sql": FRONT + MEMBER for name in ("visits", "contacts")}))
    build(warehouse, both)
    loaded(warehouse, both, visit("e1", "08-11"))
    with warehouse.connect() as connection:
        [period] = touched_periods(connection, [VISITS, "indicator.contacts"])
    assert (period.period, period.old_count, period.new_count) == ("202408", 0, 1)


def test_columns_of_types_that_cannot_be_hashed_do_not_stop_the_upkeep(
    warehouse: Warehouse, write_project: Write
) -> None:
    staging = "/*---\ndescription: d\ngrain: g\n---*/\nselect id, resource::json as body, point(1, 2) as place,"
    dated = f"{staging} fhir.local_date(resource #>> '{{period,start}}') as started_on from raw.encounter"
    member = "select 'Ou1' as org_unit_id, started_on as event_on, 'Encounter' as resource_type, id as resource_id"
    files = {"staging/stay.sql": dated, "indicator/visits.sql": f"{INDICATOR}{member} from staging.stay"}
    catalog = load_catalog(write_project(files))
    execute(warehouse, CALENDAR)
    build(warehouse, catalog)
    assert loaded(warehouse, catalog, visit("e1", "08-11"))["staging.stay"].touched == ("202408",)


def test_the_command_shows_the_last_run(
    warehouse: Warehouse, catalog: Catalog, database_url: str, write_project: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", database_url)
    monkeypatch.setenv("PROJECT_DIR", str(write_project({}).country_dir))
    loaded(warehouse, catalog, visit("e1", "09-02", 2))
    shown = CliRunner().invoke(main, ["views", "changed-periods"])
    assert shown.exit_code == 0, shown.output
    assert "The last run changed rows of 2 past periods." in shown.output
    given = CliRunner().invoke(main, ["views", "changed-periods", "--json"])
    assert '{"data_set": "DS_M", "period": "202408", "old_count": 1, "new_count": 0, "is_changed": true, "diff' in (
        given.output
    )
