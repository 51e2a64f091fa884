"""The Definitions object: the only name that Dagster loads. It puts defs/ together and decides nothing."""

import warnings

import dagster as dg

from opensrp_dhis2.defs.certificates import complete_checks, resweep_job, resweep_schedule
from opensrp_dhis2.defs.checks import asset_checks
from opensrp_dhis2.defs.deletes import sweep_job, sweep_schedule
from opensrp_dhis2.defs.forecasts import forecast_assets
from opensrp_dhis2.defs.jobs import extract_job, extract_weekly_job, report_jobs
from opensrp_dhis2.defs.lookup import lookup_assets
from opensrp_dhis2.defs.partitions import partitions_for
from opensrp_dhis2.defs.reconcile import reconcile_assets, reconcile_checks, reconcile_jobs, reconcile_schedule
from opensrp_dhis2.defs.relations import relation_assets
from opensrp_dhis2.defs.reports import report_assets
from opensrp_dhis2.defs.resources import Dhis2Resource, FhirResource, WarehouseResource, read_settings
from opensrp_dhis2.defs.routes import register_routes_job
from opensrp_dhis2.defs.schedules import extract_schedule, extract_weekly_schedule, report_schedule
from opensrp_dhis2.defs.sensors import late_data_sensor
from opensrp_dhis2.defs.source import raw_assets
from opensrp_dhis2.views.catalog import load_catalog


@dg.definitions
def defs() -> dg.Definitions:
    """Read the settings and the views, and give Dagster every asset, check, job, schedule and sensor."""
    warnings.simplefilter("ignore", dg.BetaWarning)  # backfill policies; decision 5
    settings = read_settings()
    catalog = load_catalog(settings.project)
    extract, reports, reconciles = extract_job(settings), report_jobs(catalog), reconcile_jobs(catalog)
    weekly = [extract_weekly_job(settings)] if settings.fhir_weekly_types else []
    sweep = sweep_job(settings)
    return dg.Definitions(
        assets=[
            *raw_assets(settings),
            *lookup_assets(catalog),
            *relation_assets(catalog),
            *report_assets(catalog, settings),
            *forecast_assets(catalog, settings),
            *reconcile_assets(catalog, settings),
        ],
        asset_checks=[
            *asset_checks(catalog, settings),
            *reconcile_checks(catalog),
            *complete_checks(settings),
        ],
        jobs=[extract, *weekly, *reports.values(), *reconciles.values(), register_routes_job, resweep_job, sweep],
        schedules=[
            extract_schedule(extract, settings),
            *(extract_weekly_schedule(job, settings) for job in weekly),
            resweep_schedule(settings),
            sweep_schedule(sweep, settings),
            *(
                report_schedule(code, job, partitions_for(catalog.data_sets.of(code).period_type, settings))
                for code, job in reports.items()
            ),
            *(reconcile_schedule(code, catalog.data_sets.of(code), job, settings) for code, job in reconciles.items()),
        ],
        sensors=[late_data_sensor(catalog, reports)],
        resources={"warehouse": WarehouseResource(), "fhir": FhirResource(), "dhis2": Dhis2Resource()},
        executor=dg.in_process_executor,
    )
