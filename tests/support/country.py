"""A country of 125 facilities whose one data set has 10 elements by 8 combos: 10,000 values a month, as was measured.

It gives the sandbox its metadata, the ledger its totals, and it can lie to the lookup tables about what DHIS2 allows.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.dhis2.auth import make_auth, read_auth
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.metadata import read_metadata
from opensrp_dhis2.dhis2.periods import Period, parse_period
from opensrp_dhis2.lookup.metadata import replace_metadata
from opensrp_dhis2.outbox.reporter import Report, Reporter
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MARCH = parse_period("202403")
DATA_SET = "DsPerf00001"
UNITS = [f"OuPerfo{number:04d}" for number in range(1, 126)]
ELEMENTS = [f"DePerfo{number:04d}" for number in range(1, 11)]
COMBOS = [f"CoPerfo{number:04d}" for number in range(1, 9)]
OPEN = {"public": "rwrw----", "userGroups": {}, "users": {}}
READ_ONLY = {"public": "rwr-----", "userGroups": {}, "users": {}}
USERS = {"pusher": ("F_DATAVALUE_ADD", "OuCountry01"), "noauth": ("M_dashboard", "OuCountry01"),
         "noou": ("F_DATAVALUE_ADD", "OuElsewhere")}  # fmt: skip
PASSWORD = "secret"
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


def metadata(sharing: dict[str, Any] = OPEN) -> dict[str, Any]:
    """DHIS2 with the data set, a facility that is not assigned, one that closed, and an element outside the set."""
    options = {"age": [f"CaPerfAge{number:02d}" for number in range(4)], "sex": ["CaPerfSex01", "CaPerfSex02"]}
    pairs = [(age, sex) for age in options["age"] for sex in options["sex"]]
    facilities = [*UNITS, "OuNotAssign", "OuClosed001"]
    return {"stages": [
        {
            "organisationUnits": [
                named("OuCountry01", openingDate="2015-01-01"),
                named("OuElsewhere", openingDate="2015-01-01", parent={"id": "OuCountry01"}),
                *(named(unit, openingDate="2015-01-01", parent={"id": "OuCountry01"},
                        **({"closedDate": "2020-01-31"} if unit == "OuClosed001" else {})) for unit in facilities),
            ],
            "categoryOptions": [named(uid, sharing=OPEN) for uid in (*options["age"], *options["sex"])],
            "categories": [
                named(f"CaPerf{name}0002"[:11], dataDimensionType="DISAGGREGATION", sharing=OPEN,
                      categoryOptions=[{"id": uid} for uid in uids]) for name, uids in options.items()
            ],
            "categoryCombos": [
                named("CcPerf00001", dataDimensionType="DISAGGREGATION", sharing=OPEN,
                      categories=[{"id": f"CaPerf{name}0002"[:11]} for name in options]),
                named("CcPerf00002", dataDimensionType="DISAGGREGATION", sharing=OPEN,
                      categories=[{"id": "CaPerfsex0002"[:11]}]),
            ],
            "categoryOptionCombos": [
                *(named(uid, categoryCombo={"id": "CcPerf00001"}, categoryOptions=[{"id": one} for one in pair])
                  for uid, pair in zip(COMBOS, pairs, strict=True)),
                named("CoOther0001", categoryCombo={"id": "CcPerf00002"}, categoryOptions=[{"id": "CaPerfSex01"}]),
            ],
            "dataElements": [
                named(uid, valueType="INTEGER_ZERO_OR_POSITIVE", domainType="AGGREGATE", aggregationType="SUM",
                      zeroIsSignificant=False, categoryCombo={"id": "CcPerf00001"}, sharing=OPEN)
                for uid in (*ELEMENTS, "DeNotInSet1")
            ],
            "userRoles": [{"id": f"Ur{name:0<9}", "name": name, "authorities": [right]}
                          for name, (right, _) in USERS.items()],
            "users": [
                {"id": f"Us{name:0<9}", "username": name, "password": PASSWORD, "userRoles": [{"id": f"Ur{name:0<9}"}],
                 "organisationUnits": [{"id": unit}], "dataViewOrganisationUnits": [{"id": unit}]}
                for name, (_, unit) in USERS.items()
            ],
        },
        {"dataSets": [
            named(DATA_SET, code="PERF", periodType="Monthly", openFuturePeriods=0, expiryDays=0, sharing=sharing,
                  categoryCombo={"id": "__DEFAULT_CC__"},
                  dataSetElements=[{"dataElement": {"id": uid}} for uid in ELEMENTS],
                  organisationUnits=[{"id": unit} for unit in (*UNITS, "OuClosed001")])
        ]},
    ]}  # fmt: skip


def named(uid: str, **members: Any) -> dict[str, Any]:
    return {"id": uid, "name": uid, "shortName": uid, "code": uid, **members}


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
        with self.warehouse.connect() as connection:
            connection.execute(
                "delete from indicator.value where measure = %s and org_unit_id = %s and disaggregation = %s"
                " and period = %s", (element, unit, [combo], period.id),
            )  # fmt: skip
            connection.execute(
                "insert into indicator.value values ('visits', %s, 'Monthly', %s, %s, %s, %s)",
                (element, period.id, unit, [combo], value),
            )
            connection.execute(
                "insert into lookup.target values ('visits', %s, %s, %s, 'Monthly', %s, %s, 'HllvX50cXC0')"
                " on conflict do nothing", (element, [combo], DATA_SET, element, combo),
            )  # fmt: skip

    def forget(self, cells: list[Cell], period: Period = MARCH) -> None:
        """Let the indicators say nothing of some cells."""
        with self.warehouse.connect() as connection, connection.cursor() as cursor:
            cursor.executemany(
                "delete from indicator.value where measure = %s and org_unit_id = %s and disaggregation = array[%s]"
                f" and period = '{period.id}'", cells,
            )  # fmt: skip

    def pretend(self, *statements: str) -> None:
        """Change the lookup tables, as if DHIS2 had changed since they were read."""
        with self.warehouse.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def reporter(self, run_id: str, **rules: Any) -> Reporter:
        data_set = DataSet(period_type="Monthly", open_periods=36, **rules)
        return Reporter(self.warehouse, self.client, "PERF", data_set, run_id=run_id, batch_size=1000)

    def report(self, run_id: str = "run-1", period: Period = MARCH, **rules: Any) -> Report:
        reporter = self.reporter(run_id, **rules)
        reporter.plan(period)
        return reporter.deliver(period)

    def stored(self, period: Period = MARCH) -> dict[Cell, str]:
        """What DHIS2 holds, read by its administrator's door."""
        rows = httpx.get(f"{self.url}/sandbox/state", auth=("admin", "district")).raise_for_status().json()
        return {(row[0], row[2], row[3]): row[5] for row in rows if row[1] == period.id and not row[8]}

    def strike(self, *faults: dict[str, Any]) -> None:
        httpx.post(f"{self.url}/sandbox/faults", json=list(faults), auth=("admin", "district")).raise_for_status()

    def audit(self, period: Period = MARCH) -> Counter[str]:
        """Compare every row of the ledger with what is really there: silent losses, false alarms, and the states."""
        there, found = self.stored(period), Counter[str]()
        with self.warehouse.connect() as connection:
            rows = connection.execute(
                "select data_element_id, org_unit_id, category_option_combo_id, wanted, state from outbox.value"
                " where period = %s", (period.id,),
            ).fetchall()  # fmt: skip
        for *cell, wanted, state in rows:
            is_there = there.get((cell[0], cell[1], cell[2])) == wanted
            found[state] += 1
            found["silent loss"] += state == "delivered" and not is_there
            found["false alarm"] += state in ("refused", "withheld", "pending", "sending") and is_there
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
    app = create_app(document or metadata(sharing), version=version, clock=lambda: NOW, store_path=store)
    with running(app) as url:
        auth = make_auth(read_auth("basic", {"username": user, "password": PASSWORD}), url)
        client = Dhis2Client(url, auth=auth, request_seconds=0)
        with client, warehouse.connect() as connection:
            replace_metadata(connection, read_metadata(client, ["PERF"]), client.base_url)
            connection.execute("create schema if not exists indicator")
            if not connection.execute("select to_regclass('indicator.value')").fetchone()[0]:  # type: ignore[index]
                connection.execute(TABLES)
                connection.execute(TARGETS, {"data_set": DATA_SET, "elements": ELEMENTS, "combos": COMBOS})
            connection.commit()
            yield Country(url, client, warehouse)
