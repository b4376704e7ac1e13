"""Salesforce IDs: fifteen characters that tell upper from lower case, or eighteen that need not."""

from __future__ import annotations

import re
import string

CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
#: an upper-case letter is a one, everything else a zero
BITS = {ord(letter): "01"[letter.isupper()] for letter in string.ascii_letters + string.digits}
ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?", re.ASCII)


def to18(salesforce_id: str) -> str:
    """The 18-character form. One of 18 is taken as it is: anonymised fixtures have wrong check characters.

    Each check character tells which of five characters are upper case (Object Reference, "ID Field Type").
    Raises ValueError for anything that is not 15 or 18 letters and digits.
    """
    if not ID.fullmatch(salesforce_id):
        raise ValueError("15 or 18 letters and digits")
    if len(salesforce_id) == 18:
        return salesforce_id
    bits = salesforce_id.translate(BITS)[::-1]
    return salesforce_id + CHECK[int(bits[10:], 2)] + CHECK[int(bits[5:10], 2)] + CHECK[int(bits[:5], 2)]
