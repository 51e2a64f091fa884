"""Every reason for which a value may not be stored: how far it reaches, whose job it is, and where its text stands.

It knows DHIS2's codes of both import engines and our own words for what has no code; the sentences are in
codes_en.py and codes_fr.py, one file a language, so that none of them stands between two lines of logic.
"""

from dataclasses import dataclass
from enum import StrEnum

from opensrp_dhis2.messages.codes_en import ENGLISH, ENGLISH_BEFORE, ENGLISH_OWNERS, ENGLISH_THEN
from opensrp_dhis2.messages.codes_fr import FRENCH, FRENCH_BEFORE, FRENCH_OWNERS, FRENCH_THEN
from opensrp_dhis2.messages.healing import WORDS, older_words, then

TEXTS = {"en": ENGLISH, "fr": FRENCH}  # language -> code -> (sentence, remedy)
THEN = {"en": ENGLISH_THEN, "fr": FRENCH_THEN}  # language -> what is left to do once it is mended
BEFORE = {"en": ENGLISH_BEFORE, "fr": FRENCH_BEFORE}  # language -> how to name the words of the older engine, and ours
OWNER_LABELS = {"en": ENGLISH_OWNERS, "fr": FRENCH_OWNERS}  # language -> owner -> what to call them


class Level(StrEnum):
    """How far a code reaches."""

    REQUEST = "request"  # every row, whoever is guilty
    DECODE = "decode"  # names one row and stops the whole request
    GROUP = "group"  # names ids and stops every row of the data set
    VALUE = "value"  # the rows it names, and no other


class Owner(StrEnum):
    """Whose job it is to mend it."""

    US = "us"
    MAPPING = "mapping"
    ADMINISTRATOR = "DHIS2 administrator"
    DATA_OWNER = "data owner"


class Reason(StrEnum):
    """Our own words for what DHIS2 says without a code, or does not say at all."""

    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_LOCKED = "account_locked"
    BAD_REQUEST = "bad_request"
    BEARER_REFUSED = "bearer_refused"
    BEYOND_OPEN_PERIODS = "beyond_open_periods"
    COMPLETION_REFUSED = "completion_refused"
    COUNTS_DISAGREE = "counts_disagree"
    DRY_RUN = "dry_run"
    DUPLICATE_KEY = "duplicate_key"
    EMPTY_REPLY = "empty_reply"
    FLUSH_FAILED = "flush_failed"
    FORBIDDEN = "forbidden"
    FOREIGN_EDIT = "foreign_edit"
    IMPORT_FAILED = "import_failed"
    NOTHING_COUNTED = "nothing_counted"
    NOT_A_SUMMARY = "not_a_summary"
    NOT_JSON = "not_json"
    OTHER_STRATEGY = "other_strategy"
    OUTSIDE_SUBMISSION_HOURS = "outside_submission_hours"
    PAT_ADDRESS = "pat_address"
    PAT_EXPIRED = "pat_expired"
    PAT_METHOD = "pat_method"
    PAT_MISCOPIED = "pat_miscopied"
    PAT_REFUSED = "pat_refused"
    PAT_UNKNOWN = "pat_unknown"
    REDIRECTED = "redirected"
    REQUEST_TIMEOUT = "request_timeout"
    SERVER_ERROR = "server_error"
    SERVER_SILENT = "server_silent"
    TOO_LARGE = "too_large"
    TOO_MANY_REQUESTS = "too_many_requests"
    UNAUTHORIZED = "unauthorized"
    UNEXPLAINED_REJECTION = "unexplained_rejection"
    UNQUOTED_MEMBER = "unquoted_member"
    UNREADABLE_PERIOD = "unreadable_period"
    VALUE_MISSING = "value_missing"
    VALUE_VANISHED = "value_vanished"
    WRITE_LOST = "write_lost"


@dataclass(frozen=True, slots=True)
class Explanation:
    """A code in plain words, for the person who must act."""

    code: str
    sentence: str
    owner: Owner
    owner_label: str
    remedy: str


_R, _D, _G, _V = Level.REQUEST, Level.DECODE, Level.GROUP, Level.VALUE
_US, _MAP, _ADM, _OWN = Owner.US, Owner.MAPPING, Owner.ADMINISTRATOR, Owner.DATA_OWNER

NOT_LET_IN = (
    Reason.UNAUTHORIZED, Reason.ACCOUNT_DISABLED, Reason.ACCOUNT_LOCKED, Reason.BEARER_REFUSED, Reason.PAT_ADDRESS,
    Reason.PAT_EXPIRED, Reason.PAT_METHOD, Reason.PAT_MISCOPIED, Reason.PAT_REFUSED, Reason.PAT_UNKNOWN,
)  # fmt: skip
CODES: dict[str, tuple[Level | None, Owner]] = {
    # the engine before 2.43
    **dict.fromkeys(("E7600", "E7601", "E7603"), (_R, _ADM)),
    **dict.fromkeys(("E7602", "E7604"), (_R, _US)),
    **dict.fromkeys(("E7610", "E7612", "E7613", "E7615", "E7632", "E7633", "E7634", "E7635"), (_V, _MAP)),
    **dict.fromkeys(("E7611", "E7618", "E7619", "E7620", "E7621", "E7630", "E7631", "E7637", "E7645"), (_V, _US)),
    **dict.fromkeys(("E7614", "E7616", "E7617", "E7636", "E7638", "E7639"), (_V, _ADM)),
    **dict.fromkeys(("E7640", "E7641", "E7642", "E7643", "E7644"), (_V, _OWN)),
    # the engine of 2.43 and above
    **dict.fromkeys(("E8001", "E8002", "E8004", "E8005", "E8006", "E8007", "E8008", "E8009"), (_R, _US)),
    **dict.fromkeys(("E8034", "E8035"), (_R, _US)),
    "E8000": (_G, _US),
    "E8003": (_G, _MAP),
    "E8010": (_R, _ADM),
    **dict.fromkeys(("E8011", "E8012"), (_G, _ADM)),
    **dict.fromkeys(("E8020", "E8023", "E8024"), (_G, _MAP)),
    "E8021": (_G, _US),
    **dict.fromkeys(("E8022", "E8025", "E8031", "E8032"), (_G, _ADM)),
    **dict.fromkeys(("E8030", "E8033"), (_G, _OWN)),
    "E8128": (_G, _US),
    **dict.fromkeys(("E8100", "E8101", "E8102", "E8105", "E8126", "E8127"), (_D, _US)),
    **dict.fromkeys(("E8103", "E8104", "E8106", "E8107", "E8108", "E8109", "E8110", "E8111"), (_D, _MAP)),
    **dict.fromkeys(("E8120", "E8121", "E8122", "E8123", "E8124", "E8125"), (_V, _US)),
    # reading back and metadata
    **dict.fromkeys(("E1003", "E1004", "E1005"), (None, _US)),
    **dict.fromkeys(("E1006", "E2010", "E2011", "E2012"), (None, _ADM)),
    **dict.fromkeys(("E2001", "E2002", "E2003", "E2006", "E2009"), (None, _US)),
    **dict.fromkeys(("E2030", "E4000", "E4002", "E7622"), (None, _US)),
    "E5003": (None, _ADM),
    "E7605": (None, _OWN),
    # without a code
    **dict.fromkeys(Reason, (None, _US)),
    **dict.fromkeys(
        (
            Reason.COMPLETION_REFUSED,
            Reason.VALUE_MISSING,
            Reason.REDIRECTED,
            *NOT_LET_IN,
            Reason.FORBIDDEN,
            Reason.TOO_LARGE,
            Reason.TOO_MANY_REQUESTS,
            Reason.NOT_JSON,
            Reason.SERVER_ERROR,
        ),
        (None, _ADM),
    ),
    Reason.OUTSIDE_SUBMISSION_HOURS: (_R, _US),
    **dict.fromkeys((Reason.REQUEST_TIMEOUT, Reason.SERVER_SILENT), (_R, _ADM)),
    **dict.fromkeys((Reason.BEYOND_OPEN_PERIODS, Reason.FOREIGN_EDIT, Reason.VALUE_VANISHED), (_V, _OWN)),
}
USER_CAUSES = frozenset({"E7601", "E8010", "E8011", "E8012", *NOT_LET_IN, Reason.FORBIDDEN, Reason.REDIRECTED})


def level_of(code: str | None) -> Level | None:
    """Say how far a code reaches; None for a code that is not known."""
    return CODES.get(code or "", (None, _US))[0]


def explain(code: str, language: str = "en") -> Explanation:
    """Put a code into plain words; one that is not known gets words too.

    The sentence names what the engine before 2.43 calls the cause; the remedy ends with what to do after it.
    """
    sentence, remedy = TEXTS[language].get(code) or TEXTS[language]["unknown_code"]
    owner = CODES.get(code, (None, _ADM))[1]
    said = f"{sentence.format(code=code)}{_other_words(code, language)}"
    left = THEN[language][then(code, is_known=code in CODES)].format(code=WORDS.get(code, code))
    return Explanation(code, said, owner, OWNER_LABELS[language][owner], f"{remedy}{left}")


def _other_words(code: str, language: str) -> str:
    before, here = BEFORE[language]
    if code in WORDS:
        return here.format(code=WORDS[code])
    older = older_words(code)
    return before.format(codes=", ".join(older)) if older else ""
