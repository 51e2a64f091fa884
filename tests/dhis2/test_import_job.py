"""Imports as jobs: recorded answers of both engines, a sandbox that runs them, and servers that forget."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.dhis2.auth import make_auth, read_auth
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.imports.interpret import interpret
from opensrp_dhis2.dhis2.imports.job import FORGOTTEN_AFTER_SECONDS, JobStage, await_reply, poll, start
from opensrp_dhis2.dhis2.models import DataValue, Reply, SentValue, ServerVersion, Verdict
from opensrp_dhis2.errors import Dhis2AuthenticationError, Dhis2TimeoutError, Dhis2UnavailableError
from tests.dhis2.conftest import Answer, Asked, CannedDhis2, recorded, said
from tests.support.dhis2_metadata import metadata
from tests.support.dhis2_recordings import DEFAULT_COMBO, VERSIONS, load

VALUES = "/api/dataValueSets"
TASK, SUMMARY = (f"/api/system/{name}/DATAVALUE_IMPORT/JobOfOurs01" for name in ("tasks", "taskSummaries"))
RUNNING = said([{"uid": "MsgFirst001", "message": "Importing data...", "completed": False}])
ENDED = said([{"uid": "MsgLast0001", "message": "failed", "level": "ERROR", "completed": True}])
NOTHING, EMPTY = said([]), Answer(200, b"", {"Content-Type": "application/json"})


class Clock:
    """Tells a time that passes only while a caller pauses."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += max(seconds, 1.0)


def sent(body: dict[str, list[dict[str, str]]]) -> list[SentValue]:
    return [
        SentValue(
            DataValue(
                row["dataElement"], row["period"], row["orgUnit"], row["categoryOptionCombo"],
                row["attributeOptionCombo"], row["value"],
            )
        )
        for row in body["dataValues"]
    ]  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_29_a_job_is_begun_and_its_id_given(server: CannedDhis2, client: Dhis2Client, version: str) -> None:
    server.on("POST", VALUES, recorded(version, "29-async-post"))
    job_id = start(client, b"{}", {"importStrategy": "CREATE_AND_UPDATE"})
    assert job_id == load(version, "29-async-post")["response"]["body"]["response"]["id"]
    assert server.asked[0].params == {"importStrategy": ["CREATE_AND_UPDATE"], "async": ["true"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["25-malformed-json", "34-no-authority", "01-create"])
def test_an_answer_that_is_no_job_is_given_as_it_came(
    server: CannedDhis2, client: Dhis2Client, version: str, name: str
) -> None:
    server.on("POST", VALUES, recorded(version, name))
    reply = start(client, b"{}")
    assert isinstance(reply, Reply)
    assert reply.status == load(version, name)["response"]["status"]


@pytest.mark.parametrize("version", VERSIONS)
def test_29c_the_summary_of_a_job_is_read_as_any_other(server: CannedDhis2, client: Dhis2Client, version: str) -> None:
    server.on("GET", SUMMARY, recorded(version, "29c-async-summary"))
    reply = poll(client, "JobOfOurs01")
    assert isinstance(reply, Reply)
    read = interpret(reply, sent(load(version, "29-async-post")["request"]["body"]), ServerVersion.parse(version))
    assert [row.verdict for row in read.rows] == [Verdict.STORED, Verdict.REFUSED]
    assert read.rows[1].code == ("E8122" if version == "2.43.1" else "E7619")


@pytest.mark.parametrize("version", VERSIONS)
def test_29e_29f_an_unknown_job_is_silent_and_not_done(server: CannedDhis2, client: Dhis2Client, version: str) -> None:
    server.on("GET", SUMMARY, recorded(version, "29e-async-summary-unknown"))
    server.on("GET", TASK, recorded(version, "29f-async-task-unknown"))
    assert poll(client, "JobOfOurs01") is JobStage.SILENT


@pytest.mark.parametrize("version", VERSIONS)
def test_29b_a_job_that_ended_between_two_questions_is_asked_for_its_summary_again(
    server: CannedDhis2, client: Dhis2Client, version: str
) -> None:
    server.on("GET", SUMMARY, EMPTY, recorded(version, "29c-async-summary"))
    server.on("GET", TASK, recorded(version, "29b-async-task"))
    reply = poll(client, "JobOfOurs01")
    assert isinstance(reply, Reply)
    assert b"importCount" in reply.body


def test_a_job_under_way_is_not_done(server: CannedDhis2, client: Dhis2Client) -> None:
    server.on("GET", SUMMARY, EMPTY)
    server.on("GET", TASK, RUNNING)
    assert poll(client, "JobOfOurs01") is JobStage.RUNNING


@pytest.mark.parametrize("version", VERSIONS)
def test_a_job_that_ended_without_a_summary_leaves_every_value_unknown(
    server: CannedDhis2, client: Dhis2Client, version: str
) -> None:
    server.on("GET", SUMMARY, EMPTY)
    server.on("GET", TASK, ENDED)
    reply = poll(client, "JobOfOurs01")
    assert isinstance(reply, Reply)
    rows = sent(load(version, "29-async-post")["request"]["body"])
    assert set(interpret(reply, rows, ServerVersion.parse(version)).tally()) == {Verdict.UNKNOWN}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(502, b"<html>", {"Content-Type": "text/html"}), Dhis2UnavailableError),
        (Answer(200, b'{"status": "SUCCESS", "importCount": {}}', is_cut=True), Dhis2UnavailableError),
        (Answer(200, b'{"status": "SUCC'), Dhis2UnavailableError),
        (Answer(302, b"", {"Location": "/dhis-web-login/"}), Dhis2AuthenticationError),
    ],
)
def test_an_answer_that_cannot_be_trusted_is_an_error(
    server: CannedDhis2, client: Dhis2Client, answer: Answer, error: type[Exception]
) -> None:
    server.on("GET", SUMMARY, answer)
    with pytest.raises(error):
        poll(client, "JobOfOurs01")


def test_a_job_is_awaited_while_others_stand_before_it(server: CannedDhis2, client: Dhis2Client) -> None:
    clock = Clock()
    server.on("GET", SUMMARY, *[EMPTY] * 40, recorded("2.43.1", "29c-async-summary"))
    server.on("GET", TASK, *[NOTHING] * 30, RUNNING)
    assert await_reply(client, "JobOfOurs01", pause=clock.pause, clock=clock) is not None


def test_a_job_that_the_server_forgot_is_given_up(server: CannedDhis2, client: Dhis2Client) -> None:
    clock = Clock()
    server.on("GET", SUMMARY, EMPTY)
    server.on("GET", TASK, *[RUNNING] * 3, NOTHING)
    assert await_reply(client, "JobOfOurs01", pause=clock.pause, clock=clock) is None
    assert clock.now > FORGOTTEN_AFTER_SECONDS


def test_a_job_that_never_ends_is_left_to_the_next_run(server: CannedDhis2, client: Dhis2Client) -> None:
    clock = Clock()

    def running_slowly(_: Asked) -> Answer:
        clock.now += 300.0
        return RUNNING

    server.on("GET", SUMMARY, EMPTY)
    server.on("GET", TASK, running_slowly)
    with pytest.raises(Dhis2TimeoutError, match="import job JobOfOurs01 after 60 minutes"):
        await_reply(client, "JobOfOurs01", pause=clock.pause, clock=clock)


@pytest.fixture(params=["2.41", "2.43"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Dhis2Client]:
    app = create_app(metadata(), version=request.param, clock=lambda: datetime(2026, 11, 21, 12, tzinfo=UTC))
    with running(app) as url:
        auth = make_auth(read_auth("basic", {"username": "pusher", "password": "secret"}), url)
        with Dhis2Client(url, auth=auth) as client:
            yield client


def test_a_sandbox_job_stores_the_good_value_and_names_the_bad_one(sandbox: Dhis2Client) -> None:
    version, clock = sandbox.system_info().version, Clock()
    rows = [
        {
            "dataElement": "DeVisits001", "period": "202509", "orgUnit": unit, "value": value,
            "categoryOptionCombo": DEFAULT_COMBO, "attributeOptionCombo": DEFAULT_COMBO,
        }
        for unit, value in (("OuFacility1", "7"), ("OuFacility2", "-1"))
    ]  # fmt: skip
    body = {"dataSet": "DsMonthly01", "dataValues": rows}
    job_id = start(sandbox, json.dumps(body).encode())
    assert isinstance(job_id, str)
    assert poll(sandbox, job_id) is not JobStage.RUNNING
    reply = await_reply(sandbox, job_id, pause=clock.pause, clock=clock)
    assert reply is not None
    read = interpret(reply, sent({"dataValues": rows}), version)
    assert [row.verdict for row in read.rows] == [Verdict.STORED, Verdict.REFUSED]
    stored = sandbox.read_data_values("DsMonthly01", "202509", ["OuFacility1", "OuFacility2"])
    assert [(one.org_unit, one.value) for one in stored] == [("OuFacility1", "7")]


def test_a_sandbox_does_not_know_a_job_of_another_server(sandbox: Dhis2Client) -> None:
    assert poll(sandbox, "JobNotTher1") is JobStage.SILENT
