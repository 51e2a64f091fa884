"""The commands below `outbox`: where every value stands, why, and what to do.

It asks and prints; how rows become tables stands in value_table.py.
"""

from dataclasses import asdict
from difflib import get_close_matches
from getpass import getuser

import click

from opensrp_dhis2.cli import value_table
from opensrp_dhis2.cli.console import opened_warehouse, print_json, print_table, read_settings, say, words
from opensrp_dhis2.cli.forecast import outbox_forecast
from opensrp_dhis2.cli.reconcile import outbox_reconcile
from opensrp_dhis2.cli.value_table import with_reasons
from opensrp_dhis2.messages.catalogue import languages
from opensrp_dhis2.messages.codes import codes, explain
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.report import value_query as inquiry
from opensrp_dhis2.report.run import STANDINGS
from opensrp_dhis2.report.value_query import Row, Wanted

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
data_set_option = click.option("--data-set", help="DHIS2 code of the data set; default: all.")
period_option = click.option("--period", help="DHIS2 period, for example 202401; default: all.")
code_option = click.option("--code", help="The reason, for example E8022; default: all.")
org_unit_option = click.option("--org-unit", help="DHIS2 code or id of the org unit; default: all.")


@click.group()
def outbox() -> None:
    """Where every value stands that should be in DHIS2."""


@outbox.command("status")
@json_option
def outbox_status(as_json: bool) -> None:
    """Count the values by data set, period, state and reason; say what to do."""
    target = _target()
    with opened_warehouse() as warehouse, warehouse.connect() as connection:
        rows = with_reasons(ledger.status(connection, target), read_settings().report_language)
        elsewhere = inquiry.count_elsewhere(connection, target)
    if as_json:
        print_json(rows)
        return
    print_table(value_table.counts(rows))
    if any(row["code"] for row in rows):
        print_table(value_table.remedies(rows))
    say(words()("in_ledger", values=value_table.total(rows), server=target))
    for other, count in elsewhere.items():
        say(words()("ledger_elsewhere", count=count, server=other))


@outbox.command("list")
@data_set_option
@period_option
@click.option("--state", type=click.Choice(STANDINGS), help="Where it stands; default: anywhere.")
@code_option
@org_unit_option
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="List so many at most.")
@json_option
def outbox_list(limit: int, as_json: bool, **wanted: str | None) -> None:
    """List single values with their names, and where each stands."""
    asked, target = Wanted(**wanted), _target()
    with opened_warehouse() as warehouse, warehouse.connect() as connection:
        count = inquiry.count_values(connection, target, asked)
        rows = _named(inquiry.find_values(connection, target, asked, limit))
    if as_json:
        print_json(rows)
    else:
        print_table(value_table.values(rows))
    if count > len(rows):
        say(words()("more_to_list", hidden=count - len(rows), count=count), err=as_json)


@outbox.command("completions")
@data_set_option
@period_option
@json_option
def outbox_completions(data_set: str | None, period: str | None, as_json: bool) -> None:
    """Count the units that are registered as complete in DHIS2, and those that are not, with the reason."""
    with opened_warehouse() as warehouse, warehouse.connect() as connection:
        rows = _named(inquiry.count_completions(connection, _target(), data_set, period))
    if as_json:
        print_json(rows)
    elif rows:
        print_table(value_table.completions(rows))
    else:
        say(words()("no_completion"))


@outbox.command("show")
@click.argument("value_id", type=int, required=False)
@data_set_option
@period_option
@org_unit_option
@click.option("--data-element", help="DHIS2 code or id of the data element.")
@click.option("--category-option-combo", help="DHIS2 id; needed only where there are several.")
@click.option("--attribute-option-combo", help="DHIS2 id; needed only where there are several.")
@json_option
def outbox_show(value_id: int | None, as_json: bool, **key: str | None) -> None:
    """Show all that is known of one value: by its number in `outbox list`, or by the parts of its key."""
    with opened_warehouse() as warehouse, warehouse.connect() as connection:
        if value_id is None:
            found = inquiry.find_values(connection, _target(), Wanted(**key), 20)
        else:
            found = inquiry.read_value(connection, value_id)
        value = _only(_named(found))
        history = inquiry.read_history(connection, value["value_id"])
        batches = inquiry.read_batches(connection, value["value_id"])
    if as_json:
        print_json([{**value, "history": history, "batches": batches}])
        return
    print_table(value_table.facts(value))
    print_table(value_table.history(history))
    if batches:
        print_table(value_table.batches(batches))
    else:
        say(words()("no_request"))


def _only(found: list[Row]) -> Row:
    if not found:
        raise click.UsageError(f"The ledger of {_target()} has no such value: `outbox list` shows what it has")
    if len(found) > 1:
        print_table(value_table.values(found))
        raise click.UsageError("Several values fit: give the number of one, or more parts of its key")
    return found[0]


@outbox.command("explain")
@click.argument("code")
@click.option("--language", type=click.Choice(languages()), help="Default: REPORT_LANGUAGE.")
@json_option
def outbox_explain(code: str, language: str | None, as_json: bool) -> None:
    """Put a reason such as E8022 into plain words: what is wrong, who can mend it, and how."""
    said = explain(_known_code(code), language or read_settings().report_language)
    if as_json:
        print_json([asdict(said)])
    else:
        say(f"{said.code}: {said.sentence}\n{said.owner_label}: {said.remedy}")


def _known_code(given: str) -> str:
    lowered = {code.lower(): code for code in codes()}
    if given.lower() in lowered:
        return lowered[given.lower()]
    near = [code for code in lowered if code.startswith(given.lower())] or get_close_matches(given.lower(), lowered, 8)
    hint = (
        f"did you mean {', '.join(lowered[code] for code in near[:8])}?"
        if near
        else "`outbox status` shows the codes in use"
    )
    raise click.BadParameter(f"{given} is no code that this version knows; {hint}", param_hint="CODE")


@outbox.command("requeue")
@data_set_option
@period_option
@code_option
@json_option
def outbox_requeue(data_set: str | None, period: str | None, code: str | None, as_json: bool) -> None:
    """Put refused values back to pending, once their cause is mended, and ask for refused completions again.

    The next report of their data set and period does it; `late_data` asks for one. Mostly a report does so by itself: what
    to do after mending stands at the end of each remedy. The code of an older DHIS2 (E7642) and ours for the same cause
    (E8033) are the same.
    """
    target, who = _target(), f"requeue by {getuser()}"
    with opened_warehouse() as warehouse, warehouse.connect() as connection:
        held_back = inquiry.count_values(connection, target, Wanted(data_set, period, "withheld", code))
        count, completions = ledger.requeue(
            connection, target, data_set_code=data_set, period=period, code=code, run_id=who
        )
    if as_json:
        print_json([{"requeued": count, "completions": completions, "held_back": held_back}])
        return
    if count or not completions:
        say(words()("requeued" if count else "none_requeued", count=count))
    if completions:
        say(words()("completions_requeued", count=completions))
    if held_back:
        say(words()("held_back", count=held_back))


def _target() -> str:
    """Return the server as the ledger names it."""
    return read_settings().dhis2_base_url.removesuffix("/api")


def _named(rows: list[Row]) -> list[Row]:
    return with_reasons(rows, read_settings().report_language)


outbox.add_command(outbox_forecast)
outbox.add_command(outbox_reconcile)
