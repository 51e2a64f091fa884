"""Recorded imports judged offline: the reading of the reply and the forecast, held to what the server stored."""

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from opensrp_dhis2_sandbox.dhis2 import atomic_engine, row_engine
from opensrp_dhis2_sandbox.dhis2.imports import Circumstances, DataValue, Key, RefusedRequest, summary_envelope
from opensrp_dhis2_sandbox.dhis2.metadata import Metadata
from opensrp_dhis2_sandbox.dhis2.options import read_options
from opensrp_dhis2_sandbox.recording import Case, Server, State, read_recording
from opensrp_dhis2_sandbox.replay import JudgedRow, Score, is_like_ours, judge
from opensrp_dhis2_sandbox.start import DISTRICT_METADATA, read_sandbox_metadata

from opensrp_dhis2.cli import main
from opensrp_dhis2.dhis2.models import Reply, ServerVersion, Verdict

Json = dict[str, Any]
DEFAULT = "HllvX50cXC0"
VISITS, DOSES, HERE, THERE = "DeHhVisits0", "DeActDispe0", "OuDistFaci1", "OuDistFaci2"
METADATA = Metadata(read_sandbox_metadata(DISTRICT_METADATA))
OLD, NEW = "2.41.9.1", "2.43.1"
DONE = {Verdict.STORED, Verdict.UNCHANGED, Verdict.DELETED}


def a_row(value: str | None, unit: str = HERE, element: str = VISITS, **members: Any) -> Json:
    combos = {"categoryOptionCombo": DEFAULT, "attributeOptionCombo": DEFAULT}
    return {"dataElement": element, "period": "202409", "orgUnit": unit, "value": value, **combos, **members}


def a_cell(value: str | None, unit: str = HERE, *, is_deleted: bool = False, period: str = "202409") -> list[Any]:
    return [VISITS, period, unit, DEFAULT, DEFAULT, value, None, False, is_deleted or None]


def a_case(rows: list[Any], counts: tuple[int, int, int, int], **members: Any) -> Json:
    """A case on the old engine: taken whole, over nothing, unless its members say otherwise."""
    names = ("imported", "updated", "ignored", "deleted")
    rejected, conflicts = members.pop("rejected", []), members.pop("conflicts", [])
    summary = {
        "status": "WARNING" if conflicts else "SUCCESS",
        "description": "Import process completed successfully",
        "importCount": dict(zip(names, counts, strict=True)),
        "conflicts": conflicts,
        "rejectedIndexes": rejected,
    }
    status = 409 if conflicts else 200
    body = {"dataSet": "DsChwM00000", **members.pop("header", {}), "dataValues": rows}
    plain: Json = {"user": "pipeline", "query": {}, "body": body, "mutations": [], "status": status}
    reply = {"httpStatus": "x", "httpStatusCode": status, "status": "OK", "response": summary}
    return {**plain, "state_before": [], "state_after": [], "reply": reply, **members}


def a_recording(folder: Path, cases: list[Json], version: str = OLD) -> Path:
    path = folder / "cases.jsonl.gz"
    lines: list[Json] = [{"server": version, "date": "2026-11-21T03:17:10.336"}]
    lines += [{"case": number, **case} for number, case in enumerate(cases)]
    with gzip.open(path, "wt") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in lines)
    return path


def run(path: Path, metadata: Path = DISTRICT_METADATA) -> tuple[Result, list[Json]]:
    out = path.with_name("verdicts.jsonl")
    result = CliRunner().invoke(
        main, ["recordings", "score", str(path), "--metadata", str(metadata), "--json", str(out)]
    )
    return result, [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


CASES: dict[str, tuple[Json, list[str], list[str]]] = {
    "a new value, and one that stood there": (
        a_case(
            [a_row("5"), a_row("7", THERE)],
            (1, 0, 1, 0),
            state_before=[a_cell("7", THERE)],
            state_after=[a_cell("5"), a_cell("7", THERE)],
        ),
        ["stored", "stored"],
        ["stored", "unchanged"],
    ),
    "the header's period wins over the row's": (
        a_case([a_row("5", period="202408")], (1, 0, 0, 0), header={"period": "2024-09"}, state_after=[a_cell("5")]),
        ["stored"],
        ["stored"],
    ),
    "codes in the payload, ids in the state": (
        a_case([a_row("5", "HF-1")], (1, 0, 0, 0), query={"orgUnitIdScheme": "code"}, state_after=[a_cell("5")]),
        ["stored"],
        ["stored"],
    ),
    "a zero that means nothing removes what stood there": (
        a_case([a_row("0")], (0, 0, 0, 1), state_before=[a_cell("5")], state_after=[a_cell("0", is_deleted=True)]),
        ["dropped"],
        ["dropped"],
    ),
    "a zero revives a deleted cell": (
        a_case([a_row("0")], (1, 0, 0, 0), state_before=[a_cell("5", is_deleted=True)], state_after=[a_cell("0")]),
        ["stored"],
        ["stored"],
    ),
    "of two rows for a new cell the first stands": (
        a_case([a_row("5"), a_row("7")], (1, 0, 0, 0), state_after=[a_cell("5")]),
        ["unknown", "unknown"],
        ["stored", "refused"],
    ),
    "of two rows for a known cell the last stands": (
        a_case([a_row("5"), a_row("7")], (0, 2, 0, 0), state_before=[a_cell("1")], state_after=[a_cell("7")]),
        ["unknown", "unknown"],
        ["refused", "stored"],
    ),
    "importStrategy DELETE": (
        a_case(
            [a_row("5")],
            (0, 0, 0, 1),
            query={"importStrategy": "DELETE"},
            state_before=[a_cell("5")],
            state_after=[a_cell("5", is_deleted=True)],
        ),
        ["deleted"],
        ["deleted"],
    ),
    "a dry run": (a_case([a_row("5")], (1, 0, 0, 0), query={"dryRun": "true"}), ["unknown"], ["refused"]),
    "a period that is none": (
        a_case(
            [a_row("5", period="202413"), a_row("5")],
            (1, 0, 1, 0),
            rejected=[0],
            conflicts=[{"errorCode": "E7611", "objects": {"period": "202413"}, "indexes": [0]}],
            state_after=[a_cell("5")],
        ),
        ["refused", "stored"],
        ["refused", "stored"],
    ),
    "a user that the metadata lacks": (
        a_case([a_row("5")], (1, 0, 0, 0), user="stranger", state_after=[a_cell("5")]),
        ["stored"],
        ["unknown"],
    ),
    "a row that is no object": (a_case([["5"]], (0, 0, 0, 0)), ["unknown"], ["unknown"]),
    "no rows": (a_case([], (0, 0, 0, 0), body="<dataValueSet/>"), [], []),
}


def test_every_kind_of_case_is_read_and_forecast_as_the_state_shows(tmp_path: Path) -> None:
    result, lines = run(a_recording(tmp_path, [case for case, _, _ in CASES.values()]))
    expected = [(read, forecast) for _, read, forecast in CASES.values()]
    found = [(line["interpreted"], line["forecast"]) for line in lines]
    assert dict(zip(CASES, found, strict=True)) == dict(zip(CASES, expected, strict=True))
    assert result.exit_code == 0
    assert "No verdict differs" in result.output


def test_a_reply_that_claims_what_is_not_there_is_shown_with_its_case_and_fails_the_command(tmp_path: Path) -> None:
    lie = a_case([a_row("5")], (1, 0, 0, 0), mutations=["a-lie"], state_after=[])
    result, lines = run(a_recording(tmp_path, [a_case([a_row("5")], (1, 0, 0, 0), state_after=[a_cell("5")]), lie]))
    assert lines[1] == {"case": 1, "interpreted": ["stored"], "forecast": ["stored"]}
    assert result.exit_code == 1
    assert "a-lie" in result.output


def test_the_forecast_looks_neither_at_the_reply_nor_at_the_state_after(tmp_path: Path) -> None:
    cases = [{**case, "reply": None, "status": 502, "state_after": []} for case, _, _ in CASES.values()]
    _, lines = run(a_recording(tmp_path, cases))
    assert [line["forecast"] for line in lines] == [forecast for _, _, forecast in CASES.values()]
    assert {verdict for line in lines for verdict in line["interpreted"]} == {"unknown"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1 must be"),
        ('{"server": "2.41.9.1", "date": "2026-11-21"}\n{"case": 1}\n', "line 2 is no recorded case"),
        ("no json\n", "cannot be read"),
    ],
)
def test_a_file_that_is_no_recording_is_named_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(text)
    result, _ = run(path)
    assert result.exit_code == 1
    assert complaint in " ".join(result.output.split())


# whatever is sent to either engine, in whatever state: the reading of its reply never contradicts what it stored

VALUE = st.sampled_from(["0", "5", "7", "5", "0.0", "x", "", " ", None])
SENT_ROW = st.builds(
    lambda value, unit, element, members: a_row(value, unit, element, **members),
    VALUE,
    st.sampled_from([HERE, HERE, THERE]),
    st.sampled_from([VISITS, VISITS, DOSES]),
    st.sampled_from([{}, {}, {}, {"deleted": True}, {"comment": "late"}, {"period": "202413"}, {"orgUnit": "x"}]),
)
CELL = st.tuples(st.sampled_from([VISITS, DOSES]), st.sampled_from([HERE, THERE]))
STOOD = st.dictionaries(CELL, st.tuples(st.sampled_from(["0", "5", "7", "9"]), st.booleans()))
QUERY = st.sampled_from([{}, {}, {}, {"importStrategy": "CREATE"}, {"importStrategy": "UPDATE"}, {"dryRun": "true"}])


def a_server(version: str) -> Server:
    return Server(METADATA, ServerVersion.parse(version), datetime(2026, 11, 21, 3, 17))


def answered(server: Server, rows: list[Json], query: Json, before: State) -> Case:
    """Let the engine answer, as the sandbox server would."""
    body = {"dataSet": "DsChwM00000", "dataValues": rows}
    user = METADATA.users["pipeline"]
    where = Circumstances(METADATA, user, server.now, dict(before).get, frozenset(), frozenset())
    engine = atomic_engine if server.is_atomic else row_engine
    try:
        result = engine.import_values(body, read_options(query, is_atomic=server.is_atomic), where)
        status, envelope = result.http_status, summary_envelope(result, None, is_atomic=server.is_atomic)
        writes = {} if query.get("dryRun") else result.writes
    except RefusedRequest as refused:
        status, envelope, writes = refused.status, refused.envelope, {}
    reply = Reply(status, json.dumps(envelope).encode(), "application/json")
    return Case(0, (), user.username, query, body, reply, before, {**before, **writes})


@settings(max_examples=300, deadline=None)
@given(
    version=st.sampled_from([OLD, OLD, NEW]),
    rows=st.lists(SENT_ROW, min_size=1, max_size=7),
    query=QUERY,
    stood=STOOD,
)
def test_no_reading_contradicts_what_the_engine_stored(
    version: str, rows: list[Json], query: Json, stood: dict[tuple[str, str], tuple[str, bool]]
) -> None:
    before = {
        Key(element, "202409", unit, DEFAULT, DEFAULT): DataValue(value, None, False, is_deleted, "", "", "")
        for (element, unit), (value, is_deleted) in stood.items()
    }
    server = a_server(version)
    for row in judge(answered(server, rows, query, before), server):
        assert row.interpreted in (*row.allowed, Verdict.UNKNOWN)
        assert row.forecast in row.allowed


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.sampled_from([VISITS, HERE, "202409", "5", "", "é"])),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["id", "a"]), inner)),
    max_leaves=4,
)
MEMBERS = ("dataElement", "period", "orgUnit", "categoryOptionCombo", "attributeOptionCombo", "value", "comment")
STRANGE_ROW = st.one_of(ANYTHING, st.dictionaries(st.sampled_from([*MEMBERS, "deleted", "followUp"]), ANYTHING))
STRANGE_BODY = st.dictionaries(
    st.sampled_from(["dataSet", "period", "orgUnit", "attributeOptionCombo", "completeDate", "dryRun", "idScheme"]),
    ANYTHING,
).flatmap(lambda header: st.lists(STRANGE_ROW, max_size=3).map(lambda rows: {**header, "dataValues": rows}))


@settings(max_examples=300, deadline=None)
@given(version=st.sampled_from([OLD, NEW]), body=STRANGE_BODY, user=st.sampled_from(["pipeline", "admin"]))
def test_a_strange_body_gets_a_verdict_a_row(version: str, body: Json, user: str) -> None:
    case = Case(0, (), user, {}, body, Reply(500, b""), {}, {})
    judged = judge(case, a_server(version))
    assert [row.interpreted for row in judged] == [Verdict.UNKNOWN] * len(body["dataValues"])


@pytest.mark.parametrize("version", ["2.41", "2.43"])
def test_the_random_cases_of_real_servers_are_never_claimed_wrongly_and_forecast_right(
    shared: Path, version: str
) -> None:
    folder = shared / "contracts/dhis2"
    server, cases = read_recording(
        folder / f"random-{version}.jsonl.gz", read_sandbox_metadata(folder / "metadata.json")
    )
    judged, read, forecast, ours = list[JudgedRow](), Score(), Score(), Score()
    for case in cases:
        rows = judge(case, server)
        judged += rows
        for row in rows:
            read.add(row.interpreted, row.allowed)
            forecast.add(row.forecast, row.allowed)
            if is_like_ours(case, server):
                ours.add(row.interpreted, row.allowed)
    assert len(judged) > 5700
    assert [row for row in judged if row.interpreted in DONE and row.interpreted not in row.allowed] == []
    assert read.wrong_count == read.false_claim_count == 0
    assert ours.row_count > 2500
    assert ours.unknown_count < 0.02 * ours.row_count
    assert forecast.right_count >= 0.999 * forecast.row_count
