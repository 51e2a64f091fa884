"""The command `outbox reconcile`: what DHIS2 holds otherwise than the ledger says, and what was done about it."""

from dataclasses import asdict
from getpass import getuser

import click
from rich.table import Table

from opensrp_dhis2.audit.discrepancy import Reconciliation, explain_kind, shown
from opensrp_dhis2.audit.reconcile import accept_unknown_values as accept
from opensrp_dhis2.audit.reconcile import reconcile_period
from opensrp_dhis2.cli.console import count, opened_warehouse, print_table, read_settings, say, table, words
from opensrp_dhis2.connections import open_dhis2
from opensrp_dhis2.dhis2.periods import parse_period_of_type
from opensrp_dhis2.plain_text import json_line
from opensrp_dhis2.views.catalog import load_catalog


@click.command("reconcile")
@click.argument("data_set")
@click.argument("period", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a period.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Markdown tables.")
@click.option(
    "--accept-strangers",
    is_flag=True,
    help="First let stand what others entered, as the last reconciliation listed it; it is listed again once it changes.",
)
@click.option("--org-unit", help="Accept it in this org unit alone, by DHIS2 code or id; default: in all.")
def outbox_reconcile(
    data_set: str,
    period: tuple[str, ...],
    as_json: bool,
    as_markdown: bool,
    accept_strangers: bool,
    org_unit: str | None,
) -> None:
    """Read DATA_SET back from DHIS2 for each PERIOD (such as 202401) and compare it with the ledger.

    Nothing is sent; what differs is handled as `external_edits` in data_sets.yaml says.
    """
    if org_unit and not accept_strangers:
        raise click.UsageError("--org-unit says where to accept: give --accept-strangers with it")
    settings, who = read_settings(), f"reconcile by {getuser()}"
    policy = load_catalog(settings.project).data_sets.of(data_set)
    periods = [parse_period_of_type(policy.period_type, each).id for each in period]
    with opened_warehouse() as warehouse, open_dhis2(settings) as client:
        for each in periods:
            if accept_strangers:
                accepted = accept(warehouse, client.base_url, data_set, each, org_unit=org_unit, run_id=who)
                say(words()("reconcile.let_stand", data_set=data_set, period=each, count=accepted), err=True)
            made = reconcile_period(warehouse, client, data_set, each, external_edits=policy.external_edits, run_id=who)
            if as_json:
                say(json_line(_document(data_set, made)))
            elif as_markdown:
                say(f"## {data_set} {each}\n\n{made.markdown(settings.report_language)}\n")
            else:
                _show(data_set, made, settings.report_language)


def _document(data_set: str, made: Reconciliation) -> dict[str, object]:
    return {
        "data_set": data_set, "period": made.of.period, "compared": made.compared, "unread": made.unread,
        "found": made.counts, **made.resolutions, "rows": [asdict(row) for row in made.rows],
    }  # fmt: skip


def _show(data_set: str, made: Reconciliation, language: str) -> None:
    if made.findings:
        print_table(_kinds(made, language))
    if made.rows:
        print_table(_rows(made))
    standing = made.resolutions["standing"]
    if standing > len(made.rows):
        say(words()("and_more", count=standing - len(made.rows)))
    counts = {"count": made.compared, "standing": standing}
    say(words()("reconcile.compared", data_set=data_set, period=made.of.period, **counts))
    if made.unread:
        say(words()("reconcile.out_of_sight", count=made.unread))


def _kinds(made: Reconciliation, language: str) -> Table:
    drawn = table(words().columns("kind", "values", "what_is_wrong", "who_and_how"))
    for finding in made.findings:
        said, done = explain_kind(finding.kind, language), finding.resolution
        todo = words()(f"resolution.{done}") if done else f"{said.owner_label}: {said.remedy}"
        drawn.add_row(finding.kind, count(finding.value_count), said.sentence, todo)
    return drawn


def _rows(made: Reconciliation) -> Table:
    names = ("kind", "org_unit", "data_element", "combo", "wanted", "confirmed", "in_dhis2")
    drawn = table(words().columns(*names))
    for row in made.rows:
        values = (shown(value) for value in (row.wanted, row.acknowledged, row.stored))
        drawn.add_row(row.kind, row.org_unit, row.data_element, row.combo, *values)
    return drawn
