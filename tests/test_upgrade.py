"""Tables on every database: made, compared, upgraded, never dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.orm import Mapped, mapped_column

from omreceiver import ExternalId, Field, Settings
from omreceiver.app import assemble
from omreceiver.errors import TableTaken
from omreceiver.receive import Parts
from omreceiver.store import tables
from omreceiver.store.database import for_writing
from omreceiver.store.upgrade import MIGRATIONS, alembic_config, missing, upgrade
from tests.wsdls import select_fields

Open = Callable[..., Parts]
LEDGER = {*tables.metadata.tables, "om_alembic_version"}


@pytest.fixture
def open_parts(empty_url: str, tmp_path: Path) -> Iterator[Open]:
    """open_parts(records): a receiver of the WSDLs that are in tmp_path now; its database stays what it was."""
    settings = Settings.from_mapping({"DATABASE_URL": empty_url, "OMRECEIVER_WSDL_DIR": str(tmp_path)})
    with ExitStack() as stack:

        def opened(records: Any = ()) -> Parts:
            parts = assemble(settings, records)
            stack.callback(parts.engine.dispose)
            return parts

        yield opened


def make(parts: Parts) -> set[str]:
    """Upgrade, and give the tables that there are now."""
    upgrade(parts.engine, parts.models)
    return table_names(parts.engine)


def table_names(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def column_names(engine: Engine, table: str) -> set[str]:
    return {column["name"] for column in inspect(engine).get_columns(table)}


def indexed(engine: Engine, table: str) -> set[str | None]:
    return {name for index in inspect(engine).get_indexes(table) for name in index["column_names"]}


def differences(connection: Connection) -> list[Any]:
    """What `alembic revision --autogenerate` would write for the om_ tables."""

    def is_ours(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
        return kind != "table" or (name or "").startswith("om_")

    options = {"include_object": is_ours, "compare_type": True, "version_table": "om_alembic_version"}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata))


def test_everything_is_made_once(open_parts: Open, tmp_path: Path) -> None:
    select_fields(tmp_path, "Account", Name="string")
    select_fields(tmp_path, "Lead", Company="string")
    parts = open_parts()

    done = upgrade(parts.engine, parts.models)

    assert table_names(parts.engine) == LEDGER | {"account", "lead"}
    assert (done.revision, sorted(table.name for table in done.tables)) == (True, ["account", "lead"])
    assert not upgrade(parts.engine, parts.models)
    assert not missing(parts.engine, parts.models)


def test_a_declared_class_and_the_classes_below_it_have_a_table_each(open_parts: Open, base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        external_id: Mapped[str] = ExternalId("ERP_Id__c")

    class PartnerAccount(Account, when={"RecordTypeId": "012000000000001AAA"}):  # type: ignore[call-arg]
        tier: Mapped[str | None] = Field("Tier__c")

    parts = open_parts(base)

    assert make(parts) == LEDGER | {"account", "partner_account"}
    [reference] = inspect(parts.engine).get_foreign_keys("partner_account")
    assert reference["referred_table"] == "account"
    assert {name: rule.upper() for name, rule in reference["options"].items()} == {
        "onupdate": "CASCADE",
        "ondelete": "CASCADE",
    }


def test_the_chain_gives_exactly_the_tables_of_the_code(open_parts: Open) -> None:
    parts = open_parts()
    make(parts)
    with parts.engine.connect() as connection:
        assert differences(connection) == []


def test_a_difference_would_be_seen(open_parts: Open) -> None:
    """Else the test above proves nothing."""
    parts = open_parts()
    make(parts)
    with parts.engine.begin() as connection:
        connection.execute(text("ALTER TABLE om_message ADD COLUMN surprise INTEGER"))
        connection.execute(text("DROP TABLE om_action"))
    with parts.engine.connect() as connection:
        assert sorted(difference[0] for difference in differences(connection)) == ["add_table", "remove_column"]


def test_down_to_nothing_and_up_again(open_parts: Open, tmp_path: Path) -> None:
    select_fields(tmp_path, Name="string")
    parts = open_parts()
    made = make(parts)
    with for_writing(parts.engine).begin() as connection:
        command.downgrade(alembic_config(connection), "base")

    assert table_names(parts.engine) == {"account", "om_alembic_version"}
    assert missing(parts.engine, parts.models).revision
    assert make(parts) == made


def test_the_chain_has_one_head_and_no_gap() -> None:
    script = ScriptDirectory(str(MIGRATIONS))
    assert len(script.get_heads()) == 1
    assert len(list(script.walk_revisions())) == len(list((MIGRATIONS / "versions").glob("[0-9]*.py")))


def test_a_wsdl_that_grows_adds_columns_and_keeps_the_rows(open_parts: Open, tmp_path: Path) -> None:
    select_fields(tmp_path, Name="string")
    before = open_parts()
    make(before)
    insert_account(before.engine, name="Acme")
    select_fields(
        tmp_path,
        Name="string",
        Phone="string",
        OwnerId="ID",
        AnnualRevenue="double",
        IsPartner__c="boolean",
        Due__c="date",
        LastModifiedDate="dateTime",
        Opens__c="time",
        NumberOfEmployees="int",
        Logo__c="base64Binary",
    )
    after = open_parts()

    done = upgrade(after.engine, after.models)

    added = {column.name for _, column in done.columns_to_add}
    assert len(added) == 9
    assert added < column_names(after.engine, "account")
    assert "owner_id" in indexed(after.engine, "account")
    assert not missing(after.engine, after.models)
    with after.engine.connect() as connection:
        [account] = after.models.tables()
        [row] = connection.execute(account.select()).mappings()
    assert row["name"] == "Acme"
    assert {row[name] for name in added} == {None}


def test_to_look_changes_nothing(open_parts: Open, tmp_path: Path) -> None:
    select_fields(tmp_path, Name="string")
    parts = open_parts()
    for _ in range(2):
        assert missing(parts.engine, parts.models).sentences() == [
            "The om_ tables are missing or old. Run `omreceiver db upgrade`.",
            "The table account is missing. Run `omreceiver db upgrade`.",
        ]
        assert table_names(parts.engine) == set()

    make(parts)
    select_fields(tmp_path, Name="string", Phone="string")
    grown = open_parts()
    for _ in range(2):
        assert missing(grown.engine, grown.models).sentences() == [
            "The column account.phone is missing. Run `omreceiver db upgrade`."
        ]
        assert "phone" not in column_names(grown.engine, "account")


def test_columns_of_a_declared_class_are_left_to_its_owner(open_parts: Open, base: Any) -> None:
    """Such a class may have migrations of its own, and these would find the column there already."""

    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")
        phone: Mapped[str | None] = Field("Phone")
        notes: Mapped[str | None] = mapped_column()

    parts = open_parts(base)
    make(parts)
    with parts.engine.begin() as connection:
        connection.execute(text("ALTER TABLE account DROP COLUMN phone"))
        connection.execute(text("ALTER TABLE account DROP COLUMN notes"))

    upgrade(parts.engine, parts.models)

    assert not {"phone", "notes"} & column_names(parts.engine, "account")
    cure = "Its class is declared by you: add the column with migrations of your own."
    assert sorted(missing(parts.engine, parts.models).sentences()) == [
        f"The column account.notes is missing. {cure}",
        f"The column account.phone is missing. {cure}",
    ]


def test_nothing_is_dropped_when_a_wsdl_or_a_field_goes(open_parts: Open, tmp_path: Path) -> None:
    select_fields(tmp_path, "Account", Name="string", Phone="string")
    select_fields(tmp_path, "Lead", Company="string")
    before = open_parts()
    made = make(before)
    insert_account(before.engine, phone="+1 555")
    select_fields(tmp_path, "Account", Name="string")
    (tmp_path / "Lead.wsdl").unlink()
    after = open_parts()

    assert not missing(after.engine, after.models)
    assert make(after) == made
    with after.engine.connect() as connection:
        assert connection.scalars(text("SELECT phone FROM account")).all() == ["+1 555"]


def test_a_table_that_the_user_made_stays_as_it_is(open_parts: Open, tmp_path: Path) -> None:
    parts = open_parts()
    with parts.engine.begin() as connection:
        connection.execute(text("CREATE TABLE shop_order (id INTEGER)"))

    assert make(parts) == LEDGER | {"shop_order"}


def test_a_table_of_the_same_name_that_holds_something_else_is_not_touched(open_parts: Open, tmp_path: Path) -> None:
    """A web shop has an `account` of its own before it has one of Salesforce."""
    select_fields(tmp_path, Name="string")
    parts = open_parts()
    with parts.engine.begin() as connection:
        connection.execute(text("CREATE TABLE account (id INTEGER, login INTEGER)"))

    for look_at in (missing, upgrade):
        with pytest.raises(TableTaken, match=r"table account already, .* another __tablename__"):
            look_at(parts.engine, parts.models)

    assert column_names(parts.engine, "account") == {"id", "login"}


def test_receivers_that_start_at_once_take_turns(open_parts: Open, tmp_path: Path) -> None:
    """As the web, the relay and the release of one deployment may."""
    select_fields(tmp_path, Name="string")
    started = [open_parts() for _ in range(4)]
    together = Barrier(len(started))

    def start(parts: Parts) -> bool:
        together.wait()
        return upgrade(parts.engine, parts.models).revision

    with ThreadPoolExecutor(len(started)) as pool:
        upgraded = list(pool.map(start, started))

    assert sorted(upgraded) == [False, False, False, True]


def insert_account(engine: Engine, **values: str) -> None:
    row = {
        "external_id": "001000000000001AAA",
        "child_name": "Account",
        "salesforce_id": "001000000000001AAA",
        "organization_id": "00Dxx0000001gPFEAY",
        **values,
    }
    names = ", ".join(row)
    marks = ", ".join(f":{name}" for name in row)
    with engine.begin() as connection:
        connection.execute(text(f"INSERT INTO account ({names}) VALUES ({marks})"), row)
