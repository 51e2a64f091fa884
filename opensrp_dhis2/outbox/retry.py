"""Refused values that are tried again: after all others, and with few requests.

It knows the order of steps; when a value is due is decided in sql/functions/outbox_refusal.sql.
"""

from collections.abc import Callable
from datetime import date

from opensrp_dhis2.errors import ImportRejectedError
from opensrp_dhis2.messages.codes import retry_rules
from opensrp_dhis2.outbox.ledger import Slice
from opensrp_dhis2.outbox.pacing import Pace
from opensrp_dhis2.outbox.push import Delivery, push
from opensrp_dhis2.outbox.request import Sender
from opensrp_dhis2.warehouse.database import Connection

MOST_IN_VAIN = 20  # requests of which nothing was taken: 2.43 names some causes one org unit a request


def plan_refusals(connection: Connection, of: Slice, *, today: date, is_beyond: bool) -> None:
    """Decide which refused values the next delivery tries again, and keep what this plan rests on."""
    connection.execute(
        "select outbox.plan_refusals(%s, %s, %s, %s, %s, %s, %s, %s)",
        (of.target, of.data_set_id, of.period, today, is_beyond, *retry_rules()),
    )


def end_retry(connection: Connection, of: Slice, run_id: str) -> None:
    """Close what a run tried again, also one that was killed over it."""
    connection.execute("select outbox.end_release(%s, %s, %s, %s)", (of.target, of.data_set_id, of.period, run_id))


def retry(
    sender: Sender, of: Slice, pace: Pace, may_send: Callable[[], bool], progress: Callable[[Delivery], None]
) -> Delivery:
    """Send what is due once more, what was not tried for the longest time first.

    What DHIS2 refuses again stays refused; what had no turn is due at the next delivery.
    Raises: as `push`, but for ImportRejectedError: the values were refused before.
    """
    delivery = Delivery()
    try:
        while delivery.in_vain < MOST_IN_VAIN and _release(sender, of):
            push(sender, of, pace, may_send, progress, into=delivery, most_in_vain=MOST_IN_VAIN)
            if delivery.waiting:
                break
    except ImportRejectedError:
        pass
    finally:
        with sender.lease.connect() as connection:
            end_retry(connection, of, sender.run_id)
    return delivery


def _release(sender: Sender, of: Slice) -> int:
    with sender.lease.connect() as connection:
        row = connection.execute(
            "select outbox.release_refused(%s, %s, %s, %s)", (of.target, of.data_set_id, of.period, sender.run_id)
        ).fetchone()
    return int(row[0]) if row else 0
