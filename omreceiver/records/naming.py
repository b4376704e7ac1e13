"""From Salesforce's names to Python's and SQL's: one rule, pure."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterable

#: attributes that a mapped class already has
TAKEN = frozenset(
    {
        "external_id",
        "child_name",
        "salesforce_id",
        "organization_id",
        "modstamp",
        "action_stamps",
        "deleted_at",
        "extra",
        "fields",
        "references",
        "metadata",
        "registry",
    }
)
#: PostgreSQL cuts a longer name, MariaDB refuses it
LONGEST = 63
WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake_case(name: str) -> str:
    """CloseDate → close_date, ERP_Id__c → erp_id__c, HTMLBody → html_body. What gets too long stays one word."""
    words = WORD_START.sub("_", name).replace("___", "__").lower()
    return words if len(words) <= LONGEST else name.lower()


def attribute_names(api_names: Iterable[str]) -> dict[str, str]:
    """API name → attribute and column name, each once.

    Two fields that would meet in one name (Foo_Bar__c and FooBar__c) are both written without the added
    underscores; a name that Python or the mapped class has taken gets one more at its end.
    """
    names = {api: snake_case(api) for api in api_names}
    for _ in names:
        # what is written anew may meet another name, which then is written anew too
        twice = {name for name, times in Counter(names.values()).items() if times > 1}
        if not twice:
            break
        names = {api: api.lower() if name in twice else name for api, name in names.items()}
    return {api: _free(name) for api, name in names.items()}


def _free(name: str) -> str:
    return f"{name}_" if name in TAKEN or keyword.iskeyword(name) or not name.isidentifier() else name
