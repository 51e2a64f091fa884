"""A ledger for the people's rooms: two data sets, three facilities of a district, and values in every standing."""

from opensrp_dhis2.warehouse.database import Connection

TARGET = "https://dhis2.example.org"
RUN = "run-7"
HOSTILE = "<script>alert('Ruiru & Sons')</script>"

SURROUNDINGS = """
insert into lookup.org_unit values
  ('OuCountry01', 'KE', 'Kenya', 1, '/OuCountry01', '2010-01-01', null),
  ('OuDistrict1', 'D1', 'Kiambu', 2, '/OuCountry01/OuDistrict1', '2010-01-01', null),
  ('OuFacility1', 'F1', 'Alpha Health Centre', 3, '/OuCountry01/OuDistrict1/OuFacility1', '2015-01-01', null),
  ('OuFacility2', 'F2', 'Béni Dispensary', 3, '/OuCountry01/OuDistrict1/OuFacility2', '2015-01-01', null),
  ('OuFacility3', 'F3', $$<script>alert('Ruiru & Sons')</script>$$, 3, '/OuCountry01/OuDistrict1/OuFacility3', null,
   null);
insert into lookup.data_set values
  ('DsMonthly01', 'DS_M', 'Mother and child', 'Monthly', 'CcDefault01', 0, 0, false, true),
  ('DsWeekly001', 'DS_W', 'Weekly alerts', 'Weekly', 'CcDefault01', 0, 0, false, true);
insert into lookup.data_element values
  ('DeVisits001', 'VISITS', 'First visits', 'INTEGER', 'SUM', false, 'CcDefault01', null),
  ('DeFever0001', 'FEVER', '=cmd|calc', 'INTEGER', 'SUM', false, 'CcDefault01', null);
insert into lookup.category_option_combo values
  ('HllvX50cXC0', null, 'default', 'CcDefault01', '{}', '{}'), ('CoFemale001', 'F', 'Female', 'CcSex000001', '{F}', '{}');
insert into lookup.period values ('Monthly', '202509', '2025-09-01', '2025-09-30'),
  ('Monthly', '202510', '2025-10-01', '2025-10-31'), ('Weekly', '2025W40', '2025-09-29', '2025-10-05');
"""
VALUES = [  # data set, period, org unit, data element, combo, wanted, acknowledged, state, code
    ("DsMonthly01", "202509", "OuFacility1", "DeVisits001", "HllvX50cXC0", "12", "12", "delivered", None),
    ("DsMonthly01", "202509", "OuFacility1", "DeFever0001", "HllvX50cXC0", "0", "0", "dropped", None),
    ("DsMonthly01", "202509", "OuFacility2", "DeVisits001", "HllvX50cXC0", "-4", None, "refused", "E8122"),
    ("DsMonthly01", "202509", "OuFacility2", "DeFever0001", "HllvX50cXC0", "9", None, "withheld", "E8022"),
    ("DsMonthly01", "202509", "OuFacility2", "DeFever0001", "CoFemale001", "3", None, "withheld", "E8022"),
    ("DsMonthly01", "202509", "OuFacility3", "DeFever0001", "HllvX50cXC0", "5", None, "withheld", "E8022"),
    ("DsMonthly01", "202510", "OuFacility1", "DeVisits001", "HllvX50cXC0", "8", "7", "withheld", "E8030"),
    ("DsMonthly01", "202510", "OuFacility3", "DeVisits001", "HllvX50cXC0", "6", None, "pending", None),
    ("DsWeekly001", "2025W40", "OuFacility1", "DeFever0001", "HllvX50cXC0", None, None, "withdrawn", None),
    ("DsWeekly001", "2025W40", "OuFacility2", "DeFever0001", "HllvX50cXC0", "2", "2", "delivered", None),
]


def seed(connection: Connection) -> None:
    """Fill the lookup tables and the ledger, and keep what run-7 and six runs before it did."""
    connection.execute(SURROUNDINGS)
    for value in VALUES:
        connection.execute(
            "insert into outbox.value (target, data_set_id, period, org_unit_id, data_element_id,"
            " category_option_combo_id, wanted, acknowledged, state, code, attribute_option_combo_id, run_id)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'HllvX50cXC0', %s)",
            (TARGET, *value, RUN),
        )
    for number in range(1, 8):
        deliver(connection, f"run-{number}", "DsMonthly01", "202509", number, accepted=10 * number)
    deliver(connection, RUN, "DsMonthly01", "202510", 7, accepted=0)
    deliver(connection, RUN, "DsWeekly001", "2025W40", 7, accepted=1)


def deliver(connection: Connection, run_id: str, data_set_id: str, period: str, day: int, *, accepted: int) -> None:
    """Keep what one run did for one data set and period, on a day of October 2025."""
    connection.execute(
        "insert into outbox.delivery values (%s, %s, %s, %s, %s, %s, 1, 20, 3, 2, 1.5, %s)",
        (run_id, TARGET, data_set_id, period, accepted + 1, accepted, f"2025-10-{day:02d} 22:30+00"),
    )
