"""DHIS2 metadata as its importer takes them: a country, an account and one monthly data set, of the size a test wants."""

from collections.abc import Iterable, Sequence
from typing import Any

OPEN = {"public": "rwrw----", "userGroups": {}, "users": {}}
READ_ONLY = {"public": "rwr-----", "userGroups": {}, "users": {}}
COUNTRY, DEFAULT_COMBO = "OuCountry01", {"id": "__DEFAULT_CC__"}
PASSWORD = "secret"
FACILITIES = [f"OuFacil{number:04d}" for number in range(1, 301)]
KNOWN = [*FACILITIES, "OuFacility1", "OuFacility2", "OuFacility3"]  # the last of which the data set has not


def named(uid: str, **members: Any) -> dict[str, Any]:
    """Return an object that goes by its id alone."""
    return {"id": uid, "name": uid, "shortName": uid, "code": uid, **members}


def unit(uid: str, parent: str | None = COUNTRY, **members: Any) -> dict[str, Any]:
    """Return an org unit that opened in 2015."""
    above = {"parent": {"id": parent}} if parent else {}
    return named(uid, openingDate="2015-01-01", **above, **members)


def element(uid: str, value_type: str = "INTEGER_ZERO_OR_POSITIVE", **members: Any) -> dict[str, Any]:
    """Return a data element of a sum."""
    usual = {"domainType": "AGGREGATE", "aggregationType": "SUM", "zeroIsSignificant": False, "sharing": OPEN}
    return named(uid, valueType=value_type, **usual | {"categoryCombo": DEFAULT_COMBO} | members)


def data_set(uid: str, code: str, elements: Iterable[str], units: Iterable[str], **members: Any) -> dict[str, Any]:
    """Return a monthly data set that never closes."""
    usual = {"periodType": "Monthly", "openFuturePeriods": 0, "expiryDays": 0, "categoryCombo": DEFAULT_COMBO}
    parts = {
        "dataSetElements": [{"dataElement": {"id": one}} for one in elements],
        "organisationUnits": [{"id": one} for one in units],
    }
    return named(uid) | usual | parts | {"code": code, "sharing": OPEN} | members


def accounts(**users: tuple[str, str]) -> dict[str, Any]:
    """Return users and their roles by name: each has one authority, and sees and writes below one org unit."""
    return {
        "userRoles": [
            {"id": f"Ur{name:0<9}", "name": name, "authorities": [right]} for name, (right, _) in users.items()
        ],
        "users": [
            {"id": f"Us{name:0<9}", "username": name, "password": PASSWORD, "userRoles": [{"id": f"Ur{name:0<9}"}],
             "organisationUnits": [{"id": below}], "dataViewOrganisationUnits": [{"id": below}]}
            for name, (_, below) in users.items()
        ],
    }  # fmt: skip


def metadata(*, units: Sequence[str] = KNOWN, sharing: dict[str, Any] = OPEN) -> dict[str, Any]:
    """Return DHIS2 as the ledger's surroundings know it: two elements, one of which keeps its zeros."""
    signed = element("DeSigned001", "INTEGER", zeroIsSignificant=True, sharing=sharing)
    assigned = [one for one in units if one != "OuFacility3"]
    return {"stages": [
        {"organisationUnits": [unit(COUNTRY, None), *map(unit, units)]},
        {
            "dataElements": [element("DeVisits001", sharing=sharing), signed],
            **accounts(pusher=("F_DATAVALUE_ADD", COUNTRY)),
            "dataSets": [data_set("DsMonthly01", "DS_M", ("DeVisits001", "DeSigned001"), assigned, sharing=sharing)],
        },
    ]}  # fmt: skip


def moved_out(made: dict[str, Any], *units: str) -> dict[str, Any]:
    """Move units out of the account's part of the hierarchy."""
    known = made["stages"][0]["organisationUnits"]
    known.insert(0, unit("OuElsewhere", None))
    for found in known:
        if found["id"] in units:
            found["parent"] = {"id": "OuElsewhere"}
    return made
