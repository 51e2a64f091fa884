"""The contract of views: told from the file alone where it can be, from Postgres before any DDL where it must."""

import pytest

from opensrp_dhis2.errors import ViewContractError, WarehouseUnavailableError
from opensrp_dhis2.project import Project
from opensrp_dhis2.views.build import build_all
from opensrp_dhis2.views.catalog import load_catalog
from opensrp_dhis2.views.contract import check, describe
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.sql import execute, rows
from tests.views.conftest import INDICATOR, MEMBER, STAGING, Write, load

FULL = """/*---
description: d
grain: g
data_set: DS_M
measures:
  tablets: {data_element: T, sum: tablets}
  early: {data_element: E, where: is_early}
disaggregation:
  sex: {category: SEX, options: {female: SEX_F}}
tests: {not_null: [tablets]}
---*/
"""
COLUMNS = """select null::text as org_unit_id, null::date as event_on, 'female' as sex, 1 as tablets,
  true as is_early, 'Patient' as resource_type, id as resource_id from staging.patient"""


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "staging/new.sql",
            STAGING + "select version_id from raw.patient",
            "column id is missing (the key): select it",
        ),
        (
            "staging/new.sql",
            STAGING + "select id\nfrom raw.patient\njoin lookup.place on true",
            "new.sql:7: a staging view reads exactly one raw table",
        ),
        (
            "staging/new.sql",
            STAGING + "select p.id from raw.patient p join raw.group g on p.id = g.id",
            "this one reads raw.group, raw.patient",
        ),
        ("staging/new.sql", STAGING + "select 'x' as id", "this one reads none"),
        ("staging/new.sql", STAGING + "select id, id from raw.patient", "column id stands twice: rename one"),
        (
            "indicator/new.sql",
            FULL + COLUMNS.replace(" as event_on", " as day"),
            "column event_on is missing (every indicator gives it)",
        ),
        (
            "indicator/new.sql",
            FULL + COLUMNS.replace(" as sex", " as gender"),
            "column sex is missing (the disaggregation names it)",
        ),
        (
            "indicator/new.sql",
            FULL + COLUMNS.replace(" as is_early", " as early"),
            "column is_early is missing (measure early names it)",
        ),
        (
            "indicator/new.sql",
            FULL.replace("[tablets]", "[dose]") + COLUMNS,
            "column dose is missing (a test names it)",
        ),
    ],
)
def test_a_broken_contract_is_told_without_a_database(write_project: Write, name: str, text: str, said: str) -> None:
    problems = check(load_catalog(write_project({name: text})))
    assert len(problems) == 1
    assert f"dbt_like_views/{name}" in str(problems[0])
    assert said in str(problems[0])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("null::date", "now()", "new.sql: column event_on is timestamptz, not date: cast it"),
        ("null::text as org_unit_id", "1 as org_unit_id", "column org_unit_id is int4, not text: cast it"),
        ("true as is_early", "'yes'::text as is_early", "column is_early is text, not bool"),
        ("1 as tablets", "1.5::float8 as tablets", "column tablets is float8, not int2 or int4 or int8 or numeric"),
        ("'female' as sex", "1 as sex", "column sex is int4, not text"),
        ("1 as tablets", "p.count as tablets", "new.sql:12: Postgres refuses it: missing FROM-clause entry for table"),
        ("\n  true", "\n  nonsense(1)", "new.sql:13: Postgres refuses it: function nonsense(integer) does not exist"),
    ],
)
def test_what_only_postgres_knows_is_told_before_anything_is_made(
    warehouse: Warehouse, write_project: Write, old: str, new: str, said: str
) -> None:
    catalog = load_catalog(write_project({"indicator/new.sql": FULL + COLUMNS.replace(old, new)}))
    with pytest.raises(ViewContractError) as caught:
        build_all(warehouse, catalog)
    assert said in str(caught.value)
    assert rows(warehouse, "select to_regclass('member.new'), to_regclass('indicator.new')") == [
        (
            None,
            None,
        )
    ]


def test_a_failure_on_the_data_does_not_repeat_the_data(warehouse: Warehouse, write_project: Write) -> None:
    sql = MEMBER.replace("p.birth_on as", "('Canary' || p.gender)::date as")
    catalog = load_catalog(write_project({"indicator/new.sql": INDICATOR + sql}))
    build_all(warehouse, load_catalog(write_project({"indicator/new.sql": INDICATOR + MEMBER})))
    execute(warehouse, "insert into staging.patient (id, gender, birth_on) values ('1', 'female', '2024-01-01')")
    execute(warehouse, "insert into lookup.period values ('Monthly', '202401', '2024-01-01', '2024-01-31')")
    with pytest.raises(ViewContractError) as caught:
        build_all(warehouse, catalog)
    assert "new.sql" in str(caught.value)
    assert "Canary" not in str(caught.value)


def test_a_wait_for_a_table_that_is_too_long_is_not_called_a_fault_of_the_sql(warehouse: Warehouse) -> None:
    view = load_catalog(Project()).by_name["staging.patient"]

    def look() -> None:
        with warehouse.connect() as connection:
            connection.execute("set local lock_timeout = '50ms'")
            describe(connection, view)

    with warehouse.connect() as holder:
        load(holder, "Patient", [])
    with warehouse.connect() as holder:
        holder.execute("lock table raw.patient")
        with pytest.raises(WarehouseUnavailableError, match="pg_stat_activity"):
            look()
