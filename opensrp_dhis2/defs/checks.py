"""Asset checks: the data tests of the views, unmapped places, members left out, freshness."""

from collections import Counter
from datetime import timedelta

import dagster as dg

from opensrp_dhis2.clock import machine_clock
from opensrp_dhis2.defs.failures import dagster_failures
from opensrp_dhis2.defs.lookup import lookup_key
from opensrp_dhis2.defs.relations import relation_key
from opensrp_dhis2.defs.resources import read_settings
from opensrp_dhis2.defs.source import NIGHTLY_STALE, WEEKLY_STALE, configured_source, raw_key
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.token_expiry import read_token_expiry
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.lookup.place import unmapped_places as find_unmapped
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.views.catalog import Catalog, View
from opensrp_dhis2.views.data_tests import run_tests
from opensrp_dhis2.warehouse import loaded_file, state
from opensrp_dhis2.warehouse.database import Warehouse

WarehouseParam = dg.ResourceParam[Warehouse]
WARN = dg.AssetCheckSeverity.WARN


def asset_checks(catalog: Catalog, settings: Settings) -> list[dg.AssetChecksDefinition]:
    """Make every check of the code location."""
    tested = [view for view in catalog.views if view.front_matter.tests]
    return [
        *(_data_tests(catalog, view) for view in tested),
        *(_left_out(view) for view in catalog.indicators),
        _unmapped_places(),
        *(_fresh(resource_type, NIGHTLY_STALE) for resource_type in settings.fhir_resource_types),
        *(_fresh(resource_type, WEEKLY_STALE) for resource_type in settings.fhir_weekly_types),
        *([_token_expiry()] if settings.dhis2_auth == "pat" else []),
    ]


def _fresh(resource_type: str, stale_after: timedelta) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=raw_key(resource_type), name="fresh", description=f"Read to within {stale_after} of now.")
    def fresh(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam, fhir: dg.ResourceParam[FhirClient]
    ) -> dg.AssetCheckResult:
        with dagster_failures(context.retry_number):
            source = configured_source(warehouse, fhir).name
            with warehouse.connect() as connection:
                read_to = state.read_to(connection, source, resource_type)
                read_to = read_to or loaded_file.newest_at(connection, source, resource_type)
        settings = read_settings()
        now = settings.now() if settings.reads_fhir_server else machine_clock()  # loads bear the machine's time, always
        is_fresh = read_to is not None and now - read_to < stale_after
        return dg.AssetCheckResult(passed=is_fresh, severity=WARN, metadata={"read_to": str(read_to)})

    return fresh


def _data_tests(catalog: Catalog, view: View) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=relation_key(view.name), name="data_tests", description="The tests of the file's front matter."
    )
    def data_tests(context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam) -> dg.AssetCheckResult:
        with dagster_failures(context.retry_number):
            failed = [result for result in run_tests(warehouse, catalog, view.name) if result.failing_count]
        return dg.AssetCheckResult(
            passed=not failed, severity=WARN, metadata={result.test: result.failing_count for result in failed}
        )

    return data_tests


def _left_out(view: View) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=relation_key(view.name),
        name="left_out",
        description="Members without an org unit, a date or a disaggregation value: shown here, in no total.",
    )
    def left_out(context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam) -> dg.AssetCheckResult:
        with dagster_failures(context.retry_number), warehouse.connect() as connection:
            reasons = connection.execute(
                "select reason, member_count from indicator.left_out where indicator = %s", (view.path_stem,)
            ).fetchall()
        counted = {reason: count for reason, count in reasons if count}
        return dg.AssetCheckResult(passed=not counted, severity=WARN, metadata=counted)

    return left_out


def _unmapped_places() -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=lookup_key("place"), description="Every FHIR Location is a DHIS2 org unit or lies in one.")
    def unmapped_places(context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam) -> dg.AssetCheckResult:
        with dagster_failures(context.retry_number), warehouse.connect() as connection:
            counts = Counter(reason for _, _, reason in find_unmapped(connection))
        told = {"their ids": "opensrp-dhis2 places"} if counts else {}
        return dg.AssetCheckResult(passed=not counts, severity=WARN, metadata={**counts, **told})

    return unmapped_places


def _token_expiry() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=lookup_key("data_set"),
        description="The personal access token of DHIS2_TOKEN lasts for 14 days more, as far as the account can read it.",
    )
    def token_expiry(dhis2: dg.ResourceParam[Dhis2Client]) -> dg.AssetCheckResult:
        found = read_token_expiry(dhis2)
        if found is None:
            return dg.AssetCheckResult(passed=True, severity=WARN, metadata={"ends": "not told by DHIS2"})
        metadata = {"ends": ", ".join(f"{end:%Y-%m-%d}" for end in found.ends_at)}
        warning = {"warning": found.warning} if found.warning else {}
        return dg.AssetCheckResult(passed=not warning, severity=WARN, metadata=metadata | warning)

    return token_expiry
