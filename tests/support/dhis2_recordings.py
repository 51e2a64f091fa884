"""Recorded exchanges as tests want them: what was sent, what was answered, and what stood in DHIS2 afterwards."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from opensrp_dhis2.dhis2.imports.row_engine import is_droppable_zero
from opensrp_dhis2.dhis2.models import DataValue, Reply, SentValue, ServerVersion, ValueKey, ValueVerdict, Verdict
from opensrp_dhis2.dhis2.periods import is_period, parse_period
from tests.conftest import ROOT

Json = dict[str, Any]
State = dict[ValueKey, str | None]  # live cells only

FOLDER = ROOT.parent / "shared" / "contracts" / "dhis2"
VERSIONS = ("2.41.9.1", "2.43.1")
DEFAULT_COMBO = "HllvX50cXC0"
YES, NO = {"1", "t", "true", "yes", "y"}, {"0", "f", "false", "no", "n"}


@dataclass(frozen=True)
class Exchange:
    """One recorded POST of a data value set."""

    name: str
    version: ServerVersion
    sent: list[SentValue]
    reply: Reply
    after: State
    seen: frozenset[tuple[str, str, str]]  # (data set, org unit, period) that were read back

    def shows(self, value: DataValue) -> bool:
        """Tell whether the read-back would show this cell: it reads a data set's own elements only."""
        return any(
            value.data_element in _data_set_elements()[data_set] and (unit, period) == (value.org_unit, value.period)
            for data_set, unit, period in self.seen
        )


def load(version: str, name: str) -> Json:
    """Read one recording, or skip the test where there are none."""
    path = FOLDER / version / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"needs {path.name} in ../shared, which is not here")
    found: Json = json.loads(path.read_text())
    return found


def reply_of(recording: Json) -> Reply:
    """Give the recorded answer as the client would."""
    answer = recording["response"]
    body = answer["body"] if isinstance(answer["body"], str) else json.dumps(answer["body"])
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    return Reply(answer["status"], body.encode(), headers.get("content-type", ""), headers)


def import_names() -> list[tuple[str, str]]:
    """List the recorded imports with a JSON body that stands whole in the file."""
    found = []
    for version in VERSIONS:
        for path in sorted((FOLDER / version).glob("*.json")):
            request = json.loads(path.read_text()).get("request", {})
            is_import = request.get("method") == "POST" and request.get("path", "").endswith("/dataValueSets")
            rows = request["body"].get("dataValues", []) if is_import and isinstance(request["body"], dict) else []
            if is_import and rows and _is_our_form(request):
                found.append((version, path.stem))
    return found


def import_replies(version: str) -> list[tuple[str, Reply]]:
    """Give the recorded answer to every import, whatever its form."""
    found = [json.loads(path.read_text()) for path in sorted((shared_folder() / version).glob("*.json"))]
    return [
        (one["name"], reply_of(one))
        for one in found
        if one.get("request", {}).get("method") == "POST" and one["request"]["path"].endswith("/dataValueSets")
    ]


def _is_our_form(request: Json) -> bool:
    """Leave out what our client never sends and a reply cannot show: trials, codes for ids, maps, deletion scopes."""
    body = request["body"]
    members = {*request["query"], *body}
    rows = body["dataValues"]
    return (
        not any(member.lower().endswith("idscheme") for member in members)
        and not members & {"attributeCategoryOptions", "deletion", "dryRun"}
        and request["query"].get("importStrategy", "DELETE") in ("CREATE_AND_UPDATE", "DELETE")
        and request["query"].get("async") != "true"
        and all(isinstance(row, dict) for row in rows)
        and not any(isinstance(value, dict) for one in (body, *rows) for value in one.values())
    )


def exchange(version: str, name: str) -> Exchange:
    """Read one recorded import."""
    recording = load(version, name)
    request = recording["request"]
    server = ServerVersion.parse(version)
    after, seen = _state_after(recording)
    return Exchange(
        name=name,
        version=server,
        sent=sent_values(request["body"], request["query"], server),
        reply=reply_of(recording),
        after=after,
        seen=seen,
    )


def _state_after(recording: Json) -> tuple[State, frozenset[tuple[str, str, str]]]:
    after, seen = {}, set()
    for read in recording.get("state_after") or []:
        if "/dataValueSets?" not in read["query"] or read["status"] != 200:
            continue
        asked = [pair.partition("=")[::2] for pair in read["query"].partition("?")[2].split(" ")[0].split("&")]
        units = [value for name, value in asked if name == "orgUnit"]
        (data_set,) = [value for name, value in asked if name == "dataSet"]
        seen |= {(data_set, unit, value) for unit in units for name, value in asked if name == "period"}
        header = {name: value for name, value in read["body"].items() if name != "dataValues"}
        for row in read["body"]["dataValues"]:
            whole = {**header, **row}
            if whole.get("deleted") is not True:
                after[key_of(whole, header, is_old=False)] = whole.get("value")
    return after, frozenset(seen)


def sent_values(body: Json, query: Json, version: ServerVersion) -> list[SentValue]:
    """Give the rows of a payload as our client sends them: everything on the row, every value a text."""
    elements = _elements()
    sent = []
    for row in body["dataValues"]:
        key = key_of(row, body, is_old=version.import_engine == "row")
        value = _text(row.get("value"))
        is_deleted = bool(row.get("deleted")) or query.get("importStrategy") == "DELETE"
        element = elements.get(key.data_element)
        is_zero = element is not None and is_droppable_zero(
            value,
            value_type=element["valueType"],
            aggregation_type=element["aggregationType"],
            is_zero_significant=element["zeroIsSignificant"],
        )
        sent.append(SentValue(DataValue(*key, value, is_deleted), is_zero))
    return sent


def key_of(row: Json, header: Json, *, is_old: bool) -> ValueKey:
    """Find the cell of a row: the header wins on the old engine, the row on the new one."""

    def member(name: str) -> str:
        found = (header.get(name), row.get(name))
        return str((found[0] or found[1] if is_old else found[1] or found[0]) or "")

    period = member("period")
    return ValueKey(
        str(row.get("dataElement") or ""),
        parse_period(period).id if is_period(period) else period,
        member("orgUnit"),
        str(row.get("categoryOptionCombo") or DEFAULT_COMBO),
        member("attributeOptionCombo") or DEFAULT_COMBO,
    )


def is_true(row: ValueVerdict, sent: SentValue, before: State | None, after: State) -> bool:
    """Tell whether a verdict agrees with what stands in DHIS2; without a state before, as far as can be told."""
    key, value = sent.data_value.key, sent.data_value.value
    there = key in after and _normal(key, after[key]) == _normal(key, value)
    if row.verdict in (Verdict.STORED, Verdict.UNCHANGED):
        return there and (row.verdict is Verdict.STORED or before is None or before.get(key) == after[key])
    if row.verdict in (Verdict.DELETED, Verdict.DROPPED):
        return key not in after
    if row.verdict in (Verdict.REFUSED, Verdict.BLOCKED):
        is_same = before is not None and (key in before, before.get(key)) == (key in after, after.get(key))
        return is_same or (before is None and sent.data_value.is_deleted) or there == sent.data_value.is_deleted
    return True


@cache
def _elements() -> dict[str, Json]:
    path = FOLDER / "metadata.json"
    stages = json.loads(path.read_text())["stages"]
    return {element["id"]: element for stage in stages for element in stage.get("dataElements", [])}


@cache
def _data_set_elements() -> dict[str, set[str]]:
    stages = json.loads((FOLDER / "metadata.json").read_text())["stages"]
    sets = [one for stage in stages for one in stage.get("dataSets", [])]
    return {one["id"]: {row["dataElement"]["id"] for row in one["dataSetElements"]} for one in sets}


def _text(value: object) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _normal(key: ValueKey, value: str | None) -> str | None:
    """Write a value as the servers store it, which is not always as it was sent."""
    if value is None:
        return None
    value_type = _elements().get(key.data_element, {}).get("valueType", "")
    if value_type in ("BOOLEAN", "TRUE_ONLY"):
        return "true" if value.lower() in YES else "false" if value.lower() in NO else value
    return value.removesuffix(".0") if value_type.startswith("INTEGER") else value


def shared_folder() -> Path:
    """Give the folder of the recordings, or skip the test."""
    if not FOLDER.is_dir():
        pytest.skip("needs the recorded material in ../shared, which is not here")
    return FOLDER
