"""Writes a small OpenSRP district as NDJSON: two facilities, six villages, eight workers, some six hundred clients.

It knows the order in which the story is told; the same seed, day and months give the same bytes.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from opensrp_dhis2_sandbox.district.events import FORMS, add_fevers, add_home_visits, add_pregnancies
from opensrp_dhis2_sandbox.district.faults import add_faults
from opensrp_dhis2_sandbox.district.ledger import Ledger, lineage_tags
from opensrp_dhis2_sandbox.district.people import add_households
from opensrp_dhis2_sandbox.district.places import PLACES, administrative_resources, named_id
from opensrp_dhis2_sandbox.district.supply import add_commodities, add_doses, add_landing_site, add_signals

SET_UP_DAYS = 120


def write_district(folder: Path, *, seed: int = 1, today: date, months: int = 12) -> dict[str, int]:
    """Write one NDJSON file a resource type; nothing in them reached the server after yesterday.

    Args: months before the running one that the story covers. Returns the count of resources by type.
    """
    ledger = Ledger(
        seed=seed,
        first_day=_months_before(today, months),
        last_day=today - timedelta(days=1),
        rng=Random(seed),  # noqa: S311 - a story, not a secret
    )
    _set_up(ledger)
    households = add_households(ledger)
    add_home_visits(ledger, households)
    add_pregnancies(ledger, households)
    add_fevers(ledger, households)
    add_doses(ledger, households)
    add_commodities(ledger)
    add_signals(ledger)
    add_faults(ledger)
    add_landing_site(ledger, households[0])
    return ledger.write(folder)


def _months_before(today: date, months: int) -> date:
    number = today.year * 12 + today.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


def _set_up(ledger: Ledger) -> None:
    arrived_at = datetime.combine(ledger.first_day - timedelta(days=SET_UP_DAYS), datetime.min.time(), UTC)
    lineage = {place.id: lineage_tags(place) for place in PLACES}
    for resource_type, resource_id, content in administrative_resources():
        ledger.add(resource_type, resource_id, arrived_at, content, lineage.get(resource_id))
    for form in FORMS:
        content = {"status": "active", "title": form, "subjectType": ["Patient"]}
        ledger.add("Questionnaire", named_id("Questionnaire", form), arrived_at, content)
