"""Settings: one frozen value, built once from a mapping. The only reader of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from omreceiver.errors import ConfigurationError

SIZES = {"": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
SPANS = {"": "seconds", "ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
#: a century; calendars end if one goes back by much more
LONGEST_SPAN = timedelta(days=36_500)
USE_SALESFORCE_ID = "use-salesforce-id"
MISSING_EXTERNAL_ID = ("quarantine", USE_SALESFORCE_ID)
INLINE = "inline"
#: who calls durable receivers: `omreceiver relay`, or the web process too
RELAY = ("process", INLINE)
ON_DELETE = ("delete", "mark")
TRANSACTION = "transaction"
#: as PgBouncer names them: for how long a client has a server's connection
POOL_MODES = ("session", TRANSACTION)
CURES = {
    "OMRECEIVER_SCHEMA": "Leave it out, and give each organization a database of its own.",
    "OMRECEIVER_POOL_MODE": "Leave it out.",
}
#: Salesforce repeats for a day, and for a week where Support has extended it (Integration Patterns, Fire and Forget)
SHORTEST_LEDGER = timedelta(days=7)
#: Salesforce gives up a delivery after 60 seconds (Outbound Message Considerations)
SALESFORCE_WAITS = timedelta(seconds=60)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in (part.strip() for part in text.split(",")) if word)


def _organizations(text: str) -> tuple[str, ...]:
    found = _words(text)
    if not all(re.fullmatch(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?", word, re.ASCII) for word in found):
        raise ValueError("expected organization IDs of 15 or 18 letters and digits, like 00D5g0000001abc")
    return found


def _pairs(text: str) -> dict[str, str]:
    split = [word.partition("=") for word in _words(text)]
    pairs = {name.strip(): value.strip() for name, _, value in split}
    if not all(pairs) or not all(pairs.values()):
        raise ValueError("expected Name=value pairs, separated by commas")
    return pairs


def _switch(text: str) -> bool:
    if text.lower() not in {"0", "1", "true", "false", "yes", "no", ""}:
        raise ValueError("expected 1 or 0")
    return text.lower() in {"1", "true", "yes"}


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", text)
    if not found or found[2].upper() not in SIZES:
        raise ValueError("expected a number of bytes, or like 32 MiB")
    return int(found[1]) * SIZES[found[2].upper()]


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,9})\s*(ms|[smhd]?)", text)
    span = timedelta(**{SPANS[found[2]]: int(found[1])}) if found else None
    if span is None or span > LONGEST_SPAN:
        raise ValueError("expected a time like 7d, 12h or 0")
    return span


def _ledger_span(text: str) -> timedelta:
    span = _span(text)
    if span < SHORTEST_LEDGER:
        raise ValueError("expected 7d or more: Salesforce may repeat a message for so long")
    return span


def _time_limit(text: str) -> timedelta:
    span = _span(text)
    if not timedelta() < span < SALESFORCE_WAITS:
        raise ValueError("expected a time like 30s, less than the 60 seconds that Salesforce waits")
    return span


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return text

    return read


def _schema(text: str) -> str:
    """PostgreSQL folds other names unless they are quoted, in our statements and in those of everybody else."""
    if text and not re.fullmatch(r"(?!pg_)[a-z_][a-z0-9_]{0,62}", text):
        raise ValueError("expected a name of small letters, digits and _, which does not begin with a digit or pg_")
    return text


def _path(text: str) -> str:
    return "/" + text.strip("/")


def _database(text: str) -> str:
    """Heroku writes postgres://, which SQLAlchemy 1.4 stopped to understand; name our drivers too."""
    scheme, rest = text.split("://", 1) if "://" in text else ("", text)
    drivers = {
        "postgres": "postgresql+psycopg",
        "postgresql": "postgresql+psycopg",
        "mysql": "mysql+pymysql",
        "mariadb": "mariadb+pymysql",
    }
    if not scheme:
        raise ValueError("expected a database URL like sqlite:///omreceiver.db")
    return f"{drivers.get(scheme, scheme)}://{rest}"


def _setting(name: str, read: Callable[[str], Any], default: str, meaning: str, *, secret: bool = False) -> Any:
    """A field of Settings: its name outside, how its text is read, its default as text, what it means."""
    facts = {"name": name, "read": read, "default": default, "meaning": meaning}
    return field(default_factory=lambda: read(default), metadata=facts, repr=not secret)


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. Unset means the default; a value that cannot be read stops the start."""

    database_url: str = _setting(
        "DATABASE_URL", _database, "sqlite:///omreceiver.db", "where the tables are", secret=True
    )
    schema: str = _setting("OMRECEIVER_SCHEMA", _schema, "", "the schema of all tables, on PostgreSQL")
    pool_mode: str = _setting(
        "OMRECEIVER_POOL_MODE", _one_of(*POOL_MODES), "session", "transaction, through PgBouncer in that mode"
    )
    models: tuple[str, ...] = _setting(
        "OMRECEIVER_MODELS", _words, "", "modules that declare records, separated by commas"
    )
    wsdl_dir: Path = _setting("OMRECEIVER_WSDL_DIR", Path, "wsdl", "the folder of WSDLs, describes and workflow files")
    external_ids: Mapping[str, str] = _setting(
        "OMRECEIVER_EXTERNAL_IDS",
        _pairs,
        "",
        "external IDs of classes built from WSDLs, like Account=ERP_Id__c",
    )
    path: str = _setting(
        "OMRECEIVER_PATH",
        _path,
        "/outbound-messages",
        "the path that Salesforce posts to; a WSDL's own is below it",
    )
    organizations: tuple[str, ...] = _setting(
        "OMRECEIVER_ORGANIZATIONS", _organizations, "", "organization IDs let in; empty: only senders on this machine"
    )
    tokens: tuple[str, ...] = _setting(
        "OMRECEIVER_TOKENS", _words, "", "secrets accepted as ?token=, newest first", secret=True
    )
    actions: Mapping[str, str] = _setting(
        "OMRECEIVER_ACTIONS",
        _pairs,
        "",
        "which WSDL or outbound message an ActionId sends, like 04k…=Account",
    )
    actions_only: bool = _setting(
        "OMRECEIVER_ACTIONS_ONLY", _switch, "0", "1 lets in only the actions of OMRECEIVER_ACTIONS"
    )
    max_body: int = _setting("OMRECEIVER_MAX_BODY", _size, "32 MiB", "the largest body let in")
    missing_external_id: str = _setting(
        "OMRECEIVER_MISSING_EXTERNAL_ID",
        _one_of(*MISSING_EXTERNAL_ID),
        "quarantine",
        "quarantine, or use-salesforce-id as the key",
    )
    on_delete: str = _setting(
        "OMRECEIVER_ON_DELETE",
        _one_of(*ON_DELETE),
        "delete",
        "delete, or mark, for classes built from WSDLs",
    )
    keep_messages: timedelta = _setting(
        "OMRECEIVER_KEEP_MESSAGES", _span, "7d", "how long raw messages stay for replay; 0 keeps none"
    )
    keep_ledger: timedelta = _setting(
        "OMRECEIVER_KEEP_LEDGER", _ledger_span, "30d", "how long the ledger knows a notification; at least 7d"
    )
    slow_receiver: timedelta = _setting(
        "OMRECEIVER_SLOW_RECEIVER", _span, "5s", "a receiver of a signal that takes longer is named in the log"
    )
    relay: str = _setting(
        "OMRECEIVER_RELAY", _one_of(*RELAY), "process", "who calls durable receivers: `omreceiver relay`, or inline"
    )
    time_limit: timedelta = _setting(
        "OMRECEIVER_TIME_LIMIT", _time_limit, "30s", "how long storing a message may take before it is rolled back"
    )

    def __post_init__(self) -> None:
        if self.keep_messages > self.keep_ledger:
            raise ConfigurationError(
                "OMRECEIVER_KEEP_MESSAGES is longer than OMRECEIVER_KEEP_LEDGER. The ledger outlives the messages: "
                "raise the second, or lower the first."
            )
        wants = {"OMRECEIVER_SCHEMA": self.schema, "OMRECEIVER_POOL_MODE": self.pool_mode == TRANSACTION}
        for name in (name for name, is_set in wants.items() if is_set):
            if not self.database_url.startswith("postgresql"):
                raise ConfigurationError(f"{name}: DATABASE_URL is not PostgreSQL's, which alone has it. {CURES[name]}")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> Settings:
        """Read the settings from names to texts. Values that are already of their type are taken as they are.

        Raises ConfigurationError for a text that cannot be read, naming the setting but not a secret's text, and for
        a name that begins like a setting and is none: a misspelled OMRECEIVER_TOKENS would leave the door open.
        """
        _check_names(mapping, [f.metadata["name"] for f in fields(cls)])
        given = {f.name: _read(f, mapping[f.metadata["name"]]) for f in fields(cls) if f.metadata["name"] in mapping}
        return cls(**given)

    @classmethod
    def from_environment(cls) -> Settings:
        return cls.from_mapping(os.environ)


def _check_names(mapping: Mapping[str, object], names: list[str]) -> None:
    for unknown in (name for name in mapping if name.startswith("OMRECEIVER_") and name not in names):
        near = get_close_matches(unknown, names, 1) or ["docs/settings.md"]
        raise ConfigurationError(f"{unknown} is not a setting; see {near[0]}.")


def _read(setting: Field[Any], value: object) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return setting.metadata["read"](value.strip() or setting.metadata["default"])
    except ValueError as error:
        raise ConfigurationError(f"{setting.metadata['name']}: {error}.") from error


def settings_from(config: Mapping[str, object]) -> Settings:
    """The settings of a Flask application: its own config first, then the environment."""
    return Settings.from_mapping({**os.environ, **config})
