"""What people read, in one language: the texts of <language>.toml, and numbers as that language writes them.

It knows names of texts; a language is a file, and a new file is a new language.
"""

import tomllib
from functools import cache
from math import floor
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


def languages() -> list[str]:
    """Return the languages that have a file, by their code."""
    return sorted(path.stem for path in _FOLDER.glob("??.toml"))


class Catalogue:
    """The texts of one language; call it with the name of a label."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts: dict[str, dict[str, Any]] = tomllib.loads((_FOLDER / f"{language}.toml").read_text("utf-8"))
        self._style = self._texts["language"]

    def __call__(self, name: str, **parts: object) -> str:
        """Return a label or a sentence, its numbers written as the language writes them."""
        return self.text("labels", name, **parts)

    def text(self, section: str, name: str, **parts: object) -> str:
        """Return one text of a section."""
        shown = {key: self.number(part) if type(part) is int else part for key, part in parts.items()}
        return str(self._texts[section][name].format(**shown))

    def columns(self, *names: str) -> list[str]:
        """Return the heads of a table."""
        return [self._texts["columns"][name] for name in names]

    def pair(self, section: str, name: str) -> tuple[str, str] | None:
        """Return what is wrong and what to do about it; None where the language has no such name."""
        found = self._texts[section].get(name)
        return (found["sentence"], found["remedy"]) if found else None

    @property
    def csv_delimiter(self) -> str:
        """The separator that Excel expects in this language."""
        return str(self._style["csv_delimiter"])

    def number(self, number: int) -> str:
        """Write a whole number with its thousands apart."""
        return f"{number:,}".replace(",", self._style["thousands"])

    def share(self, part: int, whole: int) -> str:
        """Write a share in per cent, rounded down: 100 % means all of them."""
        tenths = floor(1000 * part / whole) if whole else 0
        text = str(tenths // 10) if tenths % 10 == 0 else f"{tenths // 10}{self._style['decimal']}{tenths % 10}"
        return f"{text}\u202f%"


@cache
def catalogue(language: str = "en") -> Catalogue:
    """Return the texts of a language, read once."""
    return Catalogue(language)
