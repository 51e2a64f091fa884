"""The commands below `extract`, run as a person or a script runs them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from opensrp_dhis2.cli.extract import extract as command
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.extract import Extraction, extract
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.fhir_proxy import Proxy, drop, fhir_proxy, is_count, is_listing
from tests.support.fhir_server import FhirServer, fhir_server

HOUR_MS = 3_600_000


class CommandLine:
    """`opensrp-dhis2 extract` against one server and one warehouse."""

    def __init__(self, proxy: Proxy, database_url: str) -> None:
        self.proxy = proxy
        self.environment = {
            "WAREHOUSE_URL": database_url, "FHIR_BASE_URL": proxy.url, "FHIR_RESOURCE_TYPES": "Flag",
            "FHIR_AUTH": "none",
        }  # fmt: skip

    def run(self, *words: str) -> Result:
        result = CliRunner().invoke(command, words, env=self.environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def row(self, *words: str) -> dict[str, Any]:
        [line] = self.run(*words, "--json").stdout.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with fhir_server() as running:
        running.put(40, stamp_ms=running.now_ms - 48 * HOUR_MS)
        yield running


@pytest.fixture
def line(server: FhirServer, warehouse: Warehouse, database_url: str) -> Iterator[CommandLine]:
    with fhir_proxy(server.url) as proxy:
        yield CommandLine(proxy, database_url)


def read(line: CommandLine, warehouse: Warehouse) -> None:
    with FhirClient(line.proxy.url) as client:
        extract(client, warehouse, "Flag", Extraction(threads=1, validate_share=0))


def test_status_tells_how_far_a_type_is_and_names_what_is_missing(line: CommandLine, warehouse: Warehouse) -> None:
    assert "Nothing has been read" in line.run("status").stdout
    line.proxy.change = lambda query, bundle: (
        drop(bundle, {"f00007"}) if not is_listing(query) and not is_count(query) else None
    )
    read(line, warehouse)
    said = line.run("status").stdout
    assert "1 missing f00007" in said
    assert "never" in said
    row = line.row("status")
    assert (row["resource_type"], row["incomplete_count"], row["missing_count"], row["seconds_left"]) == (
        "Flag",
        1,
        1,
        None,
    )
    line.proxy.change = lambda query, bundle: None
    read(line, warehouse)
    assert line.row("status", "Flag")["incomplete_count"] == 0
    assert "missing f00007" not in line.run("status").stdout


def test_verify_ends_with_one_when_something_is_missing(
    line: CommandLine, server: FhirServer, warehouse: Warehouse
) -> None:
    read(line, warehouse)
    assert line.run("verify").exit_code == 0
    server.put(1, first=40, stamp_ms=server.now_ms - 47 * HOUR_MS)
    told = line.run("verify")
    assert told.exit_code == 1
    assert "Flag missing: f00040" in told.stdout
    row = line.row("verify", "Flag")
    assert (row["is_complete"], row["missing"], row["ids"]) == (False, 1, {"missing": ["f00040"]})


def test_resweep_brings_what_came_late(line: CommandLine, server: FhirServer, warehouse: Warehouse) -> None:
    read(line, warehouse)
    server.put(1, first=40, stamp_ms=server.now_ms - 47 * HOUR_MS)
    assert "Flag" in line.run("reread", "--days", "1").stdout
    assert line.run("verify").exit_code == 1
    row = line.row("reread", "--days", "3")
    assert (row["read"], row["inserted"], row["incomplete"]) == (41, 1, 0)
    assert line.run("verify").exit_code == 0


def test_resweep_ends_with_one_when_something_stays_missing(
    line: CommandLine, server: FhirServer, warehouse: Warehouse
) -> None:
    read(line, warehouse)
    server.put(1, first=40, stamp_ms=server.now_ms - 47 * HOUR_MS)
    line.proxy.change = lambda query, bundle: (
        drop(bundle, {"f00040"}) if not is_listing(query) and not is_count(query) else None
    )
    told = line.run("reread", "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["missing_ids"] == ["f00040"]


@pytest.mark.parametrize("command_name", ["verify", "reread", "probe"])
def test_what_asks_a_fhir_server_says_so_where_there_is_none(line: CommandLine, command_name: str) -> None:
    line.environment |= {"FHIR_SOURCE": "ndjson", "FHIR_NDJSON_URL": "somewhere"}
    result = CliRunner().invoke(command, [command_name], env=line.environment)
    assert isinstance(result.exception, ConfigurationError)
    assert "no FHIR server to ask" in str(result.exception)
