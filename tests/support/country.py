"""A country of 125 facilities whose one data set has 10 elements by 8 combos: 10,000 values a month, as was measured.

It gives the sandbox its metadata, the ledger its totals, and it can lie to the lookup tables about what DHIS2 allows.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.metadata import read_metadata
from opensrp_dhis2.dhis2.periods import Period, parse_period
from opensrp_dhis2.lookup.metadata import replace_metadata
from opensrp_dhis2.outbox.reporter import Report, Reporter
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.dhis2_metadata import COUNTRY, OPEN, accounts, data_set, element, named, unit
from tests.support.dhis2_site import NOW, open_client, state, strike
from tests.support.sql import execute, rows

MARCH = parse_period("202403")
DATA_SET = "DsPerf00001"
UNITS = [f"OuPerfo{number:04d}" for number in range(1, 126)]
ELEMENTS = [f"DePerfo{number:04d}" for number in range(1, 11)]
COMBOS = [f"CoPerfo{number:04d}" for number in range(1, 9)]
USERS = {"pusher": ("F_DATAVALUE_ADD", "OuCountry01"), "noauth": ("M_dashboard", "OuCountry01"),
         "noou": ("F_DATAVALUE_ADD", "OuElsewhere")}  # fmt: skip
Cell = tuple[str, str, str]  # data element, org unit, category option combo

TABLES = """
create table indicator.value (indicator text, measure text, period_type text, period text, org_unit_id text,
  disaggregation text[], value numeric);
insert into lookup.period
  select 'Monthly', to_char(day, 'YYYYMM'), day, (day + interval '1 month - 1 day')::date
  from generate_series(date '2023-01-01', date '2026-12-01', interval '1 month') day;
"""
TARGETS = """
insert into lookup.target
select 'visits', element, array[combo], %(data_set)s, 'Monthly', element, combo, 'HllvX50cXC0'
from unnest(%(elements)s::text[]) element, unnest(%(combos)s::text[]) combo
"""
TOTALS = """
insert into indicator.value
select 'visits', element, 'Monthly', %(period)s, unit, array[combo], 1 + (e * 97 + u * 13 + c) %% 900
from unnest(%(elements)s::text[]) with ordinality elements (element, e),
  unnest(%(combos)s::text[]) with ordinality combos (combo, c),
  unnest(%(units)s::text[]) with ordinality units (unit, u)
"""


def country_metadata(sharing: dict[str, Any] = OPEN) -> dict[str, Any]:
    """DHIS2 with the data set, a facility that is not assigned, one that closed, and an element outside the set."""
    options = {"age": [f"CaPerfAge{number:02d}" for number in range(4)], "sex": ["CaPerfSex01", "CaPerfSex02"]}
    pairs = [(age, sex) for age in options["age"] for sex in options["sex"]]
    broken_down = {"dataDimensionType": "DISAGGREGATION", "sharing": OPEN}
    return {"stages": [
        {
            "organisationUnits": [
                unit(COUNTRY, None), *map(unit, ("OuElsewhere", *UNITS, "OuNotAssign")),
                unit("OuClosed001", closedDate="2020-01-31"),
            ],
            "categoryOptions": [named(uid, sharing=OPEN) for uid in (*options["age"], *options["sex"])],
            "categories": [
                named(f"CaPerf{name}0002"[:11], **broken_down, categoryOptions=[{"id": uid} for uid in uids])
                for name, uids in options.items()
            ],
            "categoryCombos": [
                named("CcPerf00001", **broken_down, categories=[{"id": f"CaPerf{name}0002"[:11]} for name in options]),
                named("CcPerf00002", **broken_down, categories=[{"id": "CaPerfsex0002"[:11]}]),
            ],
            "categoryOptionCombos": [
                *(named(uid, categoryCombo={"id": "CcPerf00001"}, categoryOptions=[{"id": option} for option in pair])
                  for uid, pair in zip(COMBOS, pairs, strict=True)),
                named("CoOther0001", categoryCombo={"id": "CcPerf00002"}, categoryOptions=[{"id": "CaPerfSex01"}]),
            ],
            "dataElements": [element(uid, categoryCombo={"id": "CcPerf00001"}) for uid in (*ELEMENTS, "DeNotInSet1")],
            **accounts(**USERS),
        },
        {"dataSets": [data_set(DATA_SET, "PERF", ELEMENTS, (*UNITS, "OuClosed001"), sharing=sharing)]},
    ]}  # fmt: skip


@dataclass
class Country:
    """A running sandbox, the account that reports to it, and the warehouse that it reports from."""

    url: str
    client: Dhis2Client
    warehouse: Warehouse

    def fill(self, period: Period = MARCH, units: list[str] = UNITS) -> None:
        """Count something in every cell of these facilities."""
        with self.warehouse.connect() as connection:
            names = {"elements": ELEMENTS, "combos": COMBOS, "units": units, "period": period.id}
            connection.execute(TOTALS, names)

    def count(self, cell: Cell, value: float, period: Period = MARCH) -> None:
        """Let the indicators say this of one cell."""
        element, unit, combo = cell
        execute(
            self.warehouse,
            "delete from indicator.value where measure = %s and org_unit_id = %s and disaggregation = %s"
            " and period = %s",
            element,
            unit,
            [combo],
            period.id,
        )
        execute(
            self.warehouse,
            "insert into indicator.value values ('visits', %s, 'Monthly', %s, %s, %s, %s)",
            element,
            period.id,
            unit,
            [combo],
            value,
        )
        execute(
            self.warehouse,
            "insert into lookup.target values ('visits', %s, %s, %s, 'Monthly', %s, %s, 'HllvX50cXC0')"
            " on conflict do nothing",
            element,
            [combo],
            DATA_SET,
            element,
            combo,
        )

    def forget(self, cells: list[Cell], period: Period = MARCH) -> None:
        """Let the indicators say nothing of some cells."""
        with self.warehouse.connect() as connection, connection.cursor() as cursor:
            cursor.executemany(
                "delete from indicator.value where measure = %s and org_unit_id = %s and disaggregation = array[%s]"
                f" and period = '{period.id}'", cells,
            )  # fmt: skip

    def pretend(self, *statements: str) -> None:
        """Change the lookup tables, as if DHIS2 had changed since they were read."""
        for statement in statements:
            execute(self.warehouse, statement)

    def reporter(self, run_id: str, **rules: Any) -> Reporter:
        data_set = DataSet(period_type="Monthly", open_periods=36, **rules)
        return Reporter(self.warehouse, self.client, "PERF", data_set, run_id=run_id, batch_size=1000)

    def report(self, run_id: str = "run-1", period: Period = MARCH, **rules: Any) -> Report:
        reporter = self.reporter(run_id, **rules)
        reporter.plan(period)
        return reporter.deliver(period)

    def stored(self, period: Period = MARCH) -> dict[Cell, str]:
        """What DHIS2 holds, read by its administrator's door."""
        return {(row[0], row[2], row[3]): row[5] for row in state(self.url) if row[1] == period.id and not row[8]}

    def strike(self, *faults: dict[str, Any]) -> None:
        strike(self.url, *faults)

    def audit(self, period: Period = MARCH) -> Counter[str]:
        """Compare every row of the ledger with what is really there: silent losses, false alarms, and the states."""
        there, found = self.stored(period), Counter[str]()
        ledger = rows(
            self.warehouse,
            "select data_element_id, org_unit_id, category_option_combo_id, wanted, state from outbox.value"
            " where period = %s",
            period.id,
        )
        for *cell, wanted, stands in ledger:
            is_there = there.get((cell[0], cell[1], cell[2])) == wanted
            found[stands] += 1
            found["silent loss"] += stands == "delivered" and not is_there
            found["false alarm"] += stands in ("refused", "withheld", "pending", "sending") and is_there
        return found


@contextmanager
def country(
    warehouse: Warehouse,
    version: str,
    *,
    store: Path | None = None,
    user: str = "pusher",
    sharing: dict[str, Any] = OPEN,
    document: dict[str, Any] | None = None,
) -> Iterator[Country]:
    """Start the sandbox, on the country's metadata or other ones, read these, and set up the targets."""
    app = create_app(document or country_metadata(sharing), version=version, clock=lambda: NOW, store_path=store)
    with running(app) as url:
        client = open_client(url, user)
        with client, warehouse.connect() as connection:
            replace_metadata(connection, read_metadata(client, ["PERF"]), client.base_url)
            connection.execute("create schema if not exists indicator")
            if not connection.execute("select to_regclass('indicator.value')").fetchone()[0]:  # type: ignore[index]
                connection.execute(TABLES)
                connection.execute(TARGETS, {"data_set": DATA_SET, "elements": ELEMENTS, "combos": COMBOS})
            connection.commit()
            yield Country(url, client, warehouse)
