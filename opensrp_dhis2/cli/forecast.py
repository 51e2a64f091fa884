"""The command `outbox forecast`: what the next report will do to each value of a period, before anything is sent."""

from dataclasses import asdict
from getpass import getuser

import click

from opensrp_dhis2.audit.forecast import Example, Forecast, examples, forecast_period
from opensrp_dhis2.cli.console import count, opened_warehouse, print_table, read_settings, say, table, words
from opensrp_dhis2.connections import open_dhis2
from opensrp_dhis2.dhis2.periods import parse_period_of_type
from opensrp_dhis2.messages.codes import Explanation, explain
from opensrp_dhis2.outbox.reporter import Reporter
from opensrp_dhis2.plain_text import json_line
from opensrp_dhis2.views.catalog import load_catalog


@click.command("forecast")
@click.argument("data_set")
@click.argument("period")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def outbox_forecast(data_set: str, period: str, as_json: bool) -> None:
    """Say what the next report of DATA_SET for PERIOD (such as 202401) will do to each value; nothing is sent."""
    settings, who = read_settings(), f"forecast by {getuser()}"
    policy = load_catalog(settings.project).data_sets.of(data_set)
    wanted = parse_period_of_type(policy.period_type, period)
    with opened_warehouse() as warehouse, open_dhis2(settings) as client:
        size = settings.dhis2_batch_size
        Reporter(warehouse, client, data_set, policy, run_id=who, batch_size=size).plan(wanted)
        made = forecast_period(warehouse, client, data_set, wanted.id, run_id=who)
        with warehouse.connect() as connection:
            shown = examples(connection, made.of)
    reasons = {share.code: explain(share.code, settings.report_language) for share in made.shares if share.code}
    if as_json:
        say(json_line(_document(data_set, made, reasons, shown)))
    else:
        _show(data_set, made, reasons, shown)


def _document(
    data_set: str, made: Forecast, reasons: dict[str, Explanation], shown: list[Example]
) -> dict[str, object]:
    stopped = [
        {"predicted_outcome": share.predicted_outcome, "values": share.value_count, **asdict(reasons[share.code])}
        for share in made.shares
        if share.code
    ]
    return {
        "data_set": data_set, "period": made.of.period, "values": made.counts, "edited": made.edited,
        "drifted": made.drifted, "stopped": stopped, "examples": [asdict(example) for example in shown],
    }  # fmt: skip


def _show(data_set: str, made: Forecast, reasons: dict[str, Explanation], shown: list[Example]) -> None:
    drawn = table(words().columns("outcome", "values", "why", "who_and_how"))
    for share in made.shares:
        said = reasons.get(share.code or "")
        why = (f"{said.code}: {said.sentence}", f"{said.owner_label}: {said.remedy}") if said else ()
        drawn.add_row(share.predicted_outcome, count(share.value_count), *why)
    print_table(drawn)
    if shown:
        listed = table(words().columns("example", "why", "org_unit", "data_element", "wanted"))
        for value in shown:
            wanted = words()("deletion") if value.wanted is None else value.wanted
            listed.add_row(value.predicted_outcome, value.code, value.org_unit, value.data_element, wanted)
        print_table(listed)
    if made.edited:
        say(words()("forecast.edited", count=made.edited))
    if made.drifted:
        say(words()("forecast.drifted", count=made.drifted))
    say(words()("forecast.nothing_sent", data_set=data_set, period=made.of.period))
