"""What Postgres's refusals mean: one table from SQLSTATE to words, a remedy, and whether trying again may help.

It never repeats Postgres's detail, and its message only where that names objects and no data: both may hold a person.
"""

import re
from typing import NamedTuple

import psycopg

from opensrp_dhis2.errors import ConfigurationError, OpenSrpDhis2Error, WarehouseError, WarehouseUnavailableError

_Kind = type[ConfigurationError] | type[WarehouseError] | type[WarehouseUnavailableError]


class Meaning(NamedTuple):
    """What a SQLSTATE says to people, and how the error of ours is called."""

    kind: _Kind
    what: str
    remedy: str


_AWAY, _WRONG, _SETTING = WarehouseUnavailableError, WarehouseError, ConfigurationError
_OWNER = "Make the account of WAREHOUSE_URL the owner of its database, on the primary server"
_RUNS = "Check WAREHOUSE_URL and that the server runs"
_LOGIN = Meaning(_SETTING, "does not let the account in", "Correct user and password in WAREHOUSE_URL, or pg_hba.conf")
_BUSY = Meaning(
    _AWAY, "has no connection left (max_connections)",
    "End idle sessions, raise max_connections, or lower FHIR_THREADS and the number of runs at a time",
)  # fmt: skip
_STARTS = Meaning(_AWAY, "is starting, stopping or recovering", "Wait; if it stays so, look into its log")
_ENDED = Meaning(_AWAY, "ended the session", "Look into its log for who stopped or restarted it, or why it crashed")
_LOCKED = "See in pg_stat_activity which session holds the lock, and end it or wait for it"

_MEANINGS = {  # by SQLSTATE, or by its class of two letters
    "08": Meaning(_AWAY, "broke the connection", _RUNS),
    "0A": Meaning(_WRONG, "cannot do what is asked", "Use Postgres 14 or newer, or report it as a defect"),
    "22": Meaning(_WRONG, "cannot compute with a value", "Look for it in what is named, or in the log of Postgres"),
    "23": Meaning(_WRONG, "refuses a row that breaks a rule of its table", "Report it as a defect, with this message"),
    "25006": Meaning(_WRONG, "is read-only", _OWNER),
    "25P03": Meaning(_AWAY, "ended an idle transaction", "Set idle_in_transaction_session_timeout to 0 for the account"),
    "28": _LOGIN,
    "3D000": Meaning(_SETTING, "has no such database", "Create it, or correct the name in WAREHOUSE_URL"),
    "40001": Meaning(_AWAY, "gave way to another transaction", "Try again; end other writers of the warehouse"),
    "40P01": Meaning(_AWAY, "ended a deadlock", "Try again; end other writers of the warehouse"),
    "42": Meaning(_WRONG, "does not know what is asked", "Let one version of this program use the warehouse; report it"),
    "42501": Meaning(_WRONG, "does not let us", _OWNER),
    "53": Meaning(_AWAY, "lacks a resource", "Look into its log"),
    "53100": Meaning(
        _WRONG, "has no space left on its disk (disk full)", "Free space or enlarge the disk of its data directory"
    ),
    "53200": Meaning(
        _AWAY, "is out of memory", "Lower work_mem, shared_buffers or max_connections, or give the machine more memory"
    ),
    "53300": _BUSY,
    "54": Meaning(_WRONG, "takes nothing so large", "Report it as a defect, with this message"),
    "55P03": Meaning(_AWAY, "let us wait for a lock for too long", _LOCKED),
    "57014": Meaning(
        _AWAY, "cancelled a query, by statement_timeout or by hand",
        "Set statement_timeout to 0 for the account of WAREHOUSE_URL: alter role ... set statement_timeout = 0",
    ),
    "57P01": _ENDED,
    "57P02": _ENDED,
    "57P03": _STARTS,
    "57P05": Meaning(_AWAY, "ended an idle session", "Set idle_session_timeout to 0 for the account of WAREHOUSE_URL"),
    "58": Meaning(_AWAY, "met an error of its machine or disk", "Look into its log and at its disk"),
    "P0001": Meaning(_WRONG, "refuses by a rule of the warehouse", "Do what it says, or report it as a defect"),
    "XX": Meaning(_WRONG, "found damaged data or a defect of its own", "Look into its log; restore its last backup"),
}  # fmt: skip
_UNKNOWN = Meaning(_WRONG, "refuses a statement", "Report it as a defect, with this message")
_GONE = Meaning(_AWAY, "cannot be reached", _RUNS)
_SILENT = Meaning(_AWAY, "gave no answer in time", "Check that the server, a pooler and a firewall on the way are well")
# A refused connection has no SQLSTATE, only the server's words; in another language they count as out of reach.
_SAID_AT_CONNECT = (
    (re.compile("too many (clients|connections)|remaining connection slots|no more connections allowed"), _BUSY),
    (re.compile("starting up|shutting down|recovery mode|not (yet )?accepting connections"), _STARTS),
    (re.compile("authentication failed|no pg_hba.conf entry|no password supplied|role .* does not exist"), _LOGIN),
    (re.compile("database .* does not exist"), _MEANINGS["3D000"]),
    (re.compile("No space left on device"), _MEANINGS["53100"]),
)
_NAMES_OBJECTS = ("0A", "25", "42", "53", "55", "57", "58")  # classes whose message names objects and settings only
_OUR_RULE = re.compile(r"PL/pgSQL function (outbox|raw|warehouse|lookup|fhir)\.")
_FUNCTION = re.compile(r'(?:PL/pgSQL|SQL) function "?([\w.]+)')


def translated(error: psycopg.Error, place: str) -> OpenSrpDhis2Error:
    """Turn an error of a session into ours, which names place, cause and remedy and no row. Pure."""
    state = error.sqlstate or ""
    known = _MEANINGS.get(state) or _MEANINGS.get(state[:2])
    if known is None:
        known = _GONE if isinstance(error, psycopg.OperationalError) and not state else _UNKNOWN
    cause = words_of(error)
    kept = "" if known.kind is _SETTING else " Nothing of this step was kept."
    return known.kind(f"Postgres at {place} {known.what}: {cause}. {known.remedy}.{kept}")


def translated_at_connect(error: Exception, place: str) -> OpenSrpDhis2Error:
    """Turn what libpq says of a connection that did not come about into ours. Pure."""
    said = _first_line(error)
    known = next((meaning for pattern, meaning in _SAID_AT_CONNECT if pattern.search(said)), _GONE)
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        known = _SILENT
    return known.kind(f"Postgres at {place} {known.what}: {said}. {known.remedy}")


def words_of(error: psycopg.Error) -> str:
    """Return the message of an error where it names objects and no data, else its kind and SQLSTATE. Pure."""
    state = error.sqlstate or ""
    if not state:  # libpq's own words, or psycopg's
        return _first_line(error) if isinstance(error, psycopg.OperationalError) else type(error).__name__
    is_rule = state == "P0001" and _OUR_RULE.match(error.diag.context or "")
    if state[:2] in _NAMES_OBJECTS or is_rule:
        return f"{error.diag.message_primary} (SQLSTATE {state})"
    function = _FUNCTION.search(error.diag.context or "")
    where = [error.diag.table_name, error.diag.constraint_name, function and f"function {function[1]}"]
    return f"{type(error).__name__} ({', '.join(filter(None, [f'SQLSTATE {state}', *where]))})"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
