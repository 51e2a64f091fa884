"""Why DHIS2 refuses a route, from its error report, and what to do.

Its own words would be "rename one of them", which nobody can who does not see the other. Source: recordings 59, 59b.
"""

from opensrp_dhis2.dhis2.reply import Json
from opensrp_dhis2.messages.codes import explain


def route_refusal(name: str, report: Json) -> str:
    """Say what is wrong with a route of this name: pure. One that has our code was looked for before, and not seen."""
    which = report.get("errorProperty")
    if report.get("errorCode") != "E5003" or which not in ("code", "name"):
        words = explain(str(report.get("errorCode")))
        return f"{words.sentence} {words.remedy}"
    other = f"the route {report.get('mainId') or 'of an id that DHIS2 does not tell'}"
    if which == "code":
        return (
            f"{other} has this code, and our account may not see it: let its owner share it with our account (read and "
            "write), or let an administrator remove it, or write another code into routes.yaml"
        )
    return (
        f"{other} has the name {name!r}, be it one that our account may not see: write another name into "
        "routes.yaml, or let its owner rename it"
    )
