"""The first load from a real HAPI FHIR 8.8: one export, certified, and the search that goes on from it."""

import time

from opensrp_dhis2.extract.export_file import FirstLoad
from opensrp_dhis2.extract.first_load import first_load
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse.database import Warehouse

from .loader import Hapi
from .reading import EXACT, OVERLAPPING, landed, names, run, slice_states


def load(hapi: Hapi, warehouse: Warehouse, *types: str) -> FirstLoad:
    hapi.wait_until_past()
    with FhirClient(hapi.url) as client:  # its Retry-After is for jobs of one tick a minute; ours ticks twice a second
        return first_load(client, warehouse, types, EXACT, sleep=lambda seconds: time.sleep(min(seconds, 0.2)))


def test_15_a_first_load_is_certified_and_what_is_written_later_is_found_by_search(
    hapi: Hapi, warehouse: Warehouse, resource_type: str
) -> None:
    hapi.put(resource_type, names(2500))
    hapi.put(resource_type, names(300), "v2")
    hapi.delete(resource_type, names(50, first=1000))
    done = load(hapi, warehouse, resource_type, "Household", "VisionPrescription")
    assert (done.state, done.reason) == ("loaded", "")
    assert done.results[resource_type].inserted == 2450
    assert landed(warehouse, resource_type) == hapi.versions(resource_type)
    assert slice_states(warehouse) == {"certified"}

    hapi.put(resource_type, names(20, first=2490), "v3")
    assert load(hapi, warehouse, resource_type).state == "not_needed"
    result = run(hapi, warehouse, resource_type, how=OVERLAPPING)
    assert (result.incomplete, result.missing) == (0, 0)
    assert landed(warehouse, resource_type) == hapi.versions(resource_type)


def test_15_what_changes_while_a_job_runs_is_left_to_the_search(
    hapi: Hapi, warehouse: Warehouse, resource_type: str
) -> None:
    hapi.put(resource_type, names(1000))
    hapi.wait_until_past()
    changed: list[float] = []

    def change(seconds: float) -> None:
        if not changed:
            hapi.put(resource_type, names(10), "v2")
            hapi.delete(resource_type, names(5, first=500))
        changed.append(seconds)
        time.sleep(0.2)

    with FhirClient(hapi.url) as client:
        done = first_load(client, warehouse, [resource_type], EXACT, sleep=change)
    assert (done.state, slice_states(warehouse), changed[0]) == ("loaded", {"planned"}, 120.0)
    run(hapi, warehouse, resource_type)
    assert landed(warehouse, resource_type) == hapi.versions(resource_type)
    assert slice_states(warehouse) == {"certified"}
