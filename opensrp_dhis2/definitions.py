"""The Definitions object: the only name that Dagster loads. It puts defs/ together and decides nothing."""

import warnings

import dagster as dg

from opensrp_dhis2.defs.certificates import complete_checks, resweep_job, resweep_schedule
from opensrp_dhis2.defs.checks import asset_checks
from opensrp_dhis2.defs.data_set import DataSetReport
from opensrp_dhis2.defs.deletes import sweep_job, sweep_schedule
from opensrp_dhis2.defs.jobs import extract_job, extract_schedule, extract_weekly_job, extract_weekly_schedule
from opensrp_dhis2.defs.lookup import lookup_assets
from opensrp_dhis2.defs.relations import relation_assets
from opensrp_dhis2.defs.resources import Dhis2Resource, FhirResource, WarehouseResource, read_settings
from opensrp_dhis2.defs.routes import register_routes_job
from opensrp_dhis2.defs.sensors import late_data_sensor
from opensrp_dhis2.defs.source import raw_assets
from opensrp_dhis2.views.catalog import load_catalog


@dg.definitions
def defs() -> dg.Definitions:
    """Read the settings and the views, and give Dagster every asset, check, job, schedule and sensor."""
    warnings.simplefilter("ignore", dg.BetaWarning)  # backfill policies; decision 5
    settings = read_settings()
    catalog = load_catalog(settings.project)
    data_sets = [DataSetReport(code, data_set, catalog, settings) for code, data_set in catalog.data_sets.items()]
    extract = extract_job(settings)
    weekly = [extract_weekly_job(settings)] if settings.fhir_weekly_types else []
    sweep = sweep_job(settings)
    return dg.Definitions(
        assets=[
            *raw_assets(settings),
            *lookup_assets(catalog),
            *relation_assets(catalog),
            *(asset for data_set in data_sets for asset in data_set.assets),
        ],
        asset_checks=[
            *asset_checks(catalog, settings),
            *(check for data_set in data_sets for check in data_set.checks),
            *complete_checks(settings),
        ],
        jobs=[
            extract,
            *weekly,
            *(data_set.report_job for data_set in data_sets),
            *(data_set.reconcile_job for data_set in data_sets),
            register_routes_job,
            resweep_job,
            sweep,
        ],
        schedules=[
            extract_schedule(extract, settings),
            *(extract_weekly_schedule(job, settings) for job in weekly),
            resweep_schedule(settings),
            sweep_schedule(sweep, settings),
            *(data_set.report_schedule for data_set in data_sets),
            *(data_set.reconcile_schedule for data_set in data_sets),
        ],
        sensors=[late_data_sensor(catalog, {data_set.code: data_set.report_job for data_set in data_sets})],
        resources={"warehouse": WarehouseResource(), "fhir": FhirResource(), "dhis2": Dhis2Resource()},
        executor=dg.in_process_executor,
    )
