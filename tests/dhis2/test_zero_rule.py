"""The zero rule of old servers, as code and on both engines."""

import json
from itertools import product

import pytest
from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.dhis2.auth import make_auth, read_auth
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.imports.row_engine import is_droppable_zero
from tests.support.dhis2_metadata import metadata
from tests.support.dhis2_site import NOW, VERSIONS

CELLS = {
    f"DeZero{number:05d}": cell
    for number, cell in enumerate(product(("SUM", "AVERAGE", "AVERAGE_SUM_ORG_UNIT", "LAST"), (True, False)))
}
DEFAULT = "HllvX50cXC0"


@pytest.mark.parametrize(
    ("value", "value_type", "aggregation_type", "is_significant", "expected"),
    [
        ("0", "INTEGER_ZERO_OR_POSITIVE", "SUM", False, True),
        ("0.0", "NUMBER", "SUM", False, True),
        ("0.", "NUMBER", "SUM", False, True),
        ("0", "INTEGER_ZERO_OR_POSITIVE", "SUM", True, False),
        ("0", "NUMBER", "AVERAGE", False, False),
        ("0", "NUMBER", "AVERAGE_SUM_ORG_UNIT", False, False),
        ("0", "BOOLEAN", "NONE", False, False),
        ("0", "TEXT", "NONE", False, False),
        ("10", "INTEGER", "SUM", False, False),
        ("00", "INTEGER", "SUM", False, False),
        ("-0", "NUMBER", "SUM", False, False),
        (None, "INTEGER", "SUM", False, False),
    ],
)
def test_an_old_server_drops_only_insignificant_numeric_zeros_that_are_not_averaged(
    value: str | None, value_type: str, aggregation_type: str, is_significant: bool, expected: bool
) -> None:
    found = is_droppable_zero(
        value, value_type=value_type, aggregation_type=aggregation_type, is_zero_significant=is_significant
    )
    assert found is expected


@pytest.mark.parametrize("version", VERSIONS)
def test_every_zero_ends_as_foretold_in_an_empty_cell_and_over_a_value(version: str) -> None:
    """Recorded as 22-zero-insignificant-new and 22d-zero-over-existing: what is dropped is gone, and so is what stood."""
    document = metadata()
    elements, data_sets = document["stages"][1]["dataElements"], document["stages"][1]["dataSets"]
    elements += [
        {**elements[0], "id": uid, "code": uid, "name": uid, "aggregationType": aggregation, "zeroIsSignificant": keeps}
        for uid, (aggregation, keeps) in CELLS.items()
    ]
    data_sets[0]["dataSetElements"] += [{"dataElement": {"id": uid}} for uid in CELLS]
    with running(create_app(document, version=version, clock=lambda: NOW)) as url:
        auth = make_auth(read_auth("basic", {"username": "pusher", "password": "secret"}), url)
        with Dhis2Client(url, auth=auth) as client:
            send(client, "OuFacility2", "5")
            for unit in ("OuFacility1", "OuFacility2"):
                send(client, unit, "0")
            found = client.read_data_values("DsMonthly01", "202509", ["OuFacility1", "OuFacility2"])
            there = {(value.org_unit, value.data_element): value.value for value in found}
    stored = [
        uid
        for uid, (aggregation, keeps) in CELLS.items()
        if version == "2.43"
        or not is_droppable_zero("0", value_type="NUMBER", aggregation_type=aggregation, is_zero_significant=keeps)
    ]
    assert there == {(unit, uid): "0" for unit in ("OuFacility1", "OuFacility2") for uid in stored}


def send(client: Dhis2Client, unit: str, text: str) -> None:
    """Send the same value of every element."""
    keys = {"period": "202509", "orgUnit": unit, "categoryOptionCombo": DEFAULT, "attributeOptionCombo": DEFAULT}
    values = [{"dataElement": uid, "value": text, **keys} for uid in CELLS]
    client.post_data_value_set(json.dumps({"dataSet": "DsMonthly01", "dataValues": values}).encode())
