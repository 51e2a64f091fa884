"""Speed of staging: upkeep of a few changed rows beside a full rebuild, and totals of one period beside raw JSON.

It measures ratios within one run; the resources are made in SQL, so that nothing but Postgres is measured.
"""

import time
from datetime import date
from typing import Any

from bench.load import fresh_warehouse
from opensrp_dhis2.lookup.metadata import fill_periods
from opensrp_dhis2.project import Project
from opensrp_dhis2.views.build import build_staging
from opensrp_dhis2.views.catalog import Catalog, View, load_catalog
from opensrp_dhis2.views.incremental_refresh import high_water
from opensrp_dhis2.views.relation import forget, totals_query
from opensrp_dhis2.warehouse.database import Warehouse

COUNT = 1_000_000
NAME = "staging.observation"
PERIOD = "202406"
INDICATORS = ("muac_screening", "community_signals")
ROUNDS = 3
# A tenth are signals, the rest arm measures of a twentieth as many children, over two years; about 1.2 kB each.
OBSERVATIONS = """
insert into raw.observation (id, version_id, last_updated, resource, load_id)
select 'o' || n, 1, '2025-06-01', jsonb_build_object(
  'resourceType', 'Observation', 'id', 'o' || n, 'status', 'final',
  'meta', jsonb_build_object('versionId', '1', 'tag', (
    select jsonb_agg(jsonb_build_object('system', 'https://smartregister.org/' || t || '-tag-id',
      'code', t || '-' || n %% 50, 'display', initcap(t)))
    from unnest(array['app-version', 'practitioner', 'care-team', 'organisation', 'location',
      'related-entity-location']) t)),
  'category', jsonb_build_array(jsonb_build_object('coding', jsonb_build_array(jsonb_build_object(
    'system', 'http://terminology.hl7.org/CodeSystem/observation-category',
    'code', case when n %% 10 = 0 then 'surveillance' else 'exam' end)))),
  'code', jsonb_build_object('coding', jsonb_build_array(jsonb_build_object('system', 'http://www.snomed.org/',
    'code', case when n %% 10 = 0 then '0' else '284473002' end, 'display', 'Mid upper arm circumference'))),
  'subject', jsonb_build_object('reference', 'Patient/p' || n %% (%(count)s / 20)),
  'encounter', jsonb_build_object('reference', 'Encounter/e' || n),
  'effectiveDateTime', to_char(timestamp '2023-01-01' + (n::bigint * 7919 %% 1051200) * interval '1 minute',
    'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
  'valueQuantity', jsonb_build_object('value', 10 + n %% 60 / 10.0, 'unit', 'cm'),
  'note', jsonb_build_array(jsonb_build_object('text', repeat('measured at home ', 8)))), 1
from generate_series(1, %(count)s) n;
"""
PATIENTS = """
insert into raw.patient (id, version_id, last_updated, resource, load_id)
select 'p' || n, 1, '2025-06-01', jsonb_build_object('resourceType', 'Patient', 'id', 'p' || n,
  'gender', case n %% 2 when 0 then 'female' else 'male' end,
  'birthDate', to_char(date '2021-01-01' + n %% 700, 'YYYY-MM-DD')), 1
from generate_series(0, %(count)s / 20) n;
"""
PLACES = """
insert into lookup.place (location_id, org_unit_id, rule)
select 'related-entity-location-' || n, 'OuBench' || lpad((n / 5)::text, 4, '0'), 'mapping' from generate_series(0, 49) n
"""
CHANGE = """
update raw.observation set version_id = version_id + 1, load_id = load_id + 1,
  resource = jsonb_set(resource, '{valueQuantity,value}', '11')
where id in (select 'o' || n * 100 from generate_series(1, %s / 100) n)
"""


def run(scale: float = 1.0) -> list[dict[str, Any]]:
    """Measure upkeep and totals; a scale of 1 takes some minutes."""
    count, catalog = int(COUNT * scale), load_catalog(Project())
    with fresh_warehouse() as warehouse:
        _fill(warehouse, catalog, count)
        return [_upkeep(warehouse, catalog, count), _totals(warehouse, catalog, count)]


def _fill(warehouse: Warehouse, catalog: Catalog, count: int) -> None:
    for view in catalog.staging:
        high_water(warehouse, view)  # makes the raw table
    with warehouse.connect() as connection:
        for statement in (OBSERVATIONS, PATIENTS):
            connection.execute(statement, {"count": count})
        connection.execute(PLACES)
        fill_periods(connection, catalog.data_sets.period_types, date(2023, 1, 1), date(2024, 12, 31))
    with warehouse.connect() as connection:
        connection.execute("analyze")
    for view in catalog.staging:
        build_staging(warehouse, catalog, view.name)


def _upkeep(warehouse: Warehouse, catalog: Catalog, count: int) -> dict[str, Any]:
    upkeep = []
    for _ in range(ROUNDS):
        with warehouse.connect() as connection:
            connection.execute(CHANGE, (count,))
        result = build_staging(warehouse, catalog, NAME)
        assert result.changed == count // 100
        upkeep.append(result.seconds)
    with warehouse.connect() as connection:
        forget(connection, NAME)
    rebuild = build_staging(warehouse, catalog, NAME).seconds
    name = f"staging upkeep of 1 % of {count:,} rows, s; full rebuild (under)"
    return _row(name, sorted(upkeep)[ROUNDS // 2], rebuild, 0.10, is_upper_bound=True)


def _totals(warehouse: Warehouse, catalog: Catalog, count: int) -> dict[str, Any]:
    views = [catalog.by_name[f"indicator.{name}"] for name in INDICATORS]
    with warehouse.connect() as connection:
        connection.execute("create schema staging_json")
        for view in catalog.staging:
            connection.execute(f'create view staging_json."{view.path_stem}" as {view.sql}')
    typed, typed_rows = _period_seconds(warehouse, catalog, views, "staging", ROUNDS)
    from_json, json_rows = _period_seconds(warehouse, catalog, views, "staging_json", 1)
    assert typed_rows == json_rows
    assert typed_rows
    name = f"totals of one period over {count:,} rows, runs/s from staging; from raw JSON"
    return _row(name, 1 / typed, 1 / from_json, 10.0)


def _period_seconds(
    warehouse: Warehouse, catalog: Catalog, views: list[View], schema: str, rounds: int
) -> tuple[float, list[Any]]:
    """Return the median seconds of counting one month, and the counts."""
    seconds, rows = [], list[Any]()
    with warehouse.connect() as connection:
        for view in views:
            connection.execute(f"drop view if exists {view.provides}")
            connection.execute(f"create view {view.provides} as {view.sql.replace('staging.', f'{schema}.')}")
        for _ in range(rounds):
            started, rows = time.perf_counter(), []
            for view in views:
                monthly = totals_query(view, ["Monthly"], has_period_type=False, periods=[PERIOD])
                rows.append(sorted(connection.execute(monthly).fetchall()))
            seconds.append(time.perf_counter() - started)
    return sorted(seconds)[rounds // 2], rows


def _row(name: str, value: float, reference: float, target: float, *, is_upper_bound: bool = False) -> dict[str, Any]:
    ratio = value / reference
    return {
        "name": name, "value": round(value, 3), "reference": round(reference, 3), "ratio": round(ratio, 3),
        "target": target, "ok": ratio < target if is_upper_bound else ratio >= target,
    }  # fmt: skip
