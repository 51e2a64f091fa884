"""Telling DHIS2 that a data set is complete for a unit and a period: a call of its own, after the values.

It knows the request and its counters; when something is complete is for others to say.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.import_summary import read_summary
from opensrp_dhis2.dhis2.models import Reply
from opensrp_dhis2.dhis2.reply_check import check_readable
from opensrp_dhis2.errors import ImportRejectedError

_PATH = "completeDataSetRegistrations"


@dataclass(frozen=True, slots=True)
class Completion:
    """One registration: this data set is complete."""

    data_set: str
    period: str
    org_unit: str
    attribute_option_combo: str


def complete(client: Dhis2Client, completions: Sequence[Completion]) -> None:
    """Register completions, all of them or an error; repeating it changes nothing.

    A period that 2.43 has never seen fails the first time, so what fails is sent once more.
    Raises: ImportRejectedError (terminal) when DHIS2 did not take them all; else as `Dhis2Client.get_json`.
    """
    if not completions or _is_done(_post(client, completions), completions):
        return
    reply = _post(client, completions)
    if _is_done(reply, completions):
        return
    summary = read_summary(reply)
    if summary is None or summary.counts is None:
        check_readable(reply, client.base_url, _PATH)
    raise ImportRejectedError(
        f"DHIS2 did not take all of {len(completions)} completions of data set {completions[0].data_set}: "
        "check that the period is open and not approved, and that the account may write the data set",
        url=f"{client.base_url}/api/{_PATH}",
        status=reply.status,
    )


def _post(client: Dhis2Client, completions: Sequence[Completion]) -> Reply:
    rows = [
        {
            "dataSet": one.data_set,
            "period": one.period,
            "organisationUnit": one.org_unit,
            "attributeOptionCombo": one.attribute_option_combo,
            "completed": True,
        }
        for one in completions
    ]
    return client.send_json("POST", _PATH, json.dumps({_PATH: rows}).encode())


def _is_done(reply: Reply, completions: Sequence[Completion]) -> bool:
    summary = read_summary(reply)
    return (
        summary is not None
        and summary.counts is not None
        and summary.counts.imported + summary.counts.updated == len(completions)
    )
