"""Answers of another request, or of nobody, given at random by seed."""

from random import Random

from opensrp_dhis2.errors import Dhis2UnavailableError
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.between import Answer, Ask, Between, between
from tests.support.dhis2_metadata import FACILITIES
from tests.support.dhis2_site import Dhis2Site, state, totals_of
from tests.support.sql import execute, rows
from tests.support.surroundings import SetTotals

GOOD, BAD = FACILITIES[:60], "OuFacility3"  # one that DHIS2 does not have in the data set
LOGIN = b"<html><body><form action='/login'>user</form></body></html>"
JUNK = b'{"message": "under maintenance", "status": "ok"}'
MADE_UP = {
    "empty": Answer.of(200, content_type="application/json"),
    "log-in page": Answer.of(200, LOGIN, content_type="text/html"),
    "redirect": Answer.of(302, location="https://sso.example.org/login"),
    "junk": Answer.of(200, JUNK, content_type="application/json"),
    "forbidden by a proxy": Answer.of(403, LOGIN, content_type="text/html"),
    "gateway": Answer.of(504, LOGIN, content_type="text/html"),
}


def spoil(there: Between, random: Random, left: int) -> None:
    """Spoil some answers to imports and to reads: before DHIS2 hears of the request, or after it."""
    faults = [left]

    async def handler(method: str, ask: Ask) -> Answer:
        if not faults[0] or random.random() > 0.5:
            return await ask()
        if method == "GET":
            if random.random() > 0.3:
                return await ask()
            faults[0] -= 1
            return Answer.of(200, b'{"dataValues":[]}', content_type="application/json", age="77")
        faults[0] -= 1
        earlier = list(there.kept)
        if random.random() < 0.5:
            await ask()
        kind = random.choice(["another's", "another's", "another's", *MADE_UP])
        return random.choice(earlier or [MADE_UP["empty"]]) if kind == "another's" else MADE_UP[kind]

    there.handler = handler


def report(site: Dhis2Site, run_id: str) -> bool:
    """Report once; say whether the run ended well."""
    try:
        site.report(run_id, batch_size=20)
    except Dhis2UnavailableError:
        return False
    return True


def falsely_delivered(site: Dhis2Site) -> list[str]:
    there = {(row[0], row[2]): row[5] for row in state(site.url) if not row[8]}
    query = "select data_element_id, org_unit_id, wanted from outbox.value where state = 'delivered'"
    said = rows(site.warehouse, query)
    return [unit for element, unit, wanted in said if there.get((element, unit)) != wanted]


def play(warehouse: Warehouse, set_totals: SetTotals, version: str, seed: int) -> None:
    random = Random(seed)
    with between(warehouse, version) as (site, there):
        # as our metadata had it before DHIS2 was changed
        execute(warehouse, "insert into lookup.data_set_org_unit values ('DsMonthly01', %s)", BAD)
        set_totals(totals_of([*GOOD, BAD]))
        spoil(there, random, left=random.randint(1, 6))
        for number in range(6):
            if report(site, f"run-{number}"):
                assert falsely_delivered(site) == [], seed
            if number == 2:
                set_totals({**totals_of([*GOOD, BAD]), **{("visits", unit): 500 for unit in random.sample(GOOD, 9)}})
        assert falsely_delivered(site) == [], seed
        states = {stands: count for stands, _, count in site.standings()}
        assert states == {"delivered": len(GOOD), "refused": 1}, (seed, site.standings())
