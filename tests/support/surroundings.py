"""What a ledger of one monthly data set stands in: metadata that were read before, targets, and totals that a test sets."""

from collections.abc import Callable
from functools import cache

from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.dhis2.metadata import Metadata, read_metadata
from opensrp_dhis2.lookup.metadata import replace_metadata
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.dhis2_metadata import KNOWN, metadata, unit
from tests.support.dhis2_site import NOW, open_client

Totals = dict[tuple[str, str], int]  # (measure, org unit) -> value
SetTotals = Callable[[Totals], None]
TARGETS = """
insert into lookup.period values ('Monthly', '202509', '2025-09-01', '2025-09-30');
insert into lookup.target
  select 'visits', m, '{}', 'DsMonthly01', 'Monthly', e, 'HllvX50cXC0', 'HllvX50cXC0'
  from (values ('visits', 'DeVisits001'), ('signed', 'DeSigned001')) t (m, e);
create table indicator.value (indicator text, measure text, period_type text, period text, org_unit_id text,
  disaggregation text[], value numeric);
"""


@cache
def known_metadata() -> Metadata:
    """Read once what the lookup tables hold before a test reads its own server: two facilities, one besides, one closed."""
    document = metadata(units=KNOWN[-3:])
    document["stages"][0]["organisationUnits"].append(unit("OuFacility4", closedDate="2025-06-30"))
    document["stages"][1]["dataSets"][0]["organisationUnits"].append({"id": "OuFacility4"})
    with running(create_app(document, version="2.43", clock=lambda: NOW)) as url, open_client(url) as client:
        return read_metadata(client, ["DS_M"])


def set_up_ledger(warehouse: Warehouse, target: str = "http://dhis2") -> SetTotals:
    """Fill the lookup tables; return a function that replaces the totals of September 2025."""
    with warehouse.connect() as connection:
        replace_metadata(connection, known_metadata(), target)
        connection.execute(TARGETS)

    def replace(totals: Totals) -> None:
        with warehouse.connect() as connection:
            connection.execute("delete from indicator.value")
            for (measure, org_unit), value in totals.items():
                connection.execute(
                    "insert into indicator.value values ('visits', %s, 'Monthly', '202509', %s, '{}', %s)",
                    (measure, org_unit, value),
                )

    return replace
