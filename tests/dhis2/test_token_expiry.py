"""A personal access token that is about to end is told from 14 days before; what DHIS2 does not tell is not said."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.models import Reply
from opensrp_dhis2.dhis2.token_expiry import read_token_expiry, token_expiry
from tests.dhis2.conftest import Answer, CannedDhis2, recorded
from tests.support.dhis2_recordings import VERSIONS, load, reply_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def listed(*days: float, **headers: str) -> Reply:
    tokens = [{"expire": int((NOW + timedelta(days=one)).timestamp() * 1000)} for one in days]
    return Reply(200, json.dumps({"apiToken": tokens}).encode(), "application/json", headers)


def warning(reply: Reply, now: datetime = NOW) -> str | None:
    found = token_expiry(reply, now)
    return found.warning if found else None


@pytest.mark.parametrize(("days", "said"), [(15, None), (14, "in 14 days"), (1, "in 1 days"), (0.1, "in 0 days")])
def test_the_only_token_is_warned_of_from_14_days_on(days: float, said: str | None) -> None:
    found = warning(listed(days, -30))
    assert found is None if said is None else said in str(found)
    assert said is None or "token of DHIS2_TOKEN ends on 2026-1" in str(found)


def test_of_several_tokens_it_is_not_said_which_is_ours() -> None:
    found = warning(listed(3, 90))
    assert found is not None
    assert found.startswith("Of the 2 personal access tokens of the account, 1 end within 14 days (on 2026-11-24")
    assert "DHIS2 does not say which is that of DHIS2_TOKEN" in found
    assert "ends at the latest on 2026-11-26" in str(warning(listed(3, 5)))


def test_the_servers_clock_decides_and_not_ours() -> None:
    assert warning(listed(20, date="Thu, 03 Dec 2026 12:00:00 GMT")) is not None
    assert warning(listed(10, date="Sat, 21 Nov 2026 12:00:00 GMT"), now=NOW - timedelta(days=300)) is not None


@pytest.mark.parametrize(
    "reply",
    [
        Reply(403, b"{}"),
        Reply(404, b"<html>", "text/html"),
        Reply(200, b"[]", "application/json"),
        Reply(200, b'{"apiToken": {"expire": 1}}', "application/json"),
        Reply(200, b'{"apiToken": [1, {}, {"expire": null}, {"expire": "x"}, {"expire": -1}, {"expire": 9e99}]}'),
        listed(-1),
    ],
)
def test_where_it_cannot_be_read_nothing_is_said(reply: Reply) -> None:
    assert token_expiry(reply, NOW) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_the_recorded_list_is_read(server: CannedDhis2, client: Dhis2Client, version: str) -> None:
    server.on("GET", "/api/apiToken", recorded(version, "36d-pat-list"))
    assert server.url == client.base_url
    found = token_expiry(reply_of(load(version, "36d-pat-list")), NOW)
    assert found is not None
    given = [row["expire"] / 1000 for row in load(version, "36d-pat-list")["response"]["body"]["apiToken"]]
    assert [end.timestamp() for end in found.ends_at] == sorted(one for one in given if one > NOW.timestamp())
    read_token_expiry(client)
    assert [(one.method, one.path) for one in server.asked] == [("GET", "/api/apiToken")]


def test_a_server_that_is_away_is_no_failure(server: CannedDhis2, client: Dhis2Client) -> None:
    server.on("GET", "/api/apiToken", Answer(403, b"{}"))
    assert read_token_expiry(client) is None
    server.close()
    assert read_token_expiry(client) is None
