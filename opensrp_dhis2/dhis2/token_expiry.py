"""When the personal access token ends with which we come to DHIS2, as far as the account can read it.

DHIS2 lists an account's tokens without their keys, so of several it does not say which is ours; neither do we.
Source: recordings 36d, 36e, 36q; FINDINGS: only GET /api/apiToken tells the expiry.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from opensrp_dhis2.clock import machine_clock
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.models import Reply
from opensrp_dhis2.dhis2.reply import read_json_object
from opensrp_dhis2.errors import Dhis2Error

WARN_BEFORE = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class TokenExpiry:
    """The ends of the account's tokens that were good at an instant, the first to end first."""

    at: datetime
    ends_at: tuple[datetime, ...]

    @property
    def warning(self) -> str | None:
        """Say that the token is about to end, or that it may be; None: not yet, or nothing is known."""
        soon = [end for end in self.ends_at if end - self.at <= WARN_BEFORE]
        if not soon:
            return None
        remedy = "make a new one in DHIS2 and set DHIS2_TOKEN to it; until then nothing changes"
        if len(soon) == len(self.ends_at):
            least = "" if len(soon) == 1 else "at the latest "
            return f"The personal access token of DHIS2_TOKEN ends {least}{self._when(soon[-1])}: {remedy}."
        named = ", ".join(map(self._when, soon))
        return (
            f"Of the {len(self.ends_at)} personal access tokens of the account, {len(soon)} end within 14 days ({named}). "
            f"DHIS2 does not say which is that of DHIS2_TOKEN; if it is one of these, {remedy}."
        )

    def _when(self, end: datetime) -> str:
        return f"on {end:%Y-%m-%d at %H:%M} UTC, in {(end - self.at).days} days"


def read_token_expiry(client: Dhis2Client) -> TokenExpiry | None:
    """Ask DHIS2 for the tokens of our own account; None where it does not let us, or says something else."""
    try:
        reply = client.send("GET", "apiToken", params={"fields": "expire", "paging": "false"})
    except Dhis2Error:
        return None
    return token_expiry(reply, machine_clock())


def token_expiry(reply: Reply, now: datetime) -> TokenExpiry | None:
    """Read the list of the account's tokens by the server's own clock, which decides over them: pure."""
    body = read_json_object(reply) if reply.status == 200 else None
    rows = body.get("apiToken") if body else None
    if not isinstance(rows, list):
        return None
    at = _date(reply) or now
    given = [row.get("expire") for row in rows if isinstance(row, dict)]
    ends = sorted(_instant(end) for end in given if isinstance(end, int) and 0 < end < 253_402_300_800_000)
    good = tuple(end for end in ends if end > at)
    return TokenExpiry(at, good) if good else None


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _date(reply: Reply) -> datetime | None:
    try:
        return parsedate_to_datetime(reply.headers.get("date", "")).astimezone(UTC)
    except ValueError:
        return None
