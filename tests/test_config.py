"""Settings: how each is read, what it is when unset, and what an error of it says and keeps to itself."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omreceiver import Settings
from omreceiver.config import settings_from
from omreceiver.errors import ConfigurationError

NAMES = {
    "DATABASE_URL",
    "OMRECEIVER_MODELS",
    "OMRECEIVER_WSDL_DIR",
    "OMRECEIVER_EXTERNAL_IDS",
    "OMRECEIVER_PATH",
    "OMRECEIVER_ORGANIZATIONS",
    "OMRECEIVER_TOKENS",
    "OMRECEIVER_ACTIONS",
    "OMRECEIVER_ACTIONS_ONLY",
    "OMRECEIVER_MAX_BODY",
    "OMRECEIVER_MISSING_EXTERNAL_ID",
    "OMRECEIVER_KEEP_MESSAGES",
    "OMRECEIVER_KEEP_LEDGER",
    "OMRECEIVER_ON_DELETE",
    "OMRECEIVER_POOL_MODE",
    "OMRECEIVER_RELAY",
    "OMRECEIVER_SCHEMA",
    "OMRECEIVER_SLOW_RECEIVER",
    "OMRECEIVER_TIME_LIMIT",
}
MIB = 1024 * 1024


def attribute_of(name: str) -> str:
    return next(f.name for f in fields(Settings) if f.metadata["name"] == name)


def value_of(name: str, text: object) -> Any:
    return getattr(Settings.from_mapping({name: text}), attribute_of(name))


def test_the_names_are_a_contract() -> None:
    assert {f.metadata["name"] for f in fields(Settings)} == NAMES


def test_everything_has_a_default() -> None:
    assert Settings.from_mapping({}) == Settings(
        database_url="sqlite:///omreceiver.db",
        models=(),
        wsdl_dir=Path("wsdl"),
        external_ids={},
        path="/outbound-messages",
        organizations=(),
        tokens=(),
        actions={},
        actions_only=False,
        max_body=32 * MIB,
        missing_external_id="quarantine",
        keep_messages=timedelta(days=7),
    )


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_a_blank_setting_is_an_unset_one(name: str, blank: str) -> None:
    assert Settings.from_mapping({name: blank}) == Settings()


def test_every_setting_says_what_it_means() -> None:
    assert all(f.metadata["meaning"] for f in fields(Settings))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("OMRECEIVER_MODELS", "shop.records", ("shop.records",)),
        ("OMRECEIVER_MODELS", " shop.records , shop.people,", ("shop.records", "shop.people")),
        ("OMRECEIVER_WSDL_DIR", "/srv/wsdl", Path("/srv/wsdl")),
        ("OMRECEIVER_WSDL_DIR", " salesforce ", Path("salesforce")),
        ("OMRECEIVER_EXTERNAL_IDS", "Account=ERP_Id__c", {"Account": "ERP_Id__c"}),
        (
            "OMRECEIVER_EXTERNAL_IDS",
            "Account = ERP_Id__c, acme__Invoice__c=acme__Number__c",
            {"Account": "ERP_Id__c", "acme__Invoice__c": "acme__Number__c"},
        ),
        ("OMRECEIVER_PATH", "/sf/om", "/sf/om"),
        ("OMRECEIVER_PATH", "sf/om/", "/sf/om"),
        ("OMRECEIVER_PATH", "/", "/"),
        ("OMRECEIVER_ORGANIZATIONS", "00Dxx0000001gPF", ("00Dxx0000001gPF",)),
        (
            "OMRECEIVER_ORGANIZATIONS",
            "00Dxx0000001gPFEAY, 00Dxx0000001gPG",
            ("00Dxx0000001gPFEAY", "00Dxx0000001gPG"),
        ),
        ("OMRECEIVER_TOKENS", "new,old", ("new", "old")),
        ("OMRECEIVER_TOKENS", "a=b", ("a=b",)),
        ("OMRECEIVER_ACTIONS", "04kxx00000000blBAA=Account", {"04kxx00000000blBAA": "Account"}),
        ("OMRECEIVER_ACTIONS", "04kxx00000000bl=Account.To_Shop", {"04kxx00000000bl": "Account.To_Shop"}),
        ("OMRECEIVER_ACTIONS_ONLY", "1", True),
        ("OMRECEIVER_ACTIONS_ONLY", "true", True),
        ("OMRECEIVER_ACTIONS_ONLY", "Yes", True),
        ("OMRECEIVER_ACTIONS_ONLY", "0", False),
        ("OMRECEIVER_ACTIONS_ONLY", "false", False),
        ("OMRECEIVER_ACTIONS_ONLY", "no", False),
        ("OMRECEIVER_MAX_BODY", "1000", 1000),
        ("OMRECEIVER_MAX_BODY", "64 KiB", 64 * 1024),
        ("OMRECEIVER_MAX_BODY", "64kib", 64 * 1024),
        ("OMRECEIVER_MAX_BODY", "8MiB", 8 * MIB),
        ("OMRECEIVER_MAX_BODY", "1 GiB", 1024 * MIB),
        ("OMRECEIVER_MISSING_EXTERNAL_ID", "use-salesforce-id", "use-salesforce-id"),
        ("OMRECEIVER_MISSING_EXTERNAL_ID", "quarantine", "quarantine"),
        ("OMRECEIVER_KEEP_MESSAGES", "0", timedelta(0)),
        ("OMRECEIVER_KEEP_MESSAGES", "90", timedelta(seconds=90)),
        ("OMRECEIVER_KEEP_LEDGER", "7d", timedelta(days=7)),
        ("OMRECEIVER_TIME_LIMIT", "5s", timedelta(seconds=5)),
        ("OMRECEIVER_SLOW_RECEIVER", "250ms", timedelta(milliseconds=250)),
        ("OMRECEIVER_RELAY", "inline", "inline"),
        ("OMRECEIVER_ON_DELETE", "mark", "mark"),
        ("OMRECEIVER_KEEP_MESSAGES", "90s", timedelta(seconds=90)),
        ("OMRECEIVER_KEEP_MESSAGES", "15m", timedelta(minutes=15)),
        ("OMRECEIVER_KEEP_MESSAGES", "12 h", timedelta(hours=12)),
        ("OMRECEIVER_KEEP_MESSAGES", "30d", timedelta(days=30)),
        ("DATABASE_URL", "sqlite:////srv/shop.db", "sqlite:////srv/shop.db"),
        ("DATABASE_URL", "postgres://u:p@db/shop", "postgresql+psycopg://u:p@db/shop"),
        ("DATABASE_URL", "postgresql://u:p@db/shop?sslmode=require",
         "postgresql+psycopg://u:p@db/shop?sslmode=require"),
        ("DATABASE_URL", "postgresql+psycopg2://u@db/shop", "postgresql+psycopg2://u@db/shop"),
        ("DATABASE_URL", "mysql://u:p@db/shop", "mysql+pymysql://u:p@db/shop"),
        ("DATABASE_URL", "mariadb://u:p@db/shop", "mariadb+pymysql://u:p@db/shop"),
        ("DATABASE_URL", "postgres://u:a%3A%2F%2Fb://c@db/shop", "postgresql+psycopg://u:a%3A%2F%2Fb://c@db/shop"),
    ],
)  # fmt: skip
def test_how_a_setting_is_read(name: str, text: str, value: object) -> None:
    assert value_of(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DATABASE_URL", "omreceiver.db"),
        ("DATABASE_URL", "://db/shop"),
        ("OMRECEIVER_EXTERNAL_IDS", "Account"),
        ("OMRECEIVER_EXTERNAL_IDS", "Account="),
        ("OMRECEIVER_EXTERNAL_IDS", "=ERP_Id__c"),
        ("OMRECEIVER_EXTERNAL_IDS", "Account = , Contact=Key__c"),
        ("OMRECEIVER_ACTIONS", "04kxx00000000blBAA"),
        ("OMRECEIVER_ACTIONS_ONLY", "2"),
        ("OMRECEIVER_ACTIONS_ONLY", "on please"),
        ("OMRECEIVER_MAX_BODY", "much"),
        ("OMRECEIVER_MAX_BODY", "32 MB"),
        ("OMRECEIVER_MAX_BODY", "-1"),
        ("OMRECEIVER_MAX_BODY", "1.5 MiB"),
        ("OMRECEIVER_MISSING_EXTERNAL_ID", "ignore"),
        ("OMRECEIVER_KEEP_MESSAGES", "a week"),
        ("OMRECEIVER_KEEP_MESSAGES", "-7d"),
        ("OMRECEIVER_KEEP_LEDGER", "6d"),
        ("OMRECEIVER_TIME_LIMIT", "0"),
        ("OMRECEIVER_RELAY", "celery"),
        ("OMRECEIVER_TIME_LIMIT", "60s"),
        ("OMRECEIVER_ON_DELETE", "keep"),
        ("OMRECEIVER_KEEP_MESSAGES", "7w"),
        ("OMRECEIVER_KEEP_MESSAGES", "9999999999999d"),
    ],
)
def test_what_cannot_be_read_stops_the_start_and_names_the_setting(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name}: expected .+\.$"):
        Settings.from_mapping({name: text})


def test_an_error_never_shows_the_text_of_a_secret() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_mapping({"DATABASE_URL": "user:hunter2@db/shop"})

    assert "hunter2" not in str(caught.value) + repr(caught.value) + repr(caught.value.__cause__)


def test_repr_shows_no_token_and_no_password_of_the_database() -> None:
    settings = Settings.from_mapping(
        {
            "DATABASE_URL": "postgres://shop:hunter2@db/shop",
            "OMRECEIVER_TOKENS": "s3cret,0lder",
            "OMRECEIVER_PATH": "/sf",
        }
    )

    assert "/sf" in repr(settings)
    assert not any(secret in repr(settings) for secret in ("hunter2", "s3cret", "0lder"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OMRECEIVER_TOKENS", ("new", "old")),
        ("OMRECEIVER_EXTERNAL_IDS", {"Account": "ERP_Id__c"}),
        ("OMRECEIVER_WSDL_DIR", Path("/srv/wsdl")),
        ("OMRECEIVER_ACTIONS_ONLY", True),
        ("OMRECEIVER_MAX_BODY", 1000),
        ("OMRECEIVER_KEEP_MESSAGES", timedelta(days=1)),
    ],
)
def test_flask_configs_may_hold_values_that_are_no_texts(name: str, value: object) -> None:
    assert value_of(name, value) == value


def test_other_names_are_nobodys_business() -> None:
    assert Settings.from_mapping({"PATH": "/usr/bin", "SECRET_KEY": b"x", "omreceiver_path": "/sf"}) == Settings()


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(AttributeError):
        Settings().path = "/elsewhere"  # type: ignore[misc]


def test_two_settings_do_not_share_their_defaults() -> None:
    assert Settings().actions is not Settings().actions


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMRECEIVER_PATH", "/from-the-environment")

    assert Settings.from_environment().path == "/from-the-environment"


def test_flask_config_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMRECEIVER_PATH", "/from-the-environment")
    monkeypatch.setenv("OMRECEIVER_TOKENS", "from-the-environment")

    settings = settings_from({"OMRECEIVER_PATH": "/from-flask", "DEBUG": True})

    assert settings.path == "/from-flask"
    assert settings.tokens == ("from-the-environment",)


@given(st.dictionaries(st.sampled_from(sorted(NAMES)), st.text()))
def test_any_text_is_read_or_answered_with_the_name_of_its_setting(texts: dict[str, str]) -> None:
    blamed: str | None = None
    try:
        Settings.from_mapping(texts)
    except ConfigurationError as error:
        blamed = str(error).partition(":")[0]
    assert blamed is None or blamed in texts


def test_the_ledger_outlives_the_messages() -> None:
    with pytest.raises(ConfigurationError, match="OMRECEIVER_KEEP_MESSAGES is longer than OMRECEIVER_KEEP_LEDGER"):
        Settings.from_mapping({"OMRECEIVER_KEEP_MESSAGES": "31d"})
    both = Settings.from_mapping({"OMRECEIVER_KEEP_MESSAGES": "31d", "OMRECEIVER_KEEP_LEDGER": "31d"})
    assert both.keep_messages == both.keep_ledger
