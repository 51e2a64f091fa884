"""Long numbers in a text, such as telephone numbers and national ids, told from times, ids and counts.

It knows digits and what stands around them; which text is searched stands in scan.py.
"""

import re
from collections.abc import Iterator

SHORTEST, LONGEST = 7, 20
_NO_NUMBER = re.compile(
    r"""[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}                          # a UUID
    | (?<!\d)(?:19|20)\d\d-\d\d(?:-\d\d)?(?:[T_ ]\d\d:?\d\d(?::?\d\d(?:[.,]\d+)?)?)?(?:[ ]?[+-]\d\d:?\d\d)?(?!\d)
    | (?<!\d)(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[T_-]?\d{4,6})?(?!\d)   # 20240131, 20240131T1200
    | (?<!\d)\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?!\d)                         # an address and its port
    | (?<!\d)1[5-9]\d{8}(?:\d{3}){0,2}(?:\.\d+)?(?!\d)                      # seconds since 1970, or parts of them
    | \[[1-9]\d{0,6}\] | [ ]-[ ][1-9]\d{0,6}[ ]-[ ]                          # a process in a log
    | \d+[.,]\d+                                                           # a fraction, a count
    | (?:(?:_|\b)(?:pid|size|bytes|count|offset|port|version)|_id|["']id)["']?\s*[:=]?\s*["']?[1-9]\d*\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.,/#+-])[(+]{0,2}(?:(?<=\+)\d|\d\d)\d*(?:\)?[ \xa0-]?\(?\d\d+)*(?!\w)(?![.,]\d)")


def long_numbers(text: str) -> Iterator[str]:
    """Yield the digits of each long number in a text."""
    for found in _NUMBER.finditer(_NO_NUMBER.sub(" x ", text)):
        digits = re.sub(r"\D", "", found[0])
        if SHORTEST <= len(digits) <= LONGEST:
            yield digits
