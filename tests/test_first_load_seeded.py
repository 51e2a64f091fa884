"""A server that writes, deletes, drops lines and expires by seed: a certified slice is whole, and the search ends whole."""

import random

import pytest
from opensrp_dhis2_sandbox.fhir.auth import Bearer
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opensrp_dhis2.errors import FhirUnavailableError
from opensrp_dhis2.extract.first_load import first_load
from opensrp_dhis2.fhir.auth import BearerAuth
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support import gateway_site
from tests.support.export_site import FILE, HOUR_MS, HOW, KICK_OFF, Site, export_site, load, search
from tests.support.raw import landed
from tests.support.sql import rows

BLOCK, BLOCKS = 1100, 5  # more than two of them are more than a slice


def misbehave(site: Site, chance: random.Random) -> None:
    def write() -> None:
        one = chance.randrange(BLOCK * BLOCKS) if chance.random() < 0.1 else chance.randrange(BLOCK)
        if chance.random() < 0.5:
            site.store.delete("Flag", f"f{one:05}")
        elif f"f{one:05}" in site.truth():
            site.put(1, first=one, hours_ago=0.2, note=chance.random())

    def watch(request: Request) -> Response | None:
        for _ in range(chance.choice((0, 0, 1, 3))):
            write()
        if chance.random() < 0.05:
            return JSONResponse({}, chance.choice((404, 410, 500, 503, 403)))
        if not request.url.path.startswith(FILE) or not site.exports.file(request.url.path[len(FILE) :], site.clock()):
            return None
        lines = site.file(request).splitlines(keepends=True)
        drop, double, cut = (chance.random() < share for share in (0.15, 0.15, 0.1))
        if drop:
            del lines[chance.randrange(len(lines))]
        if double and lines:
            lines.append(chance.choice(lines))
        return Response(b"".join(lines)[: -chance.randrange(1, 90) if cut else None])

    site.watch = watch


def assert_certified_slices_are_whole(site: Site, warehouse: Warehouse) -> int:
    here = landed(warehouse)
    certified = rows(warehouse, "select window_from, window_to from raw.slice where state = 'certified'")
    for start_at, end_at in certified:
        for version in site.store.current("Flag"):
            if start_at.timestamp() * 1000 <= version.last_updated_ms < end_at.timestamp() * 1000:
                assert here.get(version.id) == version.version_id
    return len(certified)


@pytest.mark.parametrize("seed", range(8))
def test_by_any_seed_nothing_is_lost(warehouse: Warehouse, seed: int) -> None:
    chance = random.Random(seed)
    with export_site(job_seconds=chance.choice((0, 240)), lines_per_file=chance.choice((700, 2000))) as site:
        for block in range(BLOCKS):
            site.put(BLOCK, first=BLOCK * block, hours_ago=2000 - 300 * block)
        if chance.random() < 0.8:
            misbehave(site, chance)
        for _ in range(5):
            try:
                done = load(site, warehouse)
                break
            except FhirUnavailableError:
                continue
        site.watch = lambda request: None
        assert_certified_slices_are_whole(site, warehouse)
        result = search(site, warehouse)
        assert (result.incomplete, result.missing) == (0, 0)
        truth = {
            v.id: v.version_id for v in site.store.current("Flag") if v.last_updated_ms < site.began_ms - HOUR_MS / 6
        }
        assert truth.items() <= landed(warehouse).items()
        assert done.state in ("loaded", "refused", "failed", "not_needed", "lost")


def test_every_request_of_an_export_carries_our_token(warehouse: Warehouse) -> None:
    with (
        export_site(auth=Bearer("s3cr3t-token")) as site,
        FhirClient(site.url, auth=BearerAuth("s3cr3t-token")) as client,
    ):
        site.put(20)
        assert first_load(client, warehouse, ["Flag"], HOW, sleep=site.clock.sleep).state == "loaded"
        assert set(site.tokens) == {"Bearer s3cr3t-token"}
        assert landed(warehouse) == site.truth()


def test_a_gateway_that_lets_no_export_pass_is_told_and_searched(warehouse: Warehouse) -> None:
    with gateway_site.gateway_site() as site, site.client() as client:
        site.put(20)
        done = first_load(client, warehouse, ["Flag"], HOW)
        assert (done.state, "HTTP 403" in done.reason) == ("refused", True)
        assert sum(one.endswith("$export") for one in site.paths) == 1
        assert KICK_OFF.removeprefix("/fhir") not in done.reason.replace("the kick-off of $export", "")
