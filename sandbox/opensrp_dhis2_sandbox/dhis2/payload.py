"""Reads the body of a data value import, whatever its form, into one JSON-like document.

It knows gzip, JSON, dxf2 XML, CSV and ADX; which members mean what is the engines' affair.
"""

import csv
import gzip
import io
import json
import zipfile
from datetime import date
from typing import Any
from xml.etree import ElementTree

from opensrp_dhis2_sandbox.dhis2.imports import Json, RefusedRequest
from opensrp_dhis2_sandbox.dhis2.periods import RULES

ROW_CSV = (
    "dataElement",
    "period",
    "orgUnit",
    "categoryOptionCombo",
    "attributeOptionCombo",
    "value",
    "storedBy",
    "",
    "comment",
    "followup",
    "deleted",
)
ATOMIC_CSV = {
    "dataelement": "dataElement", "period": "period", "orgunit": "orgUnit", "value": "value", "comment": "comment",
    "categoryoptioncombo": "categoryOptionCombo", "attributeoptioncombo": "attributeOptionCombo",
    "followup": "followUp", "deleted": "deleted", "storedby": "", "lastupdated": "",
}  # fmt: skip
ADX_PERIODS = {
    "P1M": "Monthly",
    "P7D": "Weekly",
    "P3M": "Quarterly",
    "P6M": "SixMonthly",
    "P1Y": "Yearly",
    "P1D": "Daily",
}


class UnreadableBody(Exception):
    """The body is not what its content type says; each engine answers that in its own way."""

    def __init__(self, row_text: str, atomic_text: str) -> None:
        super().__init__(atomic_text)
        self.row_text, self.atomic_text = row_text, atomic_text


def unpack(body: bytes) -> bytes:
    """Unpack gzip and zip by their first bytes, whatever the headers say."""
    if body[:2] == b"\x1f\x8b":
        return gzip.decompress(body)
    if body[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return archive.read(archive.namelist()[0])
    return body


def read_payload(body: bytes, content_type: str, data_set: str, *, is_atomic: bool) -> Json:
    """Read a body; 415 for types that DHIS2 does not take."""
    kind = content_type.partition(";")[0].strip().lower()
    text = unpack(body)
    if kind == "application/json":
        return _json(text, is_atomic=is_atomic)
    if kind == "application/xml":
        return _xml(text)
    if kind == "application/csv":
        header = {"dataSet": data_set} if data_set else {}
        return header | {"dataValues": _atomic_csv(text) if is_atomic else _row_csv(text)}
    if kind == "application/adx+xml":
        return _adx(text, is_atomic=is_atomic)
    if is_atomic:
        raise RefusedRequest(
            415, f"Content-Type '{kind}' is not supported" if kind else "Content-Type is not supported"
        )
    raise RefusedRequest(415, f"Content type '{kind}' not supported")


def _json(text: bytes, *, is_atomic: bool) -> Json:
    if not text.strip():
        raise UnreadableBody(
            "com.fasterxml.jackson.databind.exc.MismatchedInputException: No content to map due to end-of-input",
            "Unexpected character at position 0,\n\n^ expected a JSON value but found EOI",
        )
    try:
        document: Any = json.loads(text)
    except ValueError as error:
        tail = text.decode(errors="replace")[-20:]
        raise UnreadableBody(
            f"com.fasterxml.jackson.databind.JsonMappingException: {error}", f"Expected }} but reach EOI: {tail}"
        ) from error
    if isinstance(document, dict):
        return document
    if is_atomic and isinstance(document, list):
        return {}  # an array has no members, so the real server imports nothing and says SUCCESS
    raise UnreadableBody(
        "com.fasterxml.jackson.databind.exc.MismatchedInputException: Cannot deserialize value of type "
        "`org.hisp.dhis.dxf2.datavalueset.DataValueSet` from Array value (token `JsonToken.START_ARRAY`)",
        "",
    )


def _xml(text: bytes) -> Json:
    root = ElementTree.fromstring(text)  # noqa: S314 - a sandbox on loopback, fed by its own tests
    rows = [_typed(child.attrib) for child in root]
    return {**root.attrib, "dataValues": rows}


def _typed(attributes: dict[str, str]) -> Json:
    flags: Json = {
        name: attributes[name] == "true" for name in ("followUp", "followup", "deleted") if name in attributes
    }
    return {**attributes, **flags}


def _row_csv(text: bytes) -> list[Json]:
    lines = list(csv.reader(io.StringIO(text.decode())))[1:]
    pairs = (zip(ROW_CSV, line, strict=False) for line in lines if line)
    return [_typed({name: cell for name, cell in pair if name and cell}) for pair in pairs]


def _atomic_csv(text: bytes) -> list[Json]:
    rows = []
    for line in csv.DictReader(io.StringIO(text.decode())):
        row: Json = _typed({ATOMIC_CSV[n]: cell for n, cell in line.items() if ATOMIC_CSV.get(n) and cell})
        # Columns of other names, and lastupdated, are taken for categories, from the last one back.
        others = {n: cell for n, cell in reversed(line.items()) if cell and (n == "lastupdated" or n not in ATOMIC_CSV)}
        if set(others) - {"lastupdated"} and "categoryOptionCombo" not in row:
            row["categoryOptions"] = others
        rows.append(row)
    return rows


def _adx(text: bytes, *, is_atomic: bool) -> Json:
    group = ElementTree.fromstring(text)[0]  # noqa: S314 - a sandbox on loopback, fed by its own tests
    start, _, length = group.attrib["period"].partition("/")
    period = RULES[ADX_PERIODS[length]].covering(date.fromisoformat(start[:10])).iso
    rows = [{**child.attrib, **({"categoryOptions": {}} if is_atomic else {})} for child in group]
    header: Json = {name: group.attrib[name] for name in ("dataSet", "orgUnit") if name in group.attrib}
    return {**header, "period": period, "dataValues": rows}
