"""A small ledger's surroundings: two facilities, one monthly data set, and an indicator whose totals a test sets."""

from collections.abc import Callable

import pytest

from opensrp_dhis2.warehouse.database import Warehouse

Totals = dict[tuple[str, str], int]  # (measure, org unit) -> value
SetTotals = Callable[[Totals], None]

SURROUNDINGS = """
insert into lookup.org_unit values
  ('OuFacility1', 'F1', 'One', 4, '/OuFacility1', '2015-01-01', null),
  ('OuFacility2', 'F2', 'Two', 4, '/OuFacility2', '2015-01-01', null),
  ('OuFacility3', 'F3', 'Not assigned', 4, '/OuFacility3', '2015-01-01', null),
  ('OuFacility4', 'F4', 'Closed', 4, '/OuFacility4', '2015-01-01', '2025-06-30');
insert into lookup.category_combo values ('CcDefault01', 'default', 'default', true);
insert into lookup.category_option_combo values ('HllvX50cXC0', 'default', 'default', 'CcDefault01', '{}', '{}');
insert into lookup.data_set values ('DsMonthly01', 'DS_M', 'Monthly', 'Monthly', 'CcDefault01', 0, 0, false, true);
insert into lookup.data_set_org_unit
  select 'DsMonthly01', u from unnest(array['OuFacility1', 'OuFacility2', 'OuFacility4']) u;
insert into lookup.data_element values
  ('DeVisits001', 'VISITS', 'Visits', 'INTEGER_ZERO_OR_POSITIVE', 'SUM', false, 'CcDefault01', null),
  ('DeSigned001', 'SIGNED', 'Signed', 'INTEGER', 'SUM', true, 'CcDefault01', null);
insert into lookup.data_set_element select 'DsMonthly01', e, 'CcDefault01'
  from unnest(array['DeVisits001', 'DeSigned001']) e;
insert into lookup.period values ('Monthly', '202509', '2025-09-01', '2025-09-30');
insert into lookup.target
  select 'visits', m, '{}', 'DsMonthly01', 'Monthly', e, 'HllvX50cXC0', 'HllvX50cXC0'
  from (values ('visits', 'DeVisits001'), ('signed', 'DeSigned001')) t (m, e);
create table indicator.value (indicator text, measure text, period_type text, period text, org_unit_id text,
  disaggregation text[], value numeric);
"""


@pytest.fixture
def set_totals(warehouse: Warehouse) -> SetTotals:
    """Give a function that replaces the totals of September 2025."""
    with warehouse.connect() as connection:
        connection.execute(SURROUNDINGS)

    def replace(totals: Totals) -> None:
        with warehouse.connect() as connection:
            connection.execute("delete from indicator.value")
            for (measure, org_unit), value in totals.items():
                connection.execute(
                    "insert into indicator.value values ('visits', %s, 'Monthly', '202509', %s, '{}', %s)",
                    (measure, org_unit, value),
                )

    return replace
