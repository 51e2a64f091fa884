"""Completions against recorded answers."""

import pytest

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.completion import Completion, complete
from opensrp_dhis2.errors import Dhis2AuthenticationError, ImportRejectedError
from tests.dhis2.conftest import CannedDhis2, recorded
from tests.dhis2.recordings import DEFAULT_COMBO, VERSIONS

PATH = "/api/completeDataSetRegistrations"
ONE = Completion("DsMonthly01", "201907", "OuFacility1", DEFAULT_COMBO)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["30f-complete-post", "30g-complete-post-again"])
def test_a_completion_is_registered_and_may_be_repeated(
    server: CannedDhis2, client: Dhis2Client, version: str, name: str
) -> None:
    server.on("POST", PATH, recorded(version, name))
    complete(client, [ONE])
    (asked,) = server.asked
    (row,) = asked.json()["completeDataSetRegistrations"]
    assert row == {
        "dataSet": "DsMonthly01",
        "period": "201907",
        "organisationUnit": "OuFacility1",
        "attributeOptionCombo": DEFAULT_COMBO,
        "completed": True,
    }


def test_a_period_that_the_server_never_saw_is_tried_once_more(server: CannedDhis2, client: Dhis2Client) -> None:
    answers = [recorded("2.43.1", name) for name in ("30p-complete-new-period", "30q-complete-new-period-again")]
    server.on("POST", PATH, *answers)
    complete(client, [ONE])
    assert len(server.asked) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_a_success_that_left_one_out_is_an_error(server: CannedDhis2, client: Dhis2Client, version: str) -> None:
    server.on("POST", PATH, recorded(version, "30l-complete-partial"))
    with pytest.raises(ImportRejectedError, match="not take all of 2 completions of data set DsMonthly01"):
        complete(client, [ONE, Completion("DsNotThere1", "201908", "OuFacility1", DEFAULT_COMBO)])


def test_credentials_that_are_not_accepted_say_so(server: CannedDhis2, client: Dhis2Client) -> None:
    server.on("POST", PATH, recorded("2.43.1", "35-wrong-password"))
    with pytest.raises(Dhis2AuthenticationError):
        complete(client, [ONE])


def test_nothing_to_complete_asks_nothing(server: CannedDhis2, client: Dhis2Client) -> None:
    complete(client, [])
    assert server.asked == []
