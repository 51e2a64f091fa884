"""Building: what stands on what, what is made anew, what is left alone, and what readers see meanwhile."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from opensrp_dhis2.errors import ViewContractError
from opensrp_dhis2.project import Project
from opensrp_dhis2.views.build import build_all, build_indicator, build_staging
from opensrp_dhis2.views.catalog import Catalog, load_catalog
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.sql import execute, rows
from tests.views.conftest import INDICATOR, MEMBER, STAGING, Write, load

PATIENTS = [{"id": f"p{n}", "birthDate": f"2024-01-{n:02}", "gender": "female"} for n in range(1, 6)]
DEPENDENCIES = """
select distinct n.nspname || '.' || c.relname as reader, rn.nspname || '.' || rc.relname as read
from pg_depend d
join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
join pg_class rc on rc.oid = d.refobjid join pg_namespace rn on rn.oid = rc.relnamespace
where n.nspname = 'member' and rc.oid <> c.oid
"""
JANUARY = "insert into lookup.period values ('Monthly', '202401', '2024-01-01', '2024-01-31')"


@pytest.fixture
def births(warehouse: Warehouse, write_project: Write) -> Catalog:
    """One indicator over five patients, built."""
    with warehouse.connect() as connection:
        load(connection, "Patient", PATIENTS)
        connection.execute(JANUARY)
    catalog = load_catalog(write_project({"indicator/births.sql": INDICATOR + MEMBER}))
    build_all(warehouse, catalog)
    return catalog


def total(warehouse: Warehouse, indicator: str = "births") -> int | None:
    with warehouse.connect() as connection:
        row = connection.execute("select sum(value) from indicator.value where indicator = %s", (indicator,)).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def test_what_the_parser_found_is_what_postgres_recorded(warehouse: Warehouse) -> None:
    catalog = load_catalog(Project())
    build_all(warehouse, catalog)
    with warehouse.connect() as connection:
        recorded = set(connection.execute(DEPENDENCIES).fetchall())
    inferred = {(view.provides, name) for view in catalog.indicators for name in view.depends_on}
    assert recorded == inferred


def test_a_second_build_changes_nothing(warehouse: Warehouse, births: Catalog) -> None:
    assert [result.changed for result in build_all(warehouse, births)] == [0] * len(births.views)
    assert total(warehouse) == 5


def test_totals_are_counted_again_when_staging_changed(warehouse: Warehouse, births: Catalog) -> None:
    with warehouse.connect() as connection:
        load(connection, "Patient", [{"id": "p9", "birthDate": "2024-01-31"}])
    build_staging(warehouse, births, "staging.patient")
    result = build_indicator(warehouse, births, "indicator.births")
    assert (result.changed, total(warehouse)) == (1, 6)


def test_totals_are_counted_again_when_the_calendar_changed(warehouse: Warehouse, births: Catalog) -> None:
    execute(warehouse, "update lookup.period set end_on = '2024-01-03'")
    result = build_indicator(warehouse, births, "indicator.births")
    assert (result.changed, total(warehouse)) == (1, 3)


def test_a_replaced_but_equal_calendar_changes_nothing(warehouse: Warehouse, births: Catalog) -> None:
    execute(warehouse, "delete from lookup.period")
    execute(warehouse, JANUARY)
    assert build_indicator(warehouse, births, "indicator.births").changed == 0


def test_an_edited_staging_file_makes_its_indicators_anew_in_the_same_transaction(
    warehouse: Warehouse, births: Catalog, write_project: Write
) -> None:
    edited = STAGING + "select id, fhir.local_date('2024-01-01') as birth_on from raw.patient where id <> 'p5'"
    catalog = load_catalog(write_project({"staging/patient.sql": edited}))
    build_staging(warehouse, catalog, "staging.patient")
    assert total(warehouse) == 4  # counted by the rebuild itself: build_indicator did not run


def test_tables_edited_together_are_made_anew_together(
    warehouse: Warehouse, births: Catalog, write_project: Write
) -> None:
    """The column moves from one table to another: neither alone would carry the indicator."""
    files = {
        "staging/patient.sql": STAGING + "select id from raw.patient where not is_deleted",
        "staging/patient_birth.sql": STAGING + "select id, date '2024-01-02' as birth_on from raw.patient",
        "indicator/births.sql": INDICATOR + MEMBER + " cross join staging.patient_birth b",
    }
    files["indicator/births.sql"] = files["indicator/births.sql"].replace("p.birth_on", "b.birth_on")
    catalog = load_catalog(write_project(files))
    build_staging(warehouse, catalog, "staging.patient")
    assert total(warehouse) == 25
    assert build_staging(warehouse, catalog, "staging.patient_birth").changed == 0


def test_a_broken_edit_leaves_everything_as_it_was(warehouse: Warehouse, births: Catalog, write_project: Write) -> None:
    catalog = load_catalog(write_project({"staging/patient.sql": STAGING + "select id from raw.patient"}))
    with pytest.raises(
        ViewContractError, match=r"births\.sql:7: Postgres refuses it: column p\.birth_on does not exist"
    ):
        build_staging(warehouse, catalog, "staging.patient")
    assert total(warehouse) == 5
    assert rows(warehouse, "select count(birth_on) from staging.patient") == [(5,)]


def test_a_reader_sees_the_old_totals_or_the_new_and_never_a_hole(
    warehouse: Warehouse, births: Catalog, write_project: Write
) -> None:
    edited = STAGING + "select id, date '2024-01-01' as birth_on from raw.patient where id <> 'p1'"
    catalog = load_catalog(write_project({"staging/patient.sql": edited}))
    read, waiting = "select sum(value) from indicator.value", "select 1 from pg_locks where not granted"
    with ThreadPoolExecutor() as pool, warehouse.connect() as reader, warehouse.connect() as watching:
        assert reader.execute(read).fetchone() == (5,)
        rebuild = pool.submit(build_staging, warehouse, catalog, "staging.patient")
        while not rebuild.done() and not watching.execute(waiting).fetchall():
            watching.rollback()
        assert not rebuild.done()
        assert reader.execute(read).fetchone() == (5,)
        reader.commit()
        assert reader.execute(read).fetchone() == (4,)
        reader.commit()
        assert rebuild.result().rows == 4


def test_an_indicator_on_another_list_follows_it(warehouse: Warehouse, births: Catalog, write_project: Write) -> None:
    twins = INDICATOR + "select * from member.births where resource_id <> 'p1'"
    build_all(warehouse, load_catalog(write_project({"indicator/twins.sql": twins})))
    assert total(warehouse, "twins") == 4
    fewer = MEMBER + " where p.id <> 'p2'"
    catalog = load_catalog(write_project({"indicator/births.sql": INDICATOR + fewer}))
    build_indicator(warehouse, catalog, "indicator.births")
    assert (total(warehouse), total(warehouse, "twins")) == (4, 3)
    with warehouse.connect() as connection:
        load(connection, "Patient", [{"id": "p9", "birthDate": "2024-01-31"}])
    build_staging(warehouse, catalog, "staging.patient")
    assert build_indicator(warehouse, catalog, "indicator.twins").changed == 1
    assert total(warehouse, "twins") == 4


def test_a_view_without_a_file_is_dropped(warehouse: Warehouse, births: Catalog, write_project: Write) -> None:
    files = {"indicator/other.sql": INDICATOR + MEMBER, "staging/extra.sql": STAGING + "select id from raw.patient"}
    project = write_project(files)
    build_all(warehouse, load_catalog(project))
    assert total(warehouse, "other") == 5
    for name in files:
        (project.country_dir / "dbt_like_views" / name).unlink()  # type: ignore[operator]
    catalog = load_catalog(Project(country_dir=project.country_dir))
    execute(warehouse, "update lookup.period set end_on = '2024-01-03'")
    build_all(warehouse, catalog)
    with warehouse.connect() as connection:
        left = connection.execute("select to_regclass('member.other'), to_regclass('staging.extra')").fetchone()
    assert left == (None, None)
    assert (total(warehouse), total(warehouse, "other")) == (3, None)


WAITING = """select l.org_unit_id, date '2024-01-01' as event_on, 'Location' as resource_type, l.location_id as resource_id
from lookup.place l cross join (select pg_advisory_xact_lock_shared(4711) as taken) as turn"""


def test_what_changes_while_totals_are_counted_is_counted_the_next_time(
    warehouse: Warehouse, write_project: Write
) -> None:
    """The count has its own snapshot: a digest of the inputs taken after it would call the change counted."""
    execute(warehouse, JANUARY)
    execute(warehouse, "insert into lookup.place values ('a', null, 'UnitA', 'code'), ('b', null, 'UnitB', 'code')")
    catalog = load_catalog(write_project({"indicator/births.sql": INDICATOR + WAITING}))
    build_all(warehouse, catalog)
    execute(warehouse, "insert into lookup.place values ('c', null, 'UnitC', 'code')")
    with ThreadPoolExecutor() as pool, warehouse.connect() as holding:
        holding.execute("select pg_advisory_lock(4711)")
        counting = pool.submit(build_indicator, warehouse, catalog, "indicator.births")
        while not counting.done() and not rows(warehouse, "select 1 from pg_locks where objid = 4711 and not granted"):
            pass
        assert not counting.done()
        execute(warehouse, "delete from lookup.place where location_id = 'b'")
        holding.execute("select pg_advisory_unlock(4711)")
        assert (counting.result().changed, total(warehouse)) == (1, 3)
    assert (build_indicator(warehouse, catalog, "indicator.births").changed, total(warehouse)) == (1, 2)
    assert build_indicator(warehouse, catalog, "indicator.births").changed == 0
