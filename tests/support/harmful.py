"""Texts that do harm where they are shown, and what of them is left."""

import unicodedata

HARMFUL = [
    "\x1b[2J\x1b[31mHealth\x07", "\x9b31mHealth", "Health\nCentre", "Health\r\nCentre\u2028x", "=1+1", " =1+1",
    "\u00a0\u3000=1", "\uff1dcmd|x", "\u200b=1", "\u202eHealth", "\u2066x\u2069", "a\x01b\x7f",
]  # fmt: skip


def harmful_in(text: str) -> list[str]:
    """Give the control characters, and those that turn the direction or are no text, in a text."""
    turning = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029"
    return [one for one in text if one in turning or unicodedata.category(one) in ("Cc", "Cs")]
