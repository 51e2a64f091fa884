"""The search for what must not leave: names, phones, identifiers, positions, free text, cursors, tokens, long numbers.

It knows how words are found in tables and files; it refuses to show one: a finding says where, of which kind, and how often.
"""

import gzip
import hashlib
import html
import re
import sqlite3
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from psycopg.sql import SQL, Identifier

from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.privacy.long_number import long_numbers
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.queries import query

OPEN_SCHEMAS = ("indicator", "lookup", "outbox", "warehouse")
NEWEST = 50_000  # resources of each type whose words are looked for: what leaks, leaks for all of a kind
SHORTEST, SHORTEST_NUMBER, POSITION_DECIMALS = 4, 7, 4
KEPT_NAMES = ("lookup.place", "name")
SAMPLE = 4096  # bytes of a file that tell its encoding
MOST_WRAPPINGS = 5  # JSON in JSON in a URL
MOST_DIGITS, MOST_PARTS = 15, 8  # of a phone number
COUNTRY_CODE_LENGTHS, SHORTEST_NATIONAL, LONGEST_NATIONAL = (1, 2, 3), 8, 9  # digits, without the zero before them
_TOKEN = re.compile(r"[^\W_]+")
_DIGITS = re.compile(r"\d+")
_NUMBERS = re.compile(r"(?<![^\W_])\d+(?:[ \xa0()./+-]{1,3}\d+)+(?![^\W_])")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[nrtbf]|([\\\"/]))")
_PATTERNS = {
    "cursor": re.compile(r"_(?:getpages|jobId)=[\w-]{8,}"),
    "token": re.compile(
        r"\bBearer [\w.~+/-]{20,}|\bBasic [A-Za-z0-9+/]{12,}=*|\beyJ[\w-]{10,}\.[\w-]{10,}|\bd2pat_\w{20,}"
    ),
}

Phrase = tuple[str, ...]


@dataclass(frozen=True, order=True)
class Leak:
    """One private word at one place; `digest` begins its sha256, too short to guess the word from."""

    place: str
    column: str
    kind: str
    digest: str


@dataclass
class Vocabulary:
    """The words that prove nothing, as they are written and in small letters."""

    words: set[str] = field(default_factory=set)
    small: set[str] = field(default_factory=set)

    def add(self, text: str) -> None:
        words = _TOKEN.findall(text)
        self.words.update(words)
        self.small.update(map(str.casefold, words))


@dataclass
class Needles:
    """The words to look for, as rows of letters and digits by the first of them in small letters.

    A name is found in capitals too, unless its small letters are a known word; a phone number in any grouping.
    known: how many words are not looked for, because DHIS2's metadata or this program have all their parts too.
    phones: the digits of each number by all its forms, with and without the code of its country.
    """

    phones: dict[str, str] = field(default_factory=dict)
    by_first: dict[str, list[tuple[Phrase, str, bool]]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, word: str, vocabulary: Vocabulary) -> None:
        phrase = _phrase(kind, word)
        small = tuple(map(str.casefold, phrase))
        if not phrase or not _is_telling(kind, word, phrase):
            return
        if vocabulary.words.issuperset(phrase):
            self.known[kind] += 1
            return
        if kind == "phone" and len(phrase) == 1 and phrase[0].isdecimal():
            self.counts[kind] += phrase[0] not in self.phones
            self.phones.update(dict.fromkeys(_phone_forms(phrase[0]), phrase[0]))
            return
        is_exact = kind not in ("name", "place", "identifier") or vocabulary.small.issuperset(small)
        needle = (phrase if is_exact else small, kind, is_exact)
        if needle not in self.by_first.get(small[0], ()):
            self.by_first[small[0]].append(needle)
            self.counts[kind] += 1

    def found_in(self, text: str) -> Iterator[tuple[str, str]]:
        """Yield kind and digest of each private word in a text."""
        text = _plain(text)
        for kind, pattern in _PATTERNS.items():
            yield from ((kind, _digest(match)) for match in pattern.findall(text))
        tokens = _TOKEN.findall(text)
        phones = self._phones_in([*_grouped_numbers(text), *filter(str.isdecimal, tokens)])
        yield from (("phone", _digest(phone)) for phone in sorted(phones))
        if not phones:
            yield from (("long number", _digest(number)) for number in long_numbers(text))
        small = list(map(str.casefold, tokens))
        if self.by_first.keys().isdisjoint(small):
            return
        for index, token in enumerate(small):
            for phrase, kind, is_exact in self.by_first.get(token, ()):
                if tuple((tokens if is_exact else small)[index : index + len(phrase)]) == phrase:
                    yield kind, _digest(" ".join(phrase))

    def _phones_in(self, numbers: Iterable[str]) -> set[str]:
        return {self.phones[form] for number in numbers if (form := number.lstrip("0")) in self.phones}


@dataclass
class Scan:
    """What a search found, how much it read, and the files that it could not read."""

    findings: Counter[Leak] = field(default_factory=Counter)
    text_count: int = 0
    places: Counter[str] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not self.findings and not self.unread

    def look(self, needles: Needles, place: str, column: str, text: str, harmless: Collection[str] = ()) -> None:
        self.text_count += 1
        found = needles.found_in(text)
        self.findings.update(Leak(place, column, kind, digest) for kind, digest in found if kind not in harmless)


def read_needles(warehouse: Warehouse, secrets: Mapping[str, str], program: Iterable[Path]) -> Needles:
    """Read the words to look for out of the warehouse's own raw data, and the secrets of the settings.

    Args: secrets by the name of their setting; the program's own files, whose words prove nothing.
    Raises: ConfigurationError (terminal) when raw holds no person's word: such a search would prove nothing.
    """
    needles = Needles()
    vocabulary = Vocabulary()
    for path in program:
        vocabulary.add(path.read_text(errors="replace"))
    with warehouse.connect() as connection:
        for (name,) in connection.execute("select name from lookup.known_name where name is not null"):
            vocabulary.add(name)
        for kind, word in connection.execute("select kind, word from raw.private_word(%s)", (NEWEST,)):
            needles.add(kind, word, vocabulary)
    if not needles.counts:
        raise ConfigurationError("raw has no person's words to look for: run the job `extract` first")
    for setting, secret in secrets.items():
        needles.add(f"secret {setting}", secret, vocabulary)
    return needles


def scan_tables(scan: Scan, needles: Needles, connection: Connection, schemas: Sequence[str] = OPEN_SCHEMAS) -> None:
    """Search every distinct value of every column of some schemas, but for whole numbers, times and truth values."""
    columns = connection.execute(query("privacy", "columns"), {"schemas": list(schemas)}).fetchall()
    for schema, table, column, is_bytes in columns:
        place = f"{schema}.{table}"
        values = SQL("select distinct {0} from {1} where {0} is not null" if is_bytes else
                    "select distinct {0}::text from {1} where {0} is not null")  # fmt: skip
        with connection.cursor("scan") as cursor:
            cursor.execute(values.format(Identifier(column), Identifier(schema, table)))
            for (value,) in cursor:
                text = decoded(value) if is_bytes else value
                scan.look(needles, place, column, text, _harmless(place, column, text))
        scan.places[place] += 1


def _harmless(place: str, column: str, text: str) -> Collection[str]:
    """Return what proves nothing there: people live in places that keep their names, or share them; cells may be counts."""
    kinds = ("name", "address") if (place, column) == KEPT_NAMES else ()
    return (*kinds, "long number") if text.isdecimal() and not text.startswith("0") else kinds


def scan_paths(scan: Scan, needles: Needles, paths: Iterable[Path]) -> None:
    """Search files, and folders with all that is below them; SQLite files column by column, .gz unpacked."""
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                _scan_file(scan, needles, file)


def _scan_file(scan: Scan, needles: Needles, file: Path) -> None:
    scan.look(needles, str(file), "file name", file.name)
    try:
        with file.open("rb") as opened:
            is_sqlite = opened.read(16) == b"SQLite format 3\0"
        if is_sqlite:
            _scan_sqlite(scan, needles, file)
        elif not file.name.endswith(("-wal", "-shm", "-journal")):
            _scan_lines(scan, needles, file)
    except (OSError, EOFError, sqlite3.Error) as error:
        scan.unread.append(f"{file}: {type(error).__name__}")
    scan.places[str(file)] += 1


def _scan_lines(scan: Scan, needles: Needles, file: Path) -> None:
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rb") as opened:
        encoding = _encoding(opened.read(SAMPLE))
    with opener(file, "rt", encoding=encoding, errors="replace", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            scan.look(needles, str(file), f"line {number}", line)


def decoded(value: bytes) -> str:
    """Read bytes as text, UTF-16 where they look like it."""
    return value.decode(_encoding(value[:SAMPLE]), errors="replace")


def _encoding(sample: bytes) -> str:
    """Return how a text is written: UTF-16 has a mark at its start, or a zero in every second byte of Latin letters."""
    if sample.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "utf-16"
    for name, zeros in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[::2])):
        if len(sample) > 1 and zeros.count(0) > len(sample) / 4 > sample.count(0) - zeros.count(0):
            return name
    return "utf-8"


def _scan_sqlite(scan: Scan, needles: Needles, file: Path) -> None:
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
            rows = connection.execute(f'select * from "{table}"')  # noqa: S608 - the name is the file's own
            columns = [column for column, *_ in rows.description]
            for row in rows:
                for column, value in zip(columns, row, strict=True):
                    if isinstance(value, str | bytes):
                        text = value if isinstance(value, str) else decoded(value)
                        scan.look(needles, f"{file}:{table}", column, text)


def _plain(text: str) -> str:
    """Undo what JSON, URLs and HTML make of a word, also one in another."""
    for _ in range(MOST_WRAPPINGS):
        before = text
        if "\\" in text:
            text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2] or " ", text)
        if "%" in text:
            text = unquote(text, errors="replace")
        if "&" in text:
            text = html.unescape(text)
        if text == before:
            break
    return text


def _phrase(kind: str, word: str) -> Phrase:
    """Divide a word as a text is divided; a phone number is one row of digits."""
    phrase = tuple(_TOKEN.findall(word))
    digits = "".join(phrase)
    return (digits,) if kind == "phone" and digits.isdecimal() else phrase


def _phone_forms(digits: str) -> set[str]:
    """Return a number without its leading zeros, and without the code of its country: 256772000111 is 0772000111 at home."""
    plain = digits.lstrip("0")
    national = {plain[length:] for length in COUNTRY_CODE_LENGTHS if len(plain) - length >= SHORTEST_NATIONAL}
    return {plain, *national} if len(plain) > LONGEST_NATIONAL else {plain}


def _grouped_numbers(text: str) -> Iterator[str]:
    """Yield the numbers that stand in groups, such as +256 772 000-111, as one row of digits each."""
    for found in _NUMBERS.findall(text):
        groups = _DIGITS.findall(found)
        for start in range(len(groups)):
            for end in range(start + 2, min(start + MOST_PARTS, len(groups)) + 1):
                number = "".join(groups[start:end])
                if len(number) <= MOST_DIGITS:
                    yield number


def _is_telling(kind: str, word: str, phrase: Phrase) -> bool:
    """Return whether a word is long enough to be nobody's count, year or rounded position."""
    letters = "".join(phrase)
    if kind == "position":
        return len(word.partition(".")[2]) >= POSITION_DECIMALS
    return len(letters) >= (SHORTEST_NUMBER if letters.isdecimal() else SHORTEST)


def _digest(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()[:6]
