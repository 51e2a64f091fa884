"""The job `register_routes`: DHIS2 Routes as routes.yaml describes them, created or brought up to date by code."""

import dagster as dg

from opensrp_dhis2.defs.failures import dagster_failures
from opensrp_dhis2.defs.resources import read_secrets, read_settings
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.routes import load_routes, register_routes
from opensrp_dhis2.errors import ConfigurationError


@dg.op(name="register_each_route", description="Register every route of routes.yaml in DHIS2; safe to run again.")
def register_routes_op(context: dg.OpExecutionContext, dhis2: dg.ResourceParam[Dhis2Client]) -> None:
    with dagster_failures(context.retry_number):
        file = read_settings().project.file("routes.yaml")
        if file is None:
            raise ConfigurationError(
                "There is no routes.yaml: put one into PROJECT_DIR; docs/operations.md shows its form"
            )
        for result in register_routes(dhis2, load_routes(file, read_secrets())):
            context.log.info(f"route {result.code}: {result.action}")
            context.log_event(
                dg.AssetObservation(
                    asset_key=["dhis2", "route", result.code], metadata={"action": result.action, "uid": result.uid}
                )
            )


@dg.job(name="register_routes", executor_def=dg.in_process_executor)
def register_routes_job() -> None:
    """Register the DHIS2 Routes of this deployment."""
    register_routes_op()
