"""Calling an upstream through a route of DHIS2: what it spoils, hides and fails at, as recorded."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from opensrp_dhis2.cli import main
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.routes import run_route
from opensrp_dhis2.errors import Dhis2Error
from tests.dhis2.conftest import Answer, CannedDhis2, recorded
from tests.support.dhis2_recordings import VERSIONS, load


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "status", "is_from_dhis2"),
    [
        ("56-target-404", 404, False),
        ("56-target-401", 401, False),
        ("56-target-409", 409, False),
        ("56-target-500", 500, False),
        ("56c-target-text", 200, False),
        ("58i-run-unknown", 404, True),
        ("58h-run-disabled", 404, True),
        ("58b-no-access-run", 403, True),
        ("57f-subpath-non-wildcard", None, True),
        ("57b-run-refused", None, True),
        ("35b-no-auth", 302, True),
    ],
)
def test_an_upstreams_answer_is_told_from_dhis2s_own(
    server: CannedDhis2, client: Dhis2Client, version: str, name: str, status: int | None, is_from_dhis2: bool
) -> None:
    server.on("POST", "/api/routes/fhir/run/sub/path", recorded(version, name))
    reply = run_route(client, "fhir", method="POST", sub_path="/sub/path", body=b"{}")
    assert status in (None, reply.status)
    assert reply.is_from_dhis2 is is_from_dhis2


@pytest.mark.parametrize(
    ("name", "param", "value"),
    [
        ("55b2-run-wild-query-space", "x", "1 2"),
        ("55b3-run-wild-query-amp", "x", "a&b=c"),
        ("55b4-run-wild-query-utf8", "x", "ä"),
        ("55b6-run-wild-query-percent", "x", "50%"),
        ("55b7-run-wild-query-colon-brackets", "_lastUpdated", "ge2026-01-01T00:00:00+00:00"),
        ("55b7-run-wild-query-colon-brackets", "identifier", "http://x|1"),
    ],
)
def test_a_query_that_dhis2_spoils_is_refused_by_name_and_without_its_value(
    server: CannedDhis2, client: Dhis2Client, name: str, param: str, value: str
) -> None:
    assert load("2.43.1", name)["request"]["query"][param] == value
    for given in (value, ["plain", value]):
        with pytest.raises(Dhis2Error, match=f"spoils the query parameter {param} .*POST") as caught:
            run_route(client, "fhir", params={param: given})
        assert value not in str(caught.value)
    assert server.asked == []


@pytest.mark.parametrize("version", VERSIONS)
def test_55b5_run_wild_query_repeat_what_arrives_unspoilt_is_sent(
    server: CannedDhis2, client: Dhis2Client, version: str
) -> None:
    server.on("GET", "/api/routes/fhir/run", recorded(version, "55b5-run-wild-query-repeat"))
    run_route(client, "fhir", params={"x": ["1", "2"], "url": "http://x:80/y?a=b"})
    assert server.asked[0].params == {"x": ["1", "2"], "url": ["http://x:80/y?a=b"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "is_from_dhis2"), [("51-run-api-query-params", True), ("53-run-after-put-api-query-params", False)]
)
def test_a_route_with_query_parameter_auth_fails_by_dhis2s_own_fault_once_its_caller_sends_a_query(
    server: CannedDhis2, client: Dhis2Client, version: str, name: str, is_from_dhis2: bool
) -> None:
    server.on("POST", "/api/routes/fhir/run", recorded(version, name))  # as a POST, which is not asked for again
    assert run_route(client, "fhir", method="POST").is_from_dhis2 is is_from_dhis2


@pytest.mark.parametrize(("method", "times"), [("GET", 4), ("POST", 1), ("PATCH", 1)])
def test_56g_concurrent_runs_an_unreadable_answer_is_asked_for_again_by_a_safe_method_only(
    server: CannedDhis2, client: Dhis2Client, method: str, times: int
) -> None:
    assert "illegal header line: bytearray(b': ')" in str(load("2.43.1", "56g-concurrent-runs"))
    server.on(method, "/api/routes/fhir/run", Answer(headers={"": ""}))  # a header line ": "
    with pytest.raises(Dhis2Error, match="no answer from DHIS2") as caught:
        run_route(client, "fhir", method=method)
    assert len(server.asked) == times
    assert caught.value.is_transient is (method == "GET")
    assert ("look there before sending it again" in str(caught.value)) is (method != "GET")


@pytest.mark.parametrize(("method", "times"), [("GET", 4), ("POST", 1), ("DELETE", 1)])
def test_56d_target_slow_a_504_may_be_false_and_is_asked_for_again_by_a_safe_method_only(
    server: CannedDhis2, client: Dhis2Client, method: str, times: int
) -> None:
    slow = recorded("2.43.1", "56d-target-slow")
    server.on(method, "/api/routes/fhir/run", replace(slow, headers={**slow.headers, "Retry-After": "0"}))
    reply = run_route(client, "fhir", method=method)
    assert (reply.status, reply.is_from_dhis2, len(server.asked)) == (504, True, times)


def test_a_run_hands_through_method_query_body_and_bytes(server: CannedDhis2, client: Dhis2Client) -> None:
    server.on("PUT", "/api/routes/fhir/run/Patient/1", Answer(201, b"\x00\xff", {"Content-Type": "image/png"}))
    reply = run_route(
        client,
        "fhir",
        method="PUT",
        sub_path="Patient/1",
        params={"a": ["1", "2"]},
        body=b"<x/>",
        content_type="text/xml",
    )
    (asked,) = server.asked
    assert (asked.params, asked.body, asked.headers["content-type"]) == ({"a": ["1", "2"]}, b"<x/>", "text/xml")
    assert (reply.status, reply.body, reply.headers["content-type"]) == (201, b"\x00\xff", "image/png")


def run_command(server: CannedDhis2, *arguments: str) -> Result:
    environment = {"DHIS2_BASE_URL": server.url, "DHIS2_AUTH": "basic"}
    return CliRunner().invoke(main, ["routes", "run", "fhir", *arguments], env=environment)


def test_the_command_prints_what_the_upstream_answers(server: CannedDhis2, tmp_path: Path) -> None:
    (tmp_path / "search").write_text("name=x y")
    server.on("POST", "/api/routes/fhir/run/Patient/_search", Answer(200, b"\x00\xff", {"Content-Type": "image/png"}))
    sent = ("--method", "post", "--path", "Patient/_search", "--body", str(tmp_path / "search"))
    result = run_command(server, *sent, "--content-type", "application/x-www-form-urlencoded", "--param", "_count=1")
    (asked,) = server.asked
    assert (asked.body, asked.params) == (b"name=x y", {"_count": ["1"]})
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert (result.exit_code, result.stdout_bytes) == (0, b"\x00\xff")
    assert "the upstream answered 200 image/png" in result.stderr


def test_the_command_fails_by_an_error_and_says_whose_it_is(server: CannedDhis2) -> None:
    server.on("GET", "/api/routes/fhir/run", recorded("2.43.1", "58i-run-unknown"))
    result = run_command(server)
    assert (result.exit_code, "DHIS2 itself answered 404" in result.stderr) == (1, True)
    assert run_command(server, "--param", "x").exit_code == 2
