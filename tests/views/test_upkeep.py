"""Staging upkeep: whatever happens to raw, the tables are what a full rebuild would give, row for row."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from opensrp_dhis2.project import Project
from opensrp_dhis2.views.build import build_staging
from opensrp_dhis2.views.catalog import Catalog, load_catalog
from opensrp_dhis2.views.relation import relation
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from tests.views.conftest import STAGING, Write, delete, load

OBSERVED = ("staging.observation", "staging.observation_component")


def observation(number: int, version: int, rng: random.Random) -> dict[str, Any]:
    parts = [{"code": {"text": "part"}, "valueInteger": rng.randrange(99)} for _ in range(rng.randrange(4))]
    content: dict[str, Any] = {
        "resourceType": "Observation", "id": f"o{number}", "meta": {"versionId": str(version)}, "status": "final",
        "effectiveDateTime": f"2024-0{rng.randrange(1, 7)}-1{rng.randrange(10)}",
    }  # fmt: skip
    return {**content, "component": parts} if parts else content


def rows(connection: Connection, query: str) -> list[str]:
    return [row for (row,) in connection.execute(f"select s::text from ({query}) as s order by 1").fetchall()]


def kept(connection: Connection, catalog: Catalog, name: str) -> tuple[list[str], list[str]]:
    """Give the table's rows, and those that its SQL gives from all of raw."""
    table = relation(name).as_string(connection)
    return rows(connection, f"select * from {table}"), rows(connection, catalog.by_name[name].sql)


def test_incremental_upkeep_equals_a_full_rebuild(warehouse: Warehouse) -> None:
    catalog, rng = load_catalog(Project()), random.Random(7)
    with warehouse.connect() as connection:
        load(connection, "Observation", [observation(n, 1, rng) for n in range(120)])
    for name in OBSERVED:
        assert build_staging(warehouse, catalog, name).changed > 0
    for version in range(2, 12):
        with warehouse.connect() as connection:
            edited = [observation(n, version, rng) for n in rng.sample(range(150), 8)]
            load(connection, "Observation", edited)
            delete(connection, "Observation", [f"o{n}" for n in rng.sample(range(150), 3)])
        for name in OBSERVED:
            result = build_staging(warehouse, catalog, name)
            with warehouse.connect() as connection:
                table, wanted = kept(connection, catalog, name)
            assert table == wanted
            assert 8 <= result.changed <= 11
            assert result.rows == len(wanted)


def test_many_changes_at_once_equal_a_full_rebuild_too(warehouse: Warehouse) -> None:
    catalog, rng = load_catalog(Project()), random.Random(8)
    with warehouse.connect() as connection:
        load(connection, "Observation", [observation(n, 1, rng) for n in range(50)])
    build_staging(warehouse, catalog, "staging.observation_component")
    with warehouse.connect() as connection:
        load(connection, "Observation", [observation(n, 2, rng) for n in range(10, 60)])
        connection.execute("analyze raw.observation")
    result = build_staging(warehouse, catalog, "staging.observation_component")
    with warehouse.connect() as connection:
        table, wanted = kept(connection, catalog, "staging.observation_component")
    assert table == wanted
    assert (result.changed, result.rows) == (50, len(wanted))


def test_upkeep_takes_the_changed_rows_by_key(warehouse: Warehouse) -> None:
    catalog = load_catalog(Project())
    with warehouse.connect() as connection:
        connection.execute("select raw.ensure_table('observation')")
        connection.execute(
            "insert into raw.observation (id, version_id, last_updated, resource, load_id)"
            " select 'o' || n, 1, now(), '{}', 1 from generate_series(1, 5000) n"
        )
        connection.execute("analyze raw.observation")
        sql = catalog.by_name["staging.observation_component"].sql
        plan = connection.execute(
            f"explain select * from (\n{sql}\n) as s"
            " where observation_id = any (array(select id from raw.observation where load_id > 5))"
        ).fetchall()
    assert any("Index" in line and "_pkey" in line for (line,) in plan)
    assert not any("Seq Scan on observation" in line for (line,) in plan)


def test_nothing_loaded_means_nothing_done(warehouse: Warehouse) -> None:
    catalog = load_catalog(Project())
    with warehouse.connect() as connection:
        load(connection, "Patient", [{"id": "p1"}])
    assert build_staging(warehouse, catalog, "staging.patient").changed == 1
    with warehouse.connect() as connection:
        load(connection, "Patient", [{"id": "p1"}])
        before = connection.execute(
            "select p.xmin::text, r.built_at from staging.patient p, warehouse.relation r"
        ).fetchall()
    assert build_staging(warehouse, catalog, "staging.patient").changed == 0
    with warehouse.connect() as connection:
        after = connection.execute(
            "select p.xmin::text, r.built_at from staging.patient p, warehouse.relation r"
        ).fetchall()
    assert after == before


def test_a_type_never_extracted_gives_an_empty_table(warehouse: Warehouse) -> None:
    result = build_staging(warehouse, load_catalog(Project()), "staging.immunization")
    assert (result.rows, result.changed) == (0, 0)


def test_a_raw_table_that_started_over_is_read_whole(warehouse: Warehouse) -> None:
    catalog = load_catalog(Project())
    with warehouse.connect() as connection:
        load(connection, "Patient", [{"id": "gone"}])
        load(connection, "Patient", [{"id": "stays"}])
    build_staging(warehouse, catalog, "staging.patient")
    with warehouse.connect() as connection:
        connection.execute("truncate raw.patient")
        connection.execute("insert into raw.patient values ('stays', 1, now(), '{}', false, 1)")
    build_staging(warehouse, catalog, "staging.patient")
    with warehouse.connect() as connection:
        assert connection.execute("select array_agg(id) from staging.patient").fetchone() == (["stays"],)


def test_another_report_timezone_makes_the_table_anew(warehouse: Warehouse, database_url: str) -> None:
    catalog = load_catalog(Project())
    encounter = {"id": "e1", "status": "finished", "period": {"start": "2024-01-31T21:30:00Z"}}
    with warehouse.connect() as connection:
        load(connection, "Encounter", [encounter])
    days = []
    for zone in ("Africa/Kampala", "UTC"):
        other = Warehouse(database_url, report_timezone=zone)
        build_staging(other, catalog, "staging.encounter")
        with other.connect() as connection:
            days.append(connection.execute("select started_on::text from staging.encounter").fetchone())
        other.close()
    assert days == [("2024-02-01",), ("2024-01-31",)]


def test_named_indexes_and_the_key_are_indexed(warehouse: Warehouse, write_project: Write) -> None:
    text = (
        STAGING.replace("grain: g", "grain: g\nindexes: [[version_id, id]]") + "select id, version_id from raw.patient"
    )
    build_staging(warehouse, load_catalog(write_project({"staging/new.sql": text})), "staging.new")
    with warehouse.connect() as connection:
        found = connection.execute("select indexdef from pg_indexes where tablename = 'new' order by 1").fetchall()
    assert [definition.split(" btree ")[1] for (definition,) in found] == ["(id)", "(version_id, id)"]


def test_upkeep_waits_for_a_load_that_has_drawn_its_number(warehouse: Warehouse) -> None:
    catalog = load_catalog(Project())
    build_staging(warehouse, catalog, "staging.patient")
    with ThreadPoolExecutor() as pool, warehouse.connect() as loading:
        load(loading, "Patient", [{"id": "late"}])
        upkeep = pool.submit(build_staging, warehouse, catalog, "staging.patient")
        with warehouse.connect() as watching:
            waiting = "select 1 from pg_locks where relation = 'raw.patient'::regclass and not granted"
            while not upkeep.done() and not watching.execute(waiting).fetchall():
                watching.rollback()
            assert not upkeep.done()
        loading.commit()
        assert upkeep.result().changed == 1
