"""Who may write into a closed period: org units with a lock exception.

It knows what DHIS2 says of them; which periods are closed stands in outbox/known_data_set.py.
"""

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.errors import Dhis2AuthenticationError, MetadataNotFoundError

_FIELDS = "period[id],organisationUnit[id],dataSet[id]"


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
