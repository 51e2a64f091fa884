"""What becomes of a refusal once its cause is mended: which causes pass, which our metadata show, and what is left to do.

It knows codes; when a value is tried again is decided in sql/functions/outbox_refusal.sql.
"""

from enum import StrEnum

MOST_TRIES = 7  # days on which a value is tried again though nothing changed that we can see

# the engine before 2.43 -> the word of 2.43 for the same cause, which lists and files use; as outbox.unified_code has it
WORDS = {
    "E7600": "E8005",
    "E7601": "E8010",
    **dict.fromkeys(("E7603", "E7612"), "E8107"),
    **dict.fromkeys(("E7610", "E7632", "E7633"), "E8020"),
    **dict.fromkeys(("E7613", "E7614", "E7615", "E7616"), "E8012"),
    "E7617": "E8011",
    "E7618": "E8120",
    "E7619": "E8122",
    "E7620": "E8125",
    "E7621": "E8123",
    "E7634": "E8024",
    "E7635": "E8023",
    "E7636": "E8022",
    "E7638": "E8032",
    "E7639": "E8025",
    **dict.fromkeys(("E7640", "E7641", "E7643", "E7644"), "E8030"),
    "E7642": "E8033",
}

# what outbox.objection finds in our metadata too: as soon as they change, a report knows whether it is worth trying
JUDGED = frozenset(
    {
        "E8011", "E8012", "E8020", "E8021", "E8022", "E8023", "E8024", "E8025", "E8030", "E8031", "E8032", "E8107",
        "E8120", "E8122", "E8123", "unreadable_period",
    }
)  # fmt: skip
_CONTENT = frozenset({"E8120", "E8122", "E8123", "unreadable_period"})  # a value's own, which no day mends
# what may pass without a trace in what we know of DHIS2: an approval, an input period, a fault of the server
PASSING = (JUDGED - _CONTENT) | {
    "E7611", "E8005", "E8010", "E8033", "E8103", "E8108", "E8110", "counts_disagree", "empty_reply", "flush_failed",
    "forbidden", "import_failed", "not_a_summary", "not_json", "nothing_counted", "redirected", "server_error",
    "too_large", "unauthorized", "unexplained_rejection", "write_lost",
}  # fmt: skip
UNSEEN = frozenset({"E7642", "E8033"})
# a remedy that says all, or of something that is no value
_SAID = frozenset(
    {
        "E1003", "E1004", "E1005", "E1006", "E2002", "E2003", "E2009", "E2030", "E4000", "E4002", "E5003", "E7605",
        "E7622", "completion_refused", "counts_disagree", "dry_run", "flush_failed", "foreign_edit", "import_failed",
        "not_a_summary", "nothing_counted", "outside_submission_hours", "request_timeout", "server_error",
        "server_silent", "too_many_requests", "unexplained_rejection", "value_vanished", "write_lost",
    }
)  # fmt: skip
# the pipeline's own faults: a new version mends them, and DHIS2 does not show it
_OURS = frozenset(
    {
        "E7602", "E7620", "E7630", "E7631", "E7637", "E7645", "E8000", "E8001", "E8002", "E8004", "E8006",
        "E8007", "E8008", "E8009", "E8034", "E8035", "E8100", "E8101", "E8102", "E8105", "E8121", "E8124",
        "E8125", "E8126", "E8127", "E8128", "bad_request", "duplicate_key", "other_strategy", "unquoted_member",
    }
)  # fmt: skip


class Then(StrEnum):
    """What is left to do once the cause is mended; the texts stand in codes_en.py and codes_fr.py."""

    NOTHING = "nothing"  # the next report tries again by itself
    WAIT = "wait"  # it does for a week, since it cannot see that the cause is gone
    REQUEUE = "requeue"  # a command puts the values back
    SAID = "said"  # the remedy says it already


def then(code: str, *, is_known: bool) -> Then:
    """Say what is left to do once the cause of a code is mended."""
    if code in _SAID:
        return Then.SAID
    if code in _OURS or not is_known:
        return Then.REQUEUE
    return Then.WAIT if code in UNSEEN else Then.NOTHING


def rules() -> tuple[list[str], list[str], int]:
    """Return what the ledger must know of codes: those that our metadata judge, those that pass unseen, and how long."""
    return sorted(JUDGED), sorted(PASSING), MOST_TRIES


def older_words(code: str) -> list[str]:
    """Return what the engine before 2.43 calls the cause of this word."""
    return sorted(old for old, word in WORDS.items() if word == code)
