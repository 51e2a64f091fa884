"""Dagster resources: the warehouse, the FHIR source and the DHIS2 target, opened for a run and closed after it.

Here, and in cli/, the environment is read; nothing else of the project knows it.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import dagster as dg

from opensrp_dhis2.connections import open_dhis2, open_fhir, open_warehouse
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.token_expiry import read_token_expiry
from opensrp_dhis2.errors import OpenSrpDhis2Error
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.gateway import check_counts
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse.database import Warehouse

Opened = TypeVar("Opened")
MAX_RETRIES = 3


def read_settings() -> Settings:
    """Read the settings from the environment of this process."""
    return Settings.from_mapping(os.environ)


class WarehouseResource(dg.ConfigurableResource[Warehouse]):
    """The Postgres warehouse named by WAREHOUSE_URL, or the embedded one."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Warehouse]:
        settings = read_settings()
        # Only a run has patience: a sensor's tick has a minute, and comes again.
        waits = _waits(settings) if context.run else []
        warehouse = patiently(partial(open_warehouse, settings), waits)
        try:
            yield warehouse
        finally:
            warehouse.close()


class FhirResource(dg.ConfigurableResource[FhirClient]):
    """The FHIR server named by FHIR_BASE_URL and its credentials."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[FhirClient]:
        settings = read_settings()
        with open_fhir(settings) as client:
            if settings.reads_fhir_server:
                patiently(partial(check_counts, client, settings.fhir_expected_counts), _waits(settings))
            yield client


def patiently(opened: Callable[[], Opened], waits: Sequence[float]) -> Opened:
    """Try again after each of these seconds: what fails while a resource is opened, Dagster does not try again."""
    for seconds in waits:
        try:
            return opened()
        except OpenSrpDhis2Error as error:
            if not error.is_transient:
                raise
            time.sleep(seconds)
    return opened()


def _waits(settings: Settings) -> list[float]:
    """Return the patience of a step."""
    return [settings.retry_wait_seconds * 2**number for number in range(MAX_RETRIES)]


class Dhis2Resource(dg.ConfigurableResource[Dhis2Client]):
    """The DHIS2 server named by DHIS2_BASE_URL and its credentials."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Dhis2Client]:
        settings = read_settings()
        with open_dhis2(settings) as client:
            expiry = read_token_expiry(client) if settings.dhis2_auth == "pat" else None
            if expiry and expiry.warning and context.log:
                context.log.warning(expiry.warning)
            yield client


def read_secrets() -> Mapping[str, str]:
    """Return the environment to what names its secrets by variable, such as routes.yaml."""
    return os.environ
