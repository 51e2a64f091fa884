"""Where an indicator's date comes from, as its SQL says."""

import pytest

from opensrp_dhis2.project import Project
from opensrp_dhis2.views.catalog import load_catalog
from opensrp_dhis2.views.event_date import event_origins
from tests.views.conftest import INDICATOR, Write

ENCOUNTER, CONDITION = "staging.encounter", "staging.condition"
OURS = {
    "act_dispensed": {("staging.observation", ("effective_on",))},
    "anc_first_visits": {(CONDITION, ("onset_on", "recorded_on"))},
    "child_doses": {("staging.immunization", ("occurred_on",))},
    "community_signals": {("staging.observation", ("effective_on",))},
    "fever_cases": {(ENCOUNTER, ("started_on",))},
    "household_visits": {(ENCOUNTER, ("started_on",))},
    "muac_screening": {("staging.observation", ("effective_on",))},
    "households": set(),  # states at the end of a quarter: their day is the calendar's
    "population": set(),
}
REST = "'OuFacility1' as org_unit_id, 'Encounter' as resource_type, 'e1' as resource_id"


def test_each_of_our_indicators_takes_its_date_from_the_column_that_its_file_means() -> None:
    catalog = load_catalog(Project())
    found = {view.path_stem: event_origins(catalog, view) for view in catalog.indicators}
    assert {name: origins for name, origins in found.items() if name in OURS} == OURS


@pytest.mark.parametrize(
    ("sql", "origins"),
    [
        (f"select {REST}, e.started_on as event_on from staging.encounter e", {(ENCOUNTER, ("started_on",))}),
        (f"select {REST}, started_on as event_on from staging.encounter", {(ENCOUNTER, ("started_on",))}),
        (
            f"with a as (select * from staging.encounter), b as (select * from a)\nselect {REST}, b.started_on as event_on"
            " from b join staging.condition c on c.encounter_id = b.id",
            {(ENCOUNTER, ("started_on",))},
        ),
        (
            f"select {REST}, onset_on as event_on from staging.encounter e join staging.condition c"
            " on c.encounter_id = e.id",
            {(CONDITION, ("onset_on",))},
        ),
        (
            f"select {REST}, coalesce(c.onset_on, e.started_on) as event_on from staging.encounter e"
            " join staging.condition c on c.encounter_id = e.id",
            {(CONDITION, ("onset_on",)), (ENCOUNTER, ("started_on",))},
        ),
        (
            f"select {REST}, case when p.birth_on < e.started_on then e.started_on end as event_on"
            " from staging.encounter e join staging.patient p on p.id = e.patient_id",
            {(ENCOUNTER, ("started_on",))},
        ),
        (
            f"select {REST}, min(e.started_on) filter (where e.status = 'finished') over (order by e.updated_at)"
            " as event_on from staging.encounter e",
            {(ENCOUNTER, ("started_on",))},
        ),
        (
            f"select {REST}, started_on as event_on from staging.encounter\nunion all\n"
            f"select {REST}, onset_on as event_on from staging.condition",
            {(ENCOUNTER, ("started_on",)), (CONDITION, ("onset_on",))},
        ),
        (f"select {REST}, (select max(onset_on) from staging.condition) as event_on from staging.encounter", set()),
        (f"select {REST}, date '2024-01-31' as event_on from staging.encounter", set()),
        (
            "with recursive climb as (select id, started_on from staging.encounter union all"
            f" select id, started_on from climb)\nselect {REST}, started_on as event_on from climb",
            {(ENCOUNTER, ("started_on",))},
        ),
    ],
)
def test_a_date_is_followed_through_steps_and_stars_and_never_through_conditions(
    write_project: Write, sql: str, origins: set[tuple[str, tuple[str, ...]]]
) -> None:
    catalog = load_catalog(write_project({"indicator/visits.sql": INDICATOR + sql}))
    assert event_origins(catalog, catalog.by_name["indicator.visits"]) == origins


def test_a_date_is_followed_into_the_list_of_another_indicator(write_project: Write) -> None:
    first = f"select {REST}, started_on as event_on from staging.encounter"
    second = f"select {REST}, event_on from member.first"
    files = {"indicator/first.sql": INDICATOR + first, "indicator/second.sql": INDICATOR + second}
    catalog = load_catalog(write_project(files))
    assert event_origins(catalog, catalog.by_name["indicator.second"]) == {(ENCOUNTER, ("started_on",))}
