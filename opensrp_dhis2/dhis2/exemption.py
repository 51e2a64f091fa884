"""Who may write into a closed period: an account with F_EDIT_EXPIRED, and org units with a lock exception.

It knows what DHIS2 says of both; which periods are closed stands in outbox/known_data_set.py.
"""

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.errors import Dhis2AuthenticationError, MetadataNotFoundError

_FIELDS = "period[id],organisationUnit[id],dataSet[id]"


def may_edit_expired(client: Dhis2Client) -> bool:
    """Ask whether the account is exempt from expiry. Raises: as `get_json`."""
    return client.me().has_authority("F_EDIT_EXPIRED")


def reopened_units(client: Dhis2Client, data_set_id: str, period: str) -> list[str]:
    """List the org units for which an administrator opened an expired period again; none where we may not ask.

    Raises: as `get_json`, for a server that does not answer.
    """
    try:
        found = client.get_json("lockExceptions", {"fields": _FIELDS, "paging": "false"})
    except (Dhis2AuthenticationError, MetadataNotFoundError):
        return []
    return [
        one["organisationUnit"]["id"]
        for one in found.get("lockExceptions", ())
        if (one["dataSet"]["id"], one["period"]["id"]) == (data_set_id, period)
    ]
