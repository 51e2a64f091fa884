"""The client against a real loopback server that answers as recorded ones did."""

import gzip
import json

import pytest

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.models import DataValue
from opensrp_dhis2.errors import (
    ConfigurationError,
    Dhis2AuthenticationError,
    Dhis2Error,
    Dhis2UnavailableError,
    MetadataNotFoundError,
)
from tests.dhis2.conftest import Answer, Asked, CannedDhis2, recorded, said
from tests.support.dhis2_recordings import DEFAULT_COMBO, VERSIONS

VALUES = "/api/dataValueSets"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_server_says_its_version_and_calendar(server: CannedDhis2, client: Dhis2Client, version: str) -> None:
    server.on("GET", "/api/system/info", recorded(version, "41b-system-info-pusher"))
    info = client.system_info()
    assert (str(info.version), info.calendar) == (version, "iso8601")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_account_says_its_authorities(server: CannedDhis2, client: Dhis2Client, version: str) -> None:
    server.on("GET", "/api/me", recorded(version, "41c-me"))
    me = client.me()
    assert (me.username, me.has_authority("F_DATAVALUE_ADD"), me.has_authority("ALL")) == ("pusher", True, False)
    assert "DsMonthly01" in me.data_set_ids


def test_a_base_url_with_api_or_a_slash_is_the_same_server(server: CannedDhis2) -> None:
    server.on("GET", "/api/ping", said({"pong": 1}))
    for url in (server.url, f"{server.url}/", f"{server.url}/api", f"{server.url}/api/"):
        with Dhis2Client(url) as client:
            assert client.get_json("ping") == {"pong": 1}


def test_a_base_url_without_scheme_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="DHIS2_BASE_URL must start with http"):
        Dhis2Client("dhis2.example.org")


def test_pages_are_read_to_the_last_in_a_fixed_order(server: CannedDhis2, client: Dhis2Client) -> None:
    def page(asked: Asked) -> Answer:
        number = int(asked.params["page"][0])
        rows = [{"id": f"Ou{number}{n}"} for n in range(2)]
        return said({"pager": {"page": number, "pageCount": 3}, "organisationUnits": rows})

    server.on("GET", "/api/organisationUnits", page)
    found = list(client.get_pages("organisationUnits", "id", page_size=2, filters=["level:eq:4", "name:like:x"]))
    assert [one["id"] for one in found] == ["Ou10", "Ou11", "Ou20", "Ou21", "Ou30", "Ou31"]
    assert [asked.params["page"] for asked in server.asked] == [["1"], ["2"], ["3"]]
    assert server.asked[0].params["order"] == ["id:asc"]
    assert server.asked[0].params["filter"] == ["level:eq:4", "name:like:x"]


def test_a_large_body_goes_compressed_and_arrives_whole(server: CannedDhis2, client: Dhis2Client) -> None:
    server.on("POST", VALUES, said({}))
    body = json.dumps({"dataValues": [{"value": str(n)} for n in range(1000)]}).encode()
    client.post_data_value_set(body, params={"importStrategy": "DELETE"})
    (asked,) = server.asked
    assert gzip.decompress(asked.raw) == body
    assert len(asked.raw) < len(body) / 3
    assert (asked.headers["content-type"], asked.params) == ("application/json", {"importStrategy": ["DELETE"]})


def test_a_small_body_goes_as_it_is(server: CannedDhis2, client: Dhis2Client) -> None:
    server.on("POST", VALUES, said({}))
    client.post_data_value_set(b'{"dataValues":[]}')
    assert server.asked[0].raw == b'{"dataValues":[]}'


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("2.41.9.1", "20-mixed-values"),
        ("2.43.1", "07b-unknown-ou-with-good"),
        ("2.43.1", "12d-period-garbage"),
        ("2.43.1", "35-wrong-password"),
        ("2.41.9.1", "35b-no-auth"),
        ("2.43.1", "25-malformed-json"),
    ],
)
def test_a_post_gives_the_answer_and_never_raises_for_its_status(
    server: CannedDhis2, client: Dhis2Client, version: str, name: str
) -> None:
    server.on("POST", VALUES, recorded(version, name))
    reply = client.post_data_value_set(b"{}")
    assert (reply.status, len(server.asked)) == (recorded(version, name).status, 1)
    assert reply.body == recorded(version, name).body


def test_a_post_is_sent_once_even_when_the_answer_is_a_gateways(server: CannedDhis2, client: Dhis2Client) -> None:
    server.on("POST", VALUES, Answer(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}))
    assert client.post_data_value_set(b"{}").status == 502
    assert len(server.asked) == 1


def test_an_answer_that_breaks_off_is_no_answer(server: CannedDhis2, client: Dhis2Client) -> None:
    server.on("POST", VALUES, Answer(200, b'{"httpStatus":"OK"}', is_cut=True))
    with pytest.raises(Dhis2UnavailableError, match="no answer from DHIS2") as caught:
        client.post_data_value_set(b"{}")
    assert caught.value.is_transient
    assert len(server.asked) == 1


def test_a_server_that_does_not_answer_in_time_is_unavailable() -> None:
    silent = CannedDhis2()
    silent.close()  # the port is free again: nobody listens
    with Dhis2Client(silent.url) as client, pytest.raises(Dhis2UnavailableError, match="check that the server runs"):
        client.post_data_value_set(b"{}")


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (Answer(200, b"<html>hello</html>", {"Content-Type": "text/html"}), Dhis2Error, "text/html instead of JSON"),
        (Answer(200, b'{"version": "2.4'), Dhis2UnavailableError, "breaks off"),
        (Answer(200, b"[1]"), Dhis2Error, "not an object"),
        (Answer(200), Dhis2AuthenticationError, "may not read"),
        (Answer(302, b"", {"Location": "https://x.org/login/"}), Dhis2AuthenticationError, "login page"),
        (
            Answer(200, b"<title>DHIS2 | Log in</title>", {"Content-Type": "text/html"}),
            Dhis2AuthenticationError,
            "a login page",
        ),
        (
            Answer(302, b"", {"Location": "https://127.0.0.1/api/me"}),
            Dhis2Error,
            "https://127.0.0.1: write https:// in DHIS2_",
        ),
        (
            Answer(400, b"This combination of host and port requires TLS.", {"Content-Type": "text/plain"}),
            Dhis2Error,
            "the port speaks TLS: write https:// in DHIS2_BASE_URL",
        ),
        (
            Answer(301, b"", {"Location": "https://x.org/api/me"}),
            Dhis2Error,
            "redirects to https://x.org: set DHIS2_BASE",
        ),
        (Answer(401, b'{"httpStatus":"Unauthorized"}'), Dhis2AuthenticationError, "not accept the cred.*DHIS2_AUTH"),
        (Answer(400, b"{}", {"WWW-Authenticate": "ApiToken"}), Dhis2AuthenticationError, "not accept the personal"),
        (said({"message": "Account locked"}, 401), Dhis2AuthenticationError, "locked.*DHIS2_PASSWORD first"),
        (Answer(403, b"{}"), Dhis2AuthenticationError, "authority"),
        (Answer(404, b"<html></html>", {"Content-Type": "text/html"}), Dhis2Error, "404, not as DHIS2 does"),
        (Answer(500, b"{}"), Dhis2UnavailableError, "answered 500"),
    ],
)
def test_a_read_that_cannot_be_trusted_says_what_where_and_the_remedy(
    server: CannedDhis2, client: Dhis2Client, answer: Answer, error: type[Dhis2Error], words: str
) -> None:
    server.on("GET", "/api/me", answer)
    with pytest.raises(error, match=words) as caught:
        client.me()
    assert server.url in str(caught.value)
    assert caught.type is error


def test_a_missing_object_is_named_by_its_path(server: CannedDhis2, client: Dhis2Client) -> None:
    server.on("GET", "/api/dataSets/DsNotThere1", recorded("2.43.1", "45g-unknown-id"))
    with pytest.raises(MetadataNotFoundError, match="dataSets/DsNotThere1: E1005"):
        client.get_json("dataSets/DsNotThere1")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["39-read-ds-ou-pe", "39b-read-children", "32k-read-with-aoc"])
def test_stored_values_are_whole_whatever_the_server_lifted_into_the_header(
    server: CannedDhis2, client: Dhis2Client, version: str, name: str
) -> None:
    server.on("GET", VALUES, recorded(version, name))
    period = "2021Q1" if name == "32k-read-with-aoc" else "202509"
    found = list(client.read_data_values("DsMonthly01", period, ["OuFacility1", "OuFacility2"]))
    assert found
    assert all(all(value.key) and value.value for value in found)
    assert {value.org_unit for value in found} <= {"OuFacility1", "OuFacility2"}


@pytest.mark.parametrize("asked", [("202508", "OuFacility1"), ("202509", "OuFacility2")])
def test_values_of_another_question_are_no_answer_to_this_one(
    server: CannedDhis2, client: Dhis2Client, asked: tuple[str, str]
) -> None:
    server.on("GET", VALUES, recorded("2.43.1", "39-read-ds-ou-pe"))
    with pytest.raises(Dhis2UnavailableError, match="mixes up its answers"):
        list(client.read_data_values("DsMonthly01", asked[0], [asked[1]]))


def test_a_read_asks_past_caches_and_believes_none(server: CannedDhis2, client: Dhis2Client) -> None:
    cached = said({"dataValues": []})
    server.on("GET", VALUES, Answer(200, cached.body, {**cached.headers, "Age": "12"}))
    with pytest.raises(Dhis2UnavailableError, match="out of a cache"):
        list(client.read_data_values("DsMonthly01", "202509", ["OuFacility1"]))
    assert server.asked[0].headers["cache-control"] == "no-cache"


def test_a_stored_value_is_read_with_its_deleted_mark(server: CannedDhis2, client: Dhis2Client) -> None:
    row = {"dataElement": "De", "categoryOptionCombo": "Coc", "value": "5", "deleted": True}
    server.on(
        "GET", VALUES, said({"period": "202509", "orgUnit": "Ou", "attributeOptionCombo": "Aoc", "dataValues": [row]})
    )
    (found,) = client.read_data_values("Ds", "202509", ["Ou"], include_deleted=True)
    assert found == DataValue("De", "202509", "Ou", "Coc", "Aoc", "5", is_deleted=True)
    assert server.asked[0].params["includeDeleted"] == ["true"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_empty_slice_reads_as_no_values(server: CannedDhis2, client: Dhis2Client, version: str) -> None:
    server.on("GET", VALUES, recorded(version, "39h-read-empty"))
    assert list(client.read_data_values("DsMonthly01", "201001", ["OuFacility1"])) == []


@pytest.mark.parametrize("body", [{"message": "down for maintenance"}, {}, {"dataValues": None}, {"pager": {}}])
def test_json_without_what_dhis2_always_says_is_no_answer_and_never_an_empty_one(
    server: CannedDhis2, client: Dhis2Client, body: dict[str, object]
) -> None:
    """Recorded as 39h and 40: an empty result has its list. Taken for one, a note of a proxy would be a silent drop."""
    paths = ("dataValueSets", "organisationUnits", "me", "system/info", "dataSets/DsMonthly01")
    for path in paths:
        server.on("GET", f"/api/{path}", said(body))
    for read in (
        lambda: list(client.read_data_values("DsMonthly01", "202509", ["OuFacility1"])),
        lambda: list(client.get_pages("organisationUnits", "id,code")),
        client.me,
        client.system_info,
        lambda: client.get_json("dataSets/DsMonthly01", {"fields": "id,organisationUnits[id]"}),
    ):
        with pytest.raises(Dhis2UnavailableError, match="not as DHIS2 answers"):
            read()
    assert [asked.path for asked in server.asked] == [f"/api/{path}" for path in paths]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["34g-read-out-of-scope", "34h-read-ds-no-access"])
def test_a_forbidden_read_back_is_an_error_and_never_no_values(
    server: CannedDhis2, client: Dhis2Client, version: str, name: str
) -> None:
    server.on("GET", VALUES, recorded(version, name))
    with pytest.raises(Dhis2AuthenticationError, match="dataValueSets"):
        list(client.read_data_values("DsMonthly01", "202509", ["OuFacility1"]))


@pytest.mark.parametrize(
    ("version", "name", "error"),
    [
        ("2.41.9.1", "14c2-superuser-no-ou-read", Dhis2AuthenticationError),
        ("2.41.9.1", "39i-read-no-time", Dhis2Error),
        ("2.43.1", "39i-read-no-time", Dhis2Error),
        ("2.41.9.1", "39j-read-unknown-ds", Dhis2Error),
    ],
)
def test_a_read_back_that_was_not_done_is_told_from_an_empty_one_and_from_a_missing_right(
    server: CannedDhis2, client: Dhis2Client, version: str, name: str, error: type[Dhis2Error]
) -> None:
    server.on("GET", VALUES, recorded(version, name))
    with pytest.raises(error, match="dataValueSets") as caught:
        list(client.read_data_values("DsMonthly01", "202509", ["OuFacility1"]))
    assert caught.type is error


@pytest.mark.parametrize("version", VERSIONS)
def test_60d_oauth2_client_list_no_answer_is_quoted_in_an_error_since_dhis2_gives_client_secrets_in_clear(
    server: CannedDhis2, client: Dhis2Client, version: str
) -> None:
    listed = recorded(version, "60d-oauth2-client-list")
    secret = b"1e6db50c-0fee-11e5-98d0-3c15c2c6caf6"
    assert secret in listed.body
    for status, body in ((409, listed.body), (200, listed.body[:-1]), (500, listed.body)):
        server.on("GET", "/api/oAuth2Clients", Answer(status, body))
        with pytest.raises(Dhis2Error) as caught:
            client.get_json("oAuth2Clients", {"fields": "*"})
        assert secret.decode() not in str(caught.value) + repr(caught.value.__cause__)


def test_many_org_units_are_read_in_several_requests(server: CannedDhis2, client: Dhis2Client) -> None:
    def rows(asked: Asked) -> Answer:
        members = {"dataElement": "De", "period": "202509", "categoryOptionCombo": DEFAULT_COMBO, "value": "1"}
        units = asked.params["orgUnit"]
        return said({"attributeOptionCombo": "Aoc", "dataValues": [{**members, "orgUnit": unit} for unit in units]})

    server.on("GET", VALUES, rows)
    units = [f"OuFacilit{n:03}" for n in range(250)]
    assert [value.org_unit for value in client.read_data_values("Ds", "202509", units)] == units
    assert len(server.asked) == 3


def test_no_secret_stands_in_an_error(server: CannedDhis2) -> None:
    server.on("GET", "/api/me", Answer(401, b"{}"))
    with Dhis2Client(server.url) as client, pytest.raises(Dhis2AuthenticationError) as caught:
        client.get_json("me", {"token": "very-secret"})
    assert "very-secret" not in str(caught.value) + caught.value.url
