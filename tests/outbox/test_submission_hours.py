"""The hours in which values may be sent."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.outbox.submission_hours import SubmissionHours
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.completions import completion_site
from tests.support.dhis2_site import NIGHT, NOW, Dhis2Site
from tests.support.surroundings import SetTotals

KAMPALA = ZoneInfo("Africa/Kampala")  # three hours ahead of UTC


@pytest.mark.parametrize(
    ("hours", "utc_hour", "is_open"),
    [("20-06", 17, True), ("20-06", 16, False), ("20-06", 2, True), ("20-06", 3, False), ("8-17", 5, True),
     ("8-17", 14, False), ("", 3, True), ("22-24", 20, True), ("22-24", 21, False)],
)  # fmt: skip
def test_hours_are_counted_in_the_countrys_zone_and_over_midnight(hours: str, utc_hour: int, is_open: bool) -> None:
    at = datetime(2026, 11, 21, utc_hour, 30, tzinfo=UTC)
    assert SubmissionHours.parse(hours, KAMPALA).is_open(at) is is_open


@pytest.mark.parametrize(("hours", "starts_at"), [("", 5), ("20-06", 5), ("20-04", 20), ("8-17", 8), ("0-5", 0)])
def test_what_should_start_outside_the_hours_starts_when_they_begin(hours: str, starts_at: int) -> None:
    assert SubmissionHours.parse(hours, KAMPALA).nearest(5) == starts_at


@pytest.mark.parametrize("text", ["20", "25-3", "7-7", "a-b", "8-25"])
def test_hours_that_are_none_say_how_to_write_them(text: str) -> None:
    with pytest.raises(ConfigurationError, match="such as 20-06"):
        SubmissionHours.parse(text, UTC)


@pytest.mark.parametrize("policy", ["when_complete", "mirror"])
def test_completions_wait_with_the_values(
    warehouse: Warehouse, set_totals: SetTotals, version: str, policy: str
) -> None:
    rules = DataSet(period_type="Monthly", open_periods=36, completion=policy)
    with completion_site(warehouse, version) as here:
        reporting = Dhis2Site(here.url, warehouse)
        with reporting.client:
            set_totals({("visits", "OuFacility1"): 5})
            assert reporting.report("run-1", rules).completed.registered == 1
            set_totals({("visits", "OuFacility1"): 6})
            asked = here.asked_by(lambda: reporting.report("run-2", rules, hours=NIGHT, clock=lambda: NOW))
            assert (asked, here.units()) == ([], ["OuFacility1"])
            assert reporting.report("run-3", rules).accepted == 1
            assert here.units() == ["OuFacility1"]
