"""Texts of others made safe for the place that shows them: a terminal, a spreadsheet, a Markdown table, a line of JSON.

It knows characters; it refuses to know what a text says. Names and messages of DHIS2 and FHIR servers pass through it.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

# line ends, tabs and Unicode's separators; marks that nobody sees; control characters, and what turns the direction
_BREAKS = "\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029"
_UNSEEN = "\u00ad\u061c\u200b\u200e\u200f\u2060-\u2064\ufeff"
_HARMFUL = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2065-\u206f\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff"
)
_BREAK, _ANY_UNSEEN, _ANY_HARMFUL = (re.compile(f"[{some}]+") for some in (_BREAKS, _UNSEEN, _HARMFUL))
_ANY_BUT_LINES = re.compile(f"[{_HARMFUL}{_BREAKS}](?<![\n\t])")
_NOT_IN_JSON = re.compile(f"[{_HARMFUL}{_UNSEEN}\x85\u2028\u2029]")
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the full-width ones too, as Excel takes them
_NEGATIVE = re.compile(r"-\d+(\.\d+)?")
_MARKDOWN = re.compile(r"[\\|\[\]*`~]|(?<![^\W_])_|_(?![^\W_])")  # an underscore within a word is none
SHOWN = "\ufffd"  # in place of what must not be seen as it is


def one_line(text: str) -> str:
    """Return a text as one line that shows all its characters: no control character, nothing that turns its direction."""
    return _ANY_HARMFUL.sub(SHOWN, _ANY_UNSEEN.sub("", _BREAK.sub(" ", text)))


def plain_lines(text: str) -> str:
    """Return a text of several lines in the same way; line feeds and tabs stay."""
    return _ANY_BUT_LINES.sub(SHOWN, _ANY_UNSEEN.sub("", text.replace("\r\n", "\n")))


def spreadsheet_cell(text: str) -> str:
    """Return a cell that no spreadsheet reads as a formula, whatever blanks come first; a negative number stays one."""
    cell = one_line(text)
    is_formula = cell.lstrip().lstrip(SHOWN).lstrip().startswith(_FORMULA) and not _NEGATIVE.fullmatch(cell)
    return f"'{cell}" if is_formula else cell


def markdown_cell(text: str) -> str:
    """Return a cell of a Markdown table that shows its text, whatever marks it has."""
    return _MARKDOWN.sub(r"\\\g<0>", one_line(text)).replace("&", "&amp;").replace("<", "&lt;")


def markdown_table(heads: Iterable[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()) -> str:
    """Return a Markdown table; `numbers`: the columns that stand on the right. None is an empty cell."""
    named = list(heads)
    marks = ("---:" if index in numbers else "---" for index in range(len(named)))
    body = ("" if cell is None else markdown_cell(str(cell)) for row in rows for cell in row)
    lines = [_markdown_line(markdown_cell(head) for head in named), f"|{'|'.join(marks)}|"]
    return "\n".join([*lines, *(_markdown_line(cells) for cells in zip(*[body] * len(named), strict=True))])


def _markdown_line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def json_line(document: Any) -> str:
    """Return a document as one line of JSON that a terminal shows as it is; what is hidden stands as an escape."""
    return _NOT_IN_JSON.sub(lambda found: _escape(found[0]), json.dumps(document, default=str, ensure_ascii=False))


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"
