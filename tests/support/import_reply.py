"""Values and import replies that a test makes up."""

import json
from typing import Any

from opensrp_dhis2.dhis2.models import DataValue, Reply, SentValue


def a_value(number: int = 0, **changes: Any) -> SentValue:
    is_zero = changes.pop("is_droppable_zero", False)
    members = {
        "data_element": "DeHtsTst001",
        "period": "202501",
        "org_unit": f"OuFacilit{number:02}",
        "category_option_combo": "HllvX50cXC0",
        "attribute_option_combo": "HllvX50cXC0",
        "value": "5",
    }
    return SentValue(DataValue(**{**members, **changes}), is_zero)


def a_reply(http_status: int, counts: tuple[int, int, int, int], **members: Any) -> Reply:
    names = ("imported", "updated", "ignored", "deleted")
    summary = {"status": "SUCCESS", "importCount": dict(zip(names, counts, strict=True)), "conflicts": [], **members}
    envelope = {"httpStatus": "x", "httpStatusCode": http_status, "status": "OK", "response": summary}
    return Reply(http_status, json.dumps(envelope).encode(), "application/json")
