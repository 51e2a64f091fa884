"""Speed of the ledger at a million values: a plan that finds nothing beside a plain join, and what two per cent cost.

It measures ratios within one run; bytes are those of the request bodies before compression.
"""

import time
from typing import Any

from bench.load import fresh_warehouse, result
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.ledger import DataSetPeriod, ValueVerdict
from opensrp_dhis2.warehouse.database import Warehouse

VALUE_COUNT = 1_000_000
OF = DataSetPeriod("http://bench", "DsBench0001", "202509")
SURROUNDINGS = """
create schema if not exists indicator;
create table indicator.value (indicator text, measure text, period_type text, period text, org_unit_id text,
  disaggregation text[], value numeric);
insert into lookup.period values ('Monthly', '202509', '2025-09-01', '2025-09-30');
insert into lookup.category_combo values ('CcDefault01', 'default', 'default', true);
insert into lookup.category_option_combo values ('HllvX50cXC0', 'default', 'default', 'CcDefault01', '{}', '{}');
insert into lookup.data_set values ('DsBench0001', 'B', 'Bench', 'Monthly', 'CcDefault01', 0, 0, false, true);
insert into lookup.data_element select 'De' || lpad(n::text, 9, '0'), n, n, 'INTEGER_ZERO_OR_POSITIVE', 'SUM', true,
  'CcDefault01', null from generate_series(0, 79) n;
insert into lookup.data_set_element select 'DsBench0001', data_element_id, 'CcDefault01' from lookup.data_element;
insert into lookup.target select 'bench', data_element_id, '{}', 'DsBench0001', 'Monthly', data_element_id,
  'HllvX50cXC0', 'HllvX50cXC0' from lookup.data_element;
"""
UNITS = """
insert into lookup.org_unit select 'Ou' || lpad(n::text, 9, '0'), n, n, 4, '/OuCountry01/Ou' || lpad(n::text, 9, '0'),
  '2015-01-01', null from generate_series(1, %(units)s) n
"""
ASSIGNED = "insert into lookup.data_set_org_unit select 'DsBench0001', org_unit_id from lookup.org_unit"
TOTALS = """
insert into indicator.value select 'bench', data_element_id, 'Monthly', '202509', org_unit_id, '{}', 1
from lookup.data_element, lookup.org_unit
"""
CHANGE = "update indicator.value set value = value + 1 where hashtext(measure || org_unit_id) % 50 = 0"
JOIN = """
select count(*) from (
  select org_unit_id, t.data_element_id, t.category_option_combo_id, t.attribute_option_combo_id, i.value::text as value
  from indicator.value i join lookup.target t using (indicator, measure, disaggregation, period_type)
) d join outbox.value v using (org_unit_id, data_element_id, category_option_combo_id, attribute_option_combo_id)
where d.value = v.wanted
"""


def run(scale: float = 1.0) -> list[dict[str, Any]]:
    """Measure plans; a scale of 1 takes about two minutes."""
    with fresh_warehouse() as warehouse:
        _fill(warehouse, int(VALUE_COUNT * scale) // 80)
        full, _ = _deliver(warehouse, "first")
        joining = min(_timed(warehouse, JOIN) for _ in range(3))
        planning = min(_plan(warehouse, "again") for _ in range(3))
        assert _deliver(warehouse, "again") == (0, 0)
        with warehouse.connect() as connection:
            connection.execute(CHANGE)
        changing = _plan(warehouse, "changed")
        part, values = _deliver(warehouse, "changed")
    return [
        result("a count over the join, s; an unchanged plan of the same rows, s", joining, planning, 0.333),
        result(f"bytes of a full push; of the {values:,} values that changed", full, part, 40.0),
        result("an unchanged plan, s; with 2 % changed, s", planning, changing, 0.1),
    ]


def _fill(warehouse: Warehouse, units: int) -> None:
    with warehouse.connect() as connection:
        for statement, parameters in (
            (SURROUNDINGS, None),
            (UNITS, {"units": units}),
            (ASSIGNED, None),
            (TOTALS, None),
        ):
            connection.execute(statement, parameters)
    _plan(warehouse, "first")
    with warehouse.connect() as connection:
        connection.commit()
        connection.execute("analyze")


def _plan(warehouse: Warehouse, run_id: str) -> float:
    started = time.perf_counter()
    with warehouse.connect() as connection:
        ledger.plan(connection, OF, zeros="none", is_period_open=True, run_id=run_id)
    return time.perf_counter() - started


def _timed(warehouse: Warehouse, query: str) -> float:
    with warehouse.connect() as connection:
        started = time.perf_counter()
        connection.execute(query).fetchall()
        return time.perf_counter() - started


def _deliver(warehouse: Warehouse, run_id: str) -> tuple[int, int]:
    """Cut, build and settle every batch as if DHIS2 had stored it; give the bytes and the values."""
    sent, values = 0, 0
    while True:
        with warehouse.connect() as connection:
            batch = ledger.cut_batch(connection, OF, 50_000, run_id)
            if batch is None:
                return sent, values
            sent += len(ledger.payload(connection, batch))
            values += batch.value_count
            verdicts = (ValueVerdict(index, "stored") for index in range(batch.value_count))
            ledger.settle(connection, batch, verdicts, http_status=200, note="", run_id=run_id)
