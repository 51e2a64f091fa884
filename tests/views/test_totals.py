"""Totals: what is counted, in which periods, and what is left out and said to be."""

from typing import Any

import pytest

from opensrp_dhis2.views.build import build_all
from opensrp_dhis2.views.catalog import Catalog, load_catalog
from opensrp_dhis2.views.data_tests import run_tests
from opensrp_dhis2.views.totals import inputs_digest, refresh
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from tests.support.sql import execute, rows
from tests.views.conftest import STAGING, Write

VISITS = """/*---
description: d
grain: g
data_set: [DS_M, DS_W]
measures:
  visits: {data_element: V}
  people: {data_element: P, distinct: person}
  tablets: {data_element: T, sum: tablets}
  early: {data_element: E, where: is_early}
  early_tablets: {data_element: ET, sum: tablets, where: is_early}
disaggregation:
  sex: {category: SEX, options: {female: F, male: M}}
tests:
  not_null: [person]
  unique: [resource_id]
  accepted_values: {sex: [female, male], is_early: [true, false]}
  relationships: {person: staging.patient.id}
---*/
select v.* from staging.visit v
"""
VISIT_TABLE = """select id, null::text as org_unit_id, null::date as event_on, null::text as sex, null::text as person,
  null::integer as tablets, null::boolean as is_early, 'Encounter' as resource_type, id as resource_id
from raw.encounter"""
# id, org_unit_id, event_on, sex, person, tablets, is_early
FEW: list[tuple[Any, ...]] = [
    ("1", "A", "2024-01-31", "female", "x", 3, True),
    ("2", "A", "2024-01-01", "female", "x", None, False),
    ("3", "A", "2024-02-01", "male", "y", 2, None),
    ("4", None, "2024-01-31", "female", "x", 3, True),
    ("5", "A", None, "female", "x", 3, True),
    ("6", "A", "2024-01-31", None, "x", 3, True),
    ("7", "A", "2024-01-31", "other", "x", 3, True),
    ("8", "A", "2019-01-31", "male", "x", -3, True),
]


@pytest.fixture
def visits(warehouse: Warehouse, write_project: Write) -> Catalog:
    data_sets = "DS_M: {period_type: Monthly}\nDS_W: {period_type: Weekly}\n"
    catalog = load_catalog(
        write_project(
            {"data_sets.yaml": data_sets, "staging/visit.sql": STAGING + VISIT_TABLE, "indicator/visits.sql": VISITS}
        )
    )
    build_all(warehouse, catalog)
    with warehouse.connect() as connection:
        connection.execute(
            "insert into lookup.period values ('Monthly', '202401', '2024-01-01', '2024-01-31'),"
            " ('Monthly', '202402', '2024-02-01', '2024-02-29'), ('Weekly', '2024W5', '2024-01-29', '2024-02-04'),"
            " ('Quarterly', '2024Q1', '2024-01-01', '2024-03-31')"
        )
        for row in FEW:
            connection.execute(
                "insert into staging.visit values (%s, %s, %s, %s, %s, %s, %s, 'Encounter', %s)", (*row, row[0])
            )
        count_again(connection, catalog)
    return catalog


def count_again(connection: Connection, catalog: Catalog) -> None:
    view = catalog.by_name["indicator.visits"]
    refresh(connection, catalog, view, inputs_digest(connection, catalog, view))


def ask(warehouse: Warehouse, query: str) -> list[Any]:
    return rows(warehouse, query)


def test_one_list_is_totalled_in_every_period_type_of_its_data_sets(warehouse: Warehouse, visits: Catalog) -> None:
    found = ask(
        warehouse,
        "select period_type, period, sex, visits, people, tablets, early, early_tablets from indicator.visits",
    )
    assert sorted(found) == [
        ("Monthly", "202401", "female", 2, 1, 3, 1, 3),
        ("Monthly", "202402", "male", 1, 1, 2, 0, None),
        ("Weekly", "2024W5", "female", 1, 1, 3, 1, 3),
        ("Weekly", "2024W5", "male", 1, 1, 2, 0, None),
    ]


def test_values_are_long_and_null_sends_nothing(warehouse: Warehouse, visits: Catalog) -> None:
    found = ask(warehouse, "select measure, disaggregation, value from indicator.value where period = '202402'")
    assert sorted(found) == [
        ("early", ["male"], 0),
        ("people", ["male"], 1),
        ("tablets", ["male"], 2),
        ("visits", ["male"], 1),
    ]


def test_what_is_in_no_total_is_counted_with_its_reason(warehouse: Warehouse, visits: Catalog) -> None:
    assert sorted(ask(warehouse, "select indicator, reason, member_count from indicator.left_out")) == [
        ("visits", "no option for sex", 2),
        ("visits", "no org unit", 1),
        ("visits", "no possible date", 1),
    ]


def test_every_member_is_counted_left_out_or_outside_the_calendar(warehouse: Warehouse, visits: Catalog) -> None:
    [(members, counted, left_out)] = ask(
        warehouse,
        "select (select count(*) from member.visits),"
        " (select sum(visits) from indicator.visits where period_type = 'Monthly'),"
        " (select sum(member_count) from indicator.left_out)",
    )
    assert (members, counted, left_out) == (8, 3, 4)  # the eighth happened in 2019, which nobody reports


def test_the_totals_have_a_unique_index(warehouse: Warehouse, visits: Catalog) -> None:
    [(definition,)] = ask(warehouse, "select indexdef from pg_indexes where schemaname = 'indicator'")
    assert "UNIQUE" in definition
    assert definition.endswith("(period_type, period, org_unit_id, sex)")


def test_data_tests_count_the_rows_that_break_them(warehouse: Warehouse, visits: Catalog) -> None:
    with warehouse.connect() as connection:
        connection.execute(
            "insert into staging.visit (id, org_unit_id, event_on, sex, tablets, resource_id) values"
            " ('9', 'A', '2024-02-01', 'male', -9, '8')"
        )
        connection.execute("insert into staging.patient (id) values ('x')")
        count_again(connection, visits)
    results = {result.test: result for result in run_tests(warehouse, visits, "indicator.visits")}
    assert {test: result.failing_count for test, result in results.items()} == {
        "not_negative(tablets)": 2,
        "not_negative(early_tablets)": 0,
        "not_null(person)": 1,
        "unique(resource_id)": 1,
        "accepted_values(sex)": 1,
        "accepted_values(is_early)": 0,
        "relationships(person -> staging.patient.id)": 1,
    }
    assert ask(warehouse, results["not_null(person)"].query)[0][0] == "9"


def test_tests_of_all_views_run_where_they_are_built(warehouse: Warehouse, visits: Catalog) -> None:
    execute(warehouse, "drop table staging.location")
    relations = {result.relation for result in run_tests(warehouse, visits)}
    assert {"member.visits", "staging.patient"} <= relations
    assert "staging.location" not in relations
