"""Completions against recorded answers, and against what the counters of an answer prove."""

from collections.abc import Set
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.imports.summary import ImportCount
from opensrp_dhis2.dhis2.models import Verdict
from opensrp_dhis2.dhis2.registrations import (
    MAX_SPLIT_REQUESTS,
    Completion,
    CompletionAnswer,
    CompletionVerdict,
    delete_registrations,
    judge,
    read_registrations,
    register,
)
from opensrp_dhis2.errors import Dhis2AuthenticationError, Dhis2Error, Dhis2UnavailableError
from opensrp_dhis2.messages.codes import Reason
from tests.dhis2.conftest import Answer, Asked, CannedDhis2, recorded, said
from tests.support.dhis2_recordings import DEFAULT_COMBO, VERSIONS

PATH = "/api/completeDataSetRegistrations"
LIST = "completeDataSetRegistrations"
ONE = Completion("DsMonthly01", "201907", "OuFacility1", DEFAULT_COMBO)
OTHER = Completion("DsNotThere1", "201908", "OuFacility1", DEFAULT_COMBO)
STORED = CompletionVerdict(Verdict.STORED)
FLUSH = "The import process failed: Failed to flush BatchHandler"


def many(count: int) -> list[Completion]:
    return [Completion("DsMonthly01", "201907", f"OuFacil{number:04d}", DEFAULT_COMBO) for number in range(count)]


def summary(imported: int, ignored: int, conflicts: list[dict[str, str]], description: str = "") -> Answer:
    counts = {"imported": imported, "updated": 0, "ignored": ignored, "deleted": 0}
    status = 200 if imported else 409
    response = {"status": "SUCCESS", "importCount": counts, "conflicts": conflicts, "description": description}
    return said({"httpStatus": "OK", "httpStatusCode": status, "status": "OK", "response": response}, status)


class Registry(CannedDhis2):
    """Takes registrations but for those of some units, and gives what it has."""

    def __init__(
        self, *, refused: Set[str] = frozenset(), fatal: Set[str] = frozenset(), about: str = "dataSet"
    ) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self.refused, self.fatal, self.about = refused, fatal, about
        self.on("POST", PATH, self.post)
        self.on("GET", PATH, self.get)

    def post(self, asked: Asked) -> Answer:
        rows = asked.json()[LIST]
        if any(row["organisationUnit"] in self.fatal for row in rows):
            return summary(0, 0, [], FLUSH)
        taken = [row for row in rows if row["organisationUnit"] not in self.refused]
        self.rows += [{**row, "storedBy": "pusher"} for row in taken]
        ignored = [row["organisationUnit"] for row in rows if row["organisationUnit"] in self.refused]
        conflicts = [{"object": self.about or unit, "value": f"no access for {unit}"} for unit in ignored]
        return summary(len(taken), len(ignored), conflicts)

    def get(self, asked: Asked) -> Answer:
        return said({LIST: [row for row in self.rows if row["organisationUnit"] in asked.params["orgUnit"]]})

    def requests(self, method: str) -> int:
        return sum(one.method == method for one in self.asked)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "name",
    [
        "30f-complete-post",
        "30g-complete-post-again",
        "30n-complete-future",
        "30o-complete-unassigned-ou",
        "30q-complete-new-period-again",
    ],
)
def test_a_completion_is_registered_and_may_be_repeated(
    server: CannedDhis2, client: Dhis2Client, version: str, name: str
) -> None:
    server.on("POST", PATH, recorded(version, name))
    assert register(client, [ONE]) == {ONE: STORED}
    (asked,) = server.asked
    (row,) = asked.json()[LIST]
    assert row == {
        "dataSet": "DsMonthly01",
        "period": "201907",
        "organisationUnit": "OuFacility1",
        "attributeOptionCombo": DEFAULT_COMBO,
        "completed": True,
    }


def test_30p_a_period_that_the_server_never_saw_is_tried_once_more(server: CannedDhis2, client: Dhis2Client) -> None:
    answers = [recorded("2.43.1", name) for name in ("30p-complete-new-period", "30q-complete-new-period-again")]
    server.on("POST", PATH, *answers)
    assert register(client, [ONE]) == {ONE: STORED}
    assert len(server.asked) == 2


def test_30p_what_fails_twice_and_is_not_there_stays_unknown(server: CannedDhis2, client: Dhis2Client) -> None:
    server.on("POST", PATH, recorded("2.43.1", "30p-complete-new-period"))
    server.on("GET", PATH, said({}))
    assert register(client, [ONE])[ONE].verdict is Verdict.UNKNOWN
    assert [one.method for one in server.asked] == ["POST", "POST", "GET"]


@pytest.mark.parametrize("version", VERSIONS)
def test_30l_a_success_that_left_one_out_is_settled_by_what_is_there(
    server: CannedDhis2, client: Dhis2Client, version: str
) -> None:
    server.on("POST", PATH, recorded(version, "30l-complete-partial"))
    server.on(
        "GET",
        PATH,
        lambda asked: recorded(version, "30h-complete-get") if "201907" in asked.params["period"] else said({}),
    )
    found = register(client, [ONE, OTHER])
    assert found[ONE] == STORED
    assert found[OTHER] == CompletionVerdict(
        Verdict.REFUSED, Reason.COMPLETION_REFUSED, "Data set not found or not accessible"
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_30k_an_error_that_counts_nothing_registers_nothing(
    server: CannedDhis2, client: Dhis2Client, version: str
) -> None:
    server.on("POST", PATH, recorded(version, "30k-complete-empty-list"))
    server.on("GET", PATH, said({}))
    assert register(client, [ONE])[ONE].verdict is Verdict.UNKNOWN


def test_refused_units_that_dhis2_does_not_name_are_found_by_reading_back() -> None:
    units = many(300)
    refused = {unit.org_unit for unit in units[7::50]}
    server = Registry(refused=refused)
    with Dhis2Client(server.url) as client:
        found = register(client, units)
    server.close()
    assert {one.org_unit for one, said in found.items() if said.verdict is Verdict.REFUSED} == refused
    assert sum(said == STORED for said in found.values()) == 300 - len(refused)
    assert (server.requests("POST"), server.requests("GET")) == (1, 3)


def test_a_unit_that_dhis2_names_is_refused_with_its_own_reason_and_without_a_read_back() -> None:
    units = many(20)
    server = Registry(refused={units[3].org_unit}, about="")
    with Dhis2Client(server.url) as client:
        found = register(client, units)
    server.close()
    assert found[units[3]].reason == f"no access for {units[3].org_unit}"
    assert (sum(said == STORED for said in found.values()), len(server.asked)) == (19, 1)


def test_one_registration_that_breaks_the_whole_request_keeps_no_other_out() -> None:
    units = many(1200)
    server = Registry(fatal={units[700].org_unit})
    with Dhis2Client(server.url) as client:
        found = register(client, units)
    server.close()
    assert [one for one, said in found.items() if said != STORED] == [units[700]]
    assert found[units[700]].verdict is Verdict.UNKNOWN
    assert len(server.rows) == 1199
    assert server.requests("POST") <= 3 + 1 + 2 * 9


def test_a_server_that_takes_nothing_is_not_asked_for_ever() -> None:
    units = many(500)
    server = Registry(fatal={unit.org_unit for unit in units})
    with Dhis2Client(server.url) as client:
        found = register(client, units)
    server.close()
    assert {said.verdict for said in found.values()} == {Verdict.UNKNOWN}
    assert server.requests("POST") == 2 + MAX_SPLIT_REQUESTS


@given(
    st.integers(1, 8),
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
    st.lists(st.sampled_from([*(f"OuFacil{n:04d}" for n in range(8)), "dataSet", "dataElementOperand"]), max_size=9),
)
def test_no_answer_registers_more_than_it_counts(
    sent: int, counts: tuple[int, int, int, int], named: list[str]
) -> None:
    answer = CompletionAnswer(ImportCount(*counts), tuple((about, "why") for about in named))
    found = judge(answer, many(sent))
    stored = sum(said == STORED for said in found.values())
    assert len(found) == sent
    assert stored == 0 or stored == sent - answer.counts.ignored <= answer.counts.taken  # type: ignore[union-attr]


def test_a_note_on_compulsory_fields_is_no_refusal() -> None:
    note = ("dataElementOperand", "Deliveries needs to be filled. It is compulsory.")
    assert judge(CompletionAnswer(ImportCount(1, 0, 0, 0), (note,)), [ONE]) == {ONE: STORED}
    refused = judge(CompletionAnswer(ImportCount(0, 0, 1, 0), (note,)), [ONE])[ONE]
    assert (refused.verdict, refused.reason) == (Verdict.REFUSED, note[1])


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(502, b"<html>", {"Content-Type": "text/html"}), Dhis2UnavailableError),
        (Answer(200, b"{" + b" " * 80 + b"}", is_cut=True), Dhis2UnavailableError),
        (Answer(200, b""), Dhis2AuthenticationError),
        (Answer(302, b"", {"Location": "/dhis-web-login/"}), Dhis2AuthenticationError),
    ],
)
def test_an_answer_without_a_summary_is_an_error(
    server: CannedDhis2, client: Dhis2Client, answer: Answer, error: type[Dhis2Error]
) -> None:
    server.on("POST", PATH, answer)
    with pytest.raises(error):
        register(client, [ONE])


def test_credentials_that_are_not_accepted_say_so(server: CannedDhis2, client: Dhis2Client) -> None:
    server.on("POST", PATH, recorded("2.43.1", "35-wrong-password"))
    with pytest.raises(Dhis2AuthenticationError):
        register(client, [ONE])


def test_nothing_to_complete_asks_nothing(server: CannedDhis2, client: Dhis2Client) -> None:
    assert register(client, []) == delete_registrations(client, []) == {}
    assert server.asked == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["30i-complete-delete", "30j-complete-delete-again"])
def test_30i_a_completion_is_taken_back_and_may_be_repeated(
    server: CannedDhis2, client: Dhis2Client, version: str, name: str
) -> None:
    server.on("DELETE", PATH, recorded(version, name))
    server.on("GET", PATH, said({}))
    assert delete_registrations(client, [(ONE, None, ())]) == {ONE: CompletionVerdict(Verdict.DELETED)}
    assert server.asked[0].params == {"ds": ["DsMonthly01"], "pe": ["201907"], "ou": ["OuFacility1"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_30j_a_completion_that_stays_in_spite_of_204_is_not_taken_back(
    server: CannedDhis2, client: Dhis2Client, version: str
) -> None:
    server.on("DELETE", PATH, recorded(version, "30i-complete-delete"))
    server.on("GET", PATH, recorded(version, "30h-complete-get"))
    assert delete_registrations(client, [(ONE, None, ())])[ONE].verdict is Verdict.REFUSED


@pytest.mark.parametrize("version", VERSIONS)
def test_30m_a_registration_that_is_not_completed_is_none(
    server: CannedDhis2, client: Dhis2Client, version: str
) -> None:
    """As 30m left it: the registration is kept, with `completed` false."""
    row = recorded(version, "30h-complete-get").body.replace(b'"completed": true', b'"completed": false')
    server.on("GET", PATH, Answer(200, row))
    assert read_registrations(client, [ONE]) == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_30h_registrations_are_read_with_who_made_them(server: CannedDhis2, client: Dhis2Client, version: str) -> None:
    server.on("GET", PATH, recorded(version, "30h-complete-get"))
    assert read_registrations(client, [ONE]) == {ONE: "pusher"}


def test_a_locked_data_set_keeps_its_completion_and_says_so(server: CannedDhis2, client: Dhis2Client) -> None:
    locked = {"httpStatus": "Conflict", "httpStatusCode": 409, "status": "ERROR", "message": "Locked Data set(s) : Ds"}
    server.on("DELETE", PATH, said(locked, 409))
    combo = Completion("DsMonthly01", "201907", "OuFacility1", "AocFunder01")
    found = delete_registrations(client, [(combo, "CcFunder001", ["CoFunder001", "CoPlace0001"])])
    assert found == {combo: CompletionVerdict(Verdict.REFUSED, Reason.COMPLETION_REFUSED, "Locked Data set(s) : Ds")}
    (asked,) = server.asked
    assert (asked.params["cc"], asked.params["cp"]) == (["CcFunder001"], ["CoFunder001;CoPlace0001"])


def test_json_that_is_neither_empty_nor_has_registrations_is_no_answer(
    server: CannedDhis2, client: Dhis2Client
) -> None:
    """DHIS2 says `{}` where it finds none; a proxy's note is no word of what there is."""
    server.on("GET", PATH, said({"message": "down for maintenance"}))
    with pytest.raises(Dhis2UnavailableError, match="not as DHIS2 answers"):
        read_registrations(client, [ONE])
    server.on("GET", PATH, said({}))
    assert read_registrations(client, [ONE]) == {}
