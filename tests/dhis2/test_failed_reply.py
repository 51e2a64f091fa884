"""Answers without an import summary: proxies, login pages, server errors."""

import pytest

from opensrp_dhis2.dhis2.imports.interpret import interpret
from opensrp_dhis2.dhis2.models import Reply, ServerVersion, Verdict
from tests.support import dhis2_recordings as recordings
from tests.support.import_reply import a_value

NEW = ServerVersion.parse("2.43.1")


@pytest.mark.parametrize(
    ("reply", "verdict", "code"),
    [
        (Reply(502, b"<html>Bad Gateway</html>", "text/html"), "unknown", "not_json"),
        (Reply(504, b""), "unknown", "empty_reply"),
        (Reply(200, b"", "application/json"), "unknown", "empty_reply"),
        (Reply(200, b'{"httpStatus":"OK","httpStat', "application/json"), "unknown", "not_json"),
        (Reply(200, b"<html>log in</html>", "text/html"), "unknown", "not_json"),
        (Reply(404, b"<html>no such page</html>", "text/html"), "unknown", "not_json"),
        (Reply(413, b"<html>too large</html>", "text/html"), "blocked", "too_large"),
        (Reply(429, b"", "", {"retry-after": "5"}), "blocked", "too_many_requests"),
        (
            Reply(500, b'{"httpStatus":"x","httpStatusCode":500,"status":"ERROR","message":"deadlock detected"}'),
            "unknown",
            "server_error",
        ),
        (
            Reply(415, b'{"httpStatus":"x","httpStatusCode":415,"status":"ERROR","message":"no"}'),
            "refused",
            "bad_request",
        ),
    ],
)
def test_an_answer_without_a_summary(reply: Reply, verdict: str, code: str) -> None:
    read = interpret(reply, [a_value()], NEW)
    assert [(row.verdict.value, row.code) for row in read.rows] == [(verdict, code)]


@pytest.mark.parametrize("version", recordings.VERSIONS)
@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("34-no-authority", "forbidden"),
        ("35-wrong-password", "unauthorized"),
        ("35b-no-auth", "redirected"),
        ("35e-unknown-user", "unauthorized"),
        ("36c-pat-method-violation", "pat_method"),
        ("36f-pat-bad-checksum", "pat_miscopied"),
        ("36g-pat-garbage", "pat_miscopied"),
        ("36j-pat-ip-violation", "pat_address"),
        ("36n-pat-revoked", "pat_unknown"),
        ("36p-pat-expired-use", "pat_expired"),
        ("64f-disabled-account-use", "account_disabled"),
    ],
)
def test_an_account_that_is_not_let_in_stores_nothing_and_is_the_users_cause(
    version: str, name: str, cause: str
) -> None:
    reply = recordings.reply_of(recordings.load(version, name))
    read = interpret(reply, [a_value(0), a_value(1)], ServerVersion.parse(version))
    assert (read.tally(), read.cause, read.is_user_cause) == ({Verdict.BLOCKED: 2}, cause, True)
