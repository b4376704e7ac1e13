"""The command line: what each command prints and exits with, and what it says when something is not as it should be."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text

from omreceiver.cli import COMMANDS as SUMMARIES
from omreceiver.cli import main
from omreceiver.testing import compose
from omreceiver.testing.replay import Case, post
from tests.commands import all_commands
from tests.conftest import MakeApp, tables_of
from tests.processes import PROGRAMS, environment, free_port, live, run
from tests.wsdls import wsdl_text

Command = Callable[..., Result]
ESCAPE = "\x1b["
CASE = "fixtures/contact-created"
NEEDS_DATABASE = ["serve", f"replay {CASE}", "send Account ERP_Id__c=A-1", "db create", "db upgrade", "db check"]
NEEDS_TABLES = [
    "show",
    "show 1",
    f"replay {CASE}",
    "send Account ERP_Id__c=A-1",
    "db prune",
    "db rebuild",
    "db rebuild --write --yes",
    "quarantine list",
    "quarantine show 1",
    "quarantine retry --all",
    "quarantine drop --all --yes",
    "replay --kept",
]


@pytest.fixture
def command(project: Path) -> Command:
    """command("db check"): run it in this process, in a project of its own. Settings are given by name."""

    def invoke(line: str, *arguments: str, **settings: str) -> Result:
        return CliRunner(env=settings).invoke(main, [*line.split(), *arguments])

    return invoke


@pytest.fixture
def ready(command: Command) -> Command:
    """The same, with the tables made."""
    assert command("db create").exit_code == 0
    return command


def rows(result: Result) -> list[dict[str, str]]:
    """The table of a command that was not at a terminal: a line a row, tabs between."""
    assert result.exit_code in (0, 1), result.output
    headings, *lines = [line.split("\t") for line in result.stdout.splitlines()]
    return [dict(zip(headings, line, strict=True)) for line in lines]


def sentence(result: Result) -> str:
    """The one line that a command says when it is used wrongly, and nothing else."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("omreceiver: ")
    assert "Traceback" not in line
    return line.removeprefix("omreceiver: ")


def usage_error(result: Result) -> str:
    """The last line of click's own complaint."""
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr.splitlines()[-1]


COMMANDS = dict(all_commands())


def test_the_names_are_a_contract() -> None:
    assert set(COMMANDS) >= {
        *("serve", "replay", "send", "show", "classes"),
        *("db", "db create", "db upgrade", "db check", "db prune", "db rebuild"),
        *("quarantine", "quarantine list", "quarantine show", "quarantine retry", "quarantine drop"),
    }


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_explains_itself_and_its_options(line: str, command: Command) -> None:
    each = COMMANDS[line]
    assert each.help
    assert all(option.help for option in each.params if isinstance(option, click.Option))
    for asked in ("--help", "-h"):
        result = command(line, asked)
        assert result.exit_code == 0
        assert " ".join(each.help.split())[:60] in " ".join(result.stdout.split())


def test_the_list_of_commands_says_what_each_says_first() -> None:
    assert {name: COMMANDS[name].get_short_help_str(limit=200) for name in SUMMARIES} == SUMMARIES


def test_help_imports_no_library_but_click() -> None:
    """It is asked for most by those who wait for a prompt."""
    source = "import sys; from omreceiver.cli import main; main(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    heavy = {"flask", "sqlalchemy", "lxml", "spyne", "alembic", "rich", "blinker", "lark", "werkzeug"}
    assert heavy.isdisjoint(done.stdout.splitlines()[-1].split())


def test_without_a_command_it_shows_what_there_is(command: Command) -> None:
    result = command("")
    assert result.exit_code == 2
    assert all(name in result.output for name in SUMMARIES)


def test_as_a_module_and_as_a_program(project: Path) -> None:
    for program in ([sys.executable, "-m", "omreceiver"], ["omreceiver"]):
        answer = run([*program, "--version"], project)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert re.fullmatch(r"(python -m )?omreceiver, version \d+\.\d+\.\d+\n", answer.stdout)


def test_models_are_looked_for_in_the_current_directory(project: Path) -> None:
    """As gunicorn and Flask do; a program in bin/ has only its own folder on the path."""
    (project / "shop").mkdir()
    (project / "shop" / "models.py").write_text(
        "from sqlalchemy.orm import Mapped\n"
        "from omreceiver import ExternalId, Field, Record\n"
        "class Account(Record, sobject='Account'):\n"
        "    external_id: Mapped[str] = ExternalId('ERP_Id__c')\n"
        "    name: Mapped[str | None] = Field('Name')\n"
        "class PartnerAccount(Account, when={'RecordTypeId': '012000000000001AAA'}):\n"
        "    city: Mapped[str | None] = Field('BillingCity')\n"
    )
    answer = run(["omreceiver", "classes", "--json"], project, OMRECEIVER_MODELS="shop.models")
    assert (answer.returncode, answer.stderr) == (0, "Without the actions: there is no omreceiver.db yet.\n")
    account, partner = (line for line in json.loads(answer.stdout) if line["sobject"] == "Account")
    assert (account["tables"], account["key"], account["mapped"]) == (["account"], "ERP_Id__c", ["Name"])
    assert "BillingCity" in account["unmapped"]
    assert partner["tables"] == ["account", "partner_account"]
    assert partner["when"] == ["RecordTypeId=012000000000001AAA"]


# -- db -----------------------------------------------------------------------------------------------------------


def test_db_create_makes_the_tables_once(command: Command) -> None:
    made = command("db create")
    assert made.exit_code == 0
    assert made.stdout.splitlines() == [
        *("created account", "created contact", "created lead", "created acme__invoice__c"),
        "upgraded the om_ tables",
    ]
    for line in ("db create", "db upgrade"):
        assert (command(line).stdout, command(line).exit_code) == ("nothing to do\n", 0)


def test_db_check_says_what_is_missing_and_the_cure(command: Command) -> None:
    checked = command("db check")
    assert (checked.exit_code, checked.stdout) == (1, "")
    assert checked.stderr.splitlines()[0] == "The om_ tables are missing or old. Run `omreceiver db upgrade`."
    assert "The table account is missing. Run `omreceiver db upgrade`." in checked.stderr
    command("db upgrade")
    assert (command("db check").stdout, command("db check").exit_code) == ("all tables and columns are there\n", 0)


def test_db_upgrade_adds_what_a_wsdl_selects_since(ready: Command, project: Path) -> None:
    (project / "wsdl" / "Lead.wsdl").write_text(wsdl_text("Lead", {"Company": "xsd:string"}))
    assert ready("db check").stderr == "The column lead.company is missing. Run `omreceiver db upgrade`.\n"
    assert ready("db upgrade").stdout == "added lead.company\n"
    assert ready("db check").exit_code == 0


def test_db_prune_removes_bodies_after_their_time_and_keeps_the_ledger(ready: Command, project: Path) -> None:
    ready("replay fixtures/contact-created fixtures/lead-id-only")
    nothing = dict.fromkeys(("bodies", "messages", "notifications", "quarantined", "tombstones", "events"), "0")
    assert rows(ready("db prune")) == [nothing]
    assert rows(ready("db prune", OMRECEIVER_KEEP_MESSAGES="0")) == [{**nothing, "bodies": "2"}]
    assert rows(ready("db prune", OMRECEIVER_KEEP_MESSAGES="0")) == [nothing]
    assert outcomes(ready("replay fixtures/contact-created")) == ["1 duplicate"]


def test_db_prune_of_the_ledger_as_json(ready: Command, project: Path) -> None:
    ready("replay fixtures/contact-created fixtures/contact-wrong-value")
    change(project, "UPDATE om_message SET received_at = '2020-01-01'")
    [removed] = json.loads(ready("db prune --json").stdout)
    assert removed == {
        **{"bodies": 2, "messages": 1, "notifications": 1},
        **{"quarantined": 0, "tombstones": 0, "events": 0},
    }
    assert outcomes(ready("replay fixtures/contact-wrong-value")) == ["2 duplicate"]


@pytest.fixture
def damaged(ready: Command, project: Path) -> Command:
    """Two messages have come; then somebody was at the tables."""
    for case in ("contact-created", "account-non-ascii"):
        ready(f"replay fixtures/{case}")
    change(project, "UPDATE contact SET last_name = 'wrong'")
    change(project, "DELETE FROM account")
    return ready


def test_db_rebuild_prints_what_differs_and_changes_nothing(damaged: Command, project: Path) -> None:
    result = damaged("db rebuild")
    assert result.exit_code == 1
    told = sorted((row["class"], row["what"], row["column"], row["there"], row["rebuilt"]) for row in rows(result))
    assert told == [("Account", "missing", "", "", ""), ("Contact", "differs", "last_name", "wrong", "Lind")]
    assert result.stderr == (
        "Kept messages: 2. Records that differ: 2; equal: 0; fresher here: 0; without a kept message: 0.\n"
    )
    assert query(project, "SELECT last_name FROM contact") == ["wrong"]


def test_db_rebuild_writes_when_it_is_told_to(damaged: Command, project: Path) -> None:
    result = damaged("db rebuild --write --yes")
    assert (result.exit_code, len(rows(result))) == (0, 2)
    assert result.stderr.endswith("Written: 2.\n")
    assert query(project, "SELECT last_name FROM contact") == ["Lind"]
    again = damaged("db rebuild")
    assert (again.exit_code, again.stdout) == (0, ""), "where nothing differs nothing is printed"
    assert "Records that differ: 0; equal: 2;" in again.stderr
    assert damaged("db rebuild --write --yes").stderr.count("\n") == 1, "nothing is written where nothing differs"


def test_db_rebuild_as_json(damaged: Command, project: Path) -> None:
    for options, is_written in (("", False), ("--write --yes", True)):
        told = json.loads(damaged(f"db rebuild --json {options}").stdout)
        by_class = {each["class"]: each for each in told.pop("differences")}
        assert by_class["Contact"]["columns"] == {"last_name": {"there": "wrong", "rebuilt": "Lind"}}
        assert by_class["Account"]["columns"]["name"]["there"] is None
        counts = {"messages": 2, "equal": 0, "fresher": 0, "unnamed": 0, "lost": 0}
        assert told == {"written": is_written, **counts}


def test_db_rebuild_in_a_pipe_wants_a_yes(damaged: Command, project: Path) -> None:
    assert usage_error(damaged("db rebuild --write")).endswith("This writes to your tables. Say --yes.")
    assert query(project, "SELECT last_name FROM contact") == ["wrong"]


def test_db_rebuild_tells_what_cannot_be_stored_any_more(damaged: Command, project: Path) -> None:
    """The class is no longer there: its record is not compared."""
    (project / "wsdl" / "Account.wsdl").unlink()
    result = damaged("db rebuild")
    assert [row["class"] for row in rows(result)] == ["Contact"]
    assert result.stderr.endswith("Left out, as they cannot be stored any more: 1 notifications.\n")


# -- classes ------------------------------------------------------------------------------------------------------


def test_classes_need_no_database(command: Command, project: Path) -> None:
    listed = rows(command("classes"))
    assert [line["sobject"] for line in listed] == ["Account", "Contact", "Lead", "acme__Invoice__c"]
    assert [line["key"] for line in listed] == ["ERP_Id__c", "Key__c", "Id", "acme__Number__c"]
    assert [line["field_list"] for line in listed] == [line["sobject"] for line in listed]
    assert not (project / "omreceiver.db").exists()


def test_classes_as_json_name_every_field(command: Command) -> None:
    contact = json.loads(command("classes --json").stdout)[1]
    assert contact["class"] == "Contact"
    assert {"Email", "LastName", "Birthdate"} < set(contact["mapped"])
    assert contact["unmapped"] == []


def test_without_any_wsdl_there_is_no_class(command: Command) -> None:
    assert command("classes --json", OMRECEIVER_WSDL_DIR="nowhere").stdout == "[]\n"


WORKFLOW = """<?xml version="1.0"?><Workflow xmlns="http://soap.sforce.com/2006/04/metadata"><outboundMessages>
<fullName>To_ERP</fullName><fields>Id</fields><fields>Name</fields><name>To ERP</name></outboundMessages></Workflow>"""


@pytest.fixture
def seen(ready: Command, make_app: MakeApp, project: Path) -> Command:
    """Four actions of Account have sent something, each with another source of its field list; two WSDLs are there.
    The commands know one action more than the server did: the WSDL has come since.
    """
    shutil.copy(project / "wsdl" / "Account.wsdl", project / "wsdl" / "Other.wsdl")
    (project / "wsdl" / "Account.workflow").write_text(WORKFLOW)
    settings = {"OMRECEIVER_ACTIONS": "04kxx0000000002=Account.To_ERP"}
    app = make_app(f"sqlite:///{project}/omreceiver.db", wsdl_dir=project / "wsdl", **settings)

    def send(number: int, sobject: str, wsdl: str | None = None, **fields: str) -> None:
        record = {"SystemModstamp": "2026-07-01T12:00:00.000Z", **fields}
        body = compose(sobject, record, action_id=f"04kxx000000000{number}AAA")
        assert post(app, body, case=Case(project / "message.xml", wsdl)).ack

    send(1, "Account", wsdl="Other", ERP_Id__c="A-1", Shoe_Size__c="44", Hat__c="7")
    send(2, "Account", ERP_Id__c="A-2", Name="Acme")
    send(3, "Account", ERP_Id__c="A-3", Name="Acme")
    send(4, "Contact", Key__c="C-1")
    send(5, "Opportunity", Name="Acme")
    return partial(ready, **settings)


def test_classes_tell_the_source_of_each_action_in_force(seen: Command) -> None:
    """The four sources of docs/settings.md, and what an action sends that its list does not select."""
    listed = rows(seen("classes --actions"))
    told = {row["action"][14]: (row["sobject"], row["field_list"], row["by"], row["fields"]) for row in listed}
    assert told == {
        "1": ("Account", "Other", "its URL", "18"),
        "2": ("Account", "Account.To_ERP", "OMRECEIVER_ACTIONS", "1"),
        "3": ("Account", "", "what it has sent", "3"),
        "4": ("Contact", "Contact", "the only WSDL", "14"),
        "5": ("Opportunity", "", "what it has sent", "2"),
    }
    drift = {row["action"][14]: row["sent_but_not_listed"] for row in listed}
    assert drift == {"1": "Hat__c, Shoe_Size__c", "2": "ERP_Id__c, SystemModstamp", "3": "", "4": "", "5": ""}
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", row["last_new"]) for row in listed)


def test_a_new_setting_changes_the_source_in_force(seen: Command) -> None:
    """What is in force is what the next message will be read by."""
    listed = rows(seen("classes --actions", OMRECEIVER_ACTIONS="04kxx0000000003AAA=Other"))
    assert [(row["field_list"], row["by"]) for row in listed[1:3]] == [
        ("", "what it has sent"),
        ("Other", "OMRECEIVER_ACTIONS"),
    ]


def test_classes_show_the_actions_below_and_as_json_with_their_class(seen: Command) -> None:
    classes, actions = seen("classes").stdout.split("\n\n")
    assert classes.startswith("sobject\tclass\ttables")
    assert [line.split("\t")[0] for line in actions.splitlines()[1:]] == [*["Account"] * 3, "Contact", "Opportunity"]
    account, contact, *_ = json.loads(seen("classes --json").stdout)
    assert [action["source"] for action in account["actions"]] == ["Other", "Account.To_ERP", None]
    assert account["actions"][0]["drift"] == ["Hat__c", "Shoe_Size__c"]
    assert [action["fields"] for action in account["actions"]][1:] == [
        ["Name"],
        ["ERP_Id__c", "Name", "SystemModstamp"],
    ]
    assert len(contact["actions"]) == 1
    assert json.loads(seen("classes --actions --json").stdout)[0]["because"] == "its URL"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:///nowhere.db", "there is no nowhere.db yet."),
        ("sqlite:////no/such/folder/shop.db", "there is no /no/such/folder/shop.db yet."),
        ("sqlite://", "the database is away or has no tables (OperationalError): `omreceiver db check`."),
        ("sqlite:///empty.db", "the database is away or has no tables (OperationalError): `omreceiver db check`."),
        ("postgresql://shop:hunter2@127.0.0.1:{port}/shop", "the database is away or has no tables (OperationalError)"),
    ],
)
def test_classes_without_a_database_are_without_actions(command: Command, project: Path, url: str, says: str) -> None:
    (project / "empty.db").touch()
    for line in ("classes", "classes --actions", "classes --json"):
        result = command(line, DATABASE_URL=url.format(port=free_port()))
        assert result.exit_code == 0
        assert result.stderr.startswith(f"Without the actions: {says}")
        assert "hunter2" not in result.output
    assert [line["actions"] for line in json.loads(result.stdout)] == [[], [], [], []]
    assert not (project / "nowhere.db").exists()


def test_references_and_actions_are_two_questions(command: Command) -> None:
    assert usage_error(command("classes --references --actions")).endswith(
        "--references and --actions exclude each other."
    )


# -- replay -------------------------------------------------------------------------------------------------------


def outcomes(result: Result) -> list[str]:
    return [row["outcomes"] for row in rows(result)]


def test_replay_in_process_tells_the_outcomes(ready: Command) -> None:
    first = ready("replay fixtures/contact-created fixtures/contact-wrong-value")
    assert first.exit_code == 1
    assert first.stderr == "1 in quarantine: `omreceiver quarantine list` tells why.\n"
    assert rows(first) == [
        {"message": "contact-created", "notifications": "1", "outcomes": "1 created", "answer": "ack"},
        {
            "message": "contact-wrong-value",
            "notifications": "2",
            "outcomes": "1 quarantined, 1 created",
            "answer": "ack",
        },
    ]
    again = ready("replay fixtures/contact-created")
    assert (outcomes(again), again.exit_code, again.stderr) == (["1 duplicate"], 0, "")


def test_replay_of_everything_as_json(ready: Command) -> None:
    result = ready("replay fixtures --json")
    listed = json.loads(result.stdout)
    assert result.exit_code == 1, "some fixtures end in quarantine"
    assert len(listed) == len(list(Path("fixtures").glob("*/*.xml")))
    assert {row["answer"] for row in listed} == {"ack"}


@pytest.mark.parametrize(("option", "is_raw"), [("", True), ("--raw", True), ("--live", False)])
def test_replay_says_whether_it_is_raw(ready: Command, project: Path, option: str, is_raw: bool) -> None:
    ready(f"replay {CASE} {option}")
    assert query(project, "SELECT raw FROM om_message") == [int(is_raw)]


def test_replay_of_what_is_no_message_falls_short(ready: Command, project: Path) -> None:
    (project / "other.xml").write_text("<html/>")
    result = ready(f"replay {CASE} other.xml")
    assert result.exit_code == 1
    assert [row["answer"] for row in rows(result)] == ["ack", "HTTP 400: The body is not a SOAP 1.1 envelope."]


def test_replay_to_a_running_server(command: Command, make_app: MakeApp, project: Path) -> None:
    app = make_app(f"sqlite:///{project}/server.db", wsdl_dir=project / "wsdl")
    with live(app) as url:
        result = command(f"replay {CASE} --url {url}/outbound-messages")
        assert [row["answer"] for row in rows(result)] == ["ack"]
        assert [row["external_id"] for row in tables_of(app)["contact"]] == ["c-1001"]
        wrong = command(f"replay {CASE} --url {url}/elsewhere")
    assert wrong.exit_code == 1
    assert [row["answer"] for row in rows(wrong)] == ["HTTP 404: no SOAP"]
    assert not (project / "omreceiver.db").exists(), "a replay to a server needs no database here"


def test_replay_cannot_be_raw_for_a_running_server(command: Command) -> None:
    assert "takes every message as live" in usage_error(command(f"replay {CASE} --raw --url http://localhost"))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:{port}/", "does not answer .* Is the server running?"),
        ("http://localhost:abc/", "is no URL"),
        ("ftp://localhost/", "is no URL; expected http:// or https://."),
        ("localhost:8000", "is no URL; expected http:// or https://."),
    ],
)
@pytest.mark.parametrize("line", [f"replay {CASE}", "send Account ERP_Id__c=A-1"])
def test_a_server_that_is_not_there(command: Command, line: str, url: str, says: str) -> None:
    assert re.search(says, sentence(command(f"{line} --url {url.format(port=free_port())}")))


def test_a_server_that_does_not_speak_http(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"220 mail.example.com\r\n")

        greeted = pool.submit(greet)
        said = sentence(command(f"replay {CASE} --url http://127.0.0.1:{server.getsockname()[1]}/"))
        greeted.result()
    assert re.search("does not answer .*220 mail.example.com", said)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty", None, "expected .xml files"),
        ("broken", "{", "expect.json is not JSON in UTF-8"),
    ],
)
def test_paths_that_hold_no_fixture(ready: Command, project: Path, name: str, content: str | None, says: str) -> None:
    (project / name).mkdir()
    if content is not None:
        shutil.copy(project / CASE / "message.xml", project / name)
        (project / name / "expect.json").write_text(content)
    assert says in sentence(ready(f"replay {name}"))


def test_a_path_that_is_not_there(ready: Command) -> None:
    assert "'nowhere' does not exist" in usage_error(ready("replay nowhere"))


# -- replay of what is kept ---------------------------------------------------------------------------------------


@pytest.fixture
def kept(ready: Command, project: Path) -> Command:
    """Three messages are kept, the first of them came a day earlier; the records are lost."""
    for case in ("contact-created", "account-non-ascii", "lead-id-only"):
        assert ready(f"replay fixtures/{case} --live").exit_code == 0
    change(project, "UPDATE om_message SET received_at = datetime(received_at, '-1 day') WHERE id = 1")
    for table in ("contact", "account", "lead"):
        change(project, f"DELETE FROM {table}")
    return ready


def test_replay_of_all_that_is_kept(kept: Command, project: Path) -> None:
    result = kept("replay --kept")
    assert (result.exit_code, result.stderr) == (0, "")
    told = [(row["message"], row["sobject"], row["notifications"], row["outcomes"]) for row in rows(result)]
    assert told == [
        ("1", "Contact", "1", "1 created"),
        ("2", "Account", "1", "1 created"),
        ("3", "Lead", "1", "1 created"),
    ]
    assert {row["answer"] for row in rows(result)} == {"stored"}
    assert query(project, "SELECT count(*) FROM contact") == [1]
    assert query(project, "SELECT raw FROM om_message ORDER BY id") == [0, 0, 0, 1, 1, 1]
    assert outcomes(kept("replay --kept")) == ["1 unchanged"] * 3


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        ("--id 2", [2]),
        ("--id 2 --id 003xx000004TmiqAAC", [1, 2]),
        ("--class Lead --class Contact", [1, 3]),
        ("--action 04kxx00000000bl --action 04kxx00000000boBAA", [1, 3]),
        ("--action 04kxx00000000zzAAA", []),
        ("--since 2h", [2, 3]),
        ("--until 90m", [1]),
        ("--since 2020-01-01 --until 2020-01-02T12:00", []),
        ("--since 2020-01-01T00:00:00+02:00 --class Account", [2]),
    ],
)
def test_replay_of_some_that_is_kept(kept: Command, project: Path, options: str, messages: list[int]) -> None:
    change(project, "UPDATE om_notification SET record_id = '003xx000004TmiqAAC' WHERE message_id = 1")
    result = kept(f"replay --kept {options} --json")
    assert result.exit_code == 0
    assert [row["message"] for row in json.loads(result.stdout)] == messages


def test_replay_as_if_it_came_now(kept: Command, project: Path) -> None:
    kept("replay --kept --live --id 1")
    assert query(project, "SELECT raw FROM om_message WHERE again") == [0]


def test_replay_of_what_is_not_kept_falls_short(kept: Command) -> None:
    result = kept("replay --kept --id 17 --id 2")
    assert (result.exit_code, result.stderr) == (1, "No kept message that fits has 17.\n")
    assert outcomes(result) == ["1 created"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("replay", "Say what: a PATH, or --kept."),
        (f"replay {CASE} --kept", "leave out PATH and --url."),
        ("replay --kept --url http://localhost", "leave out PATH and --url."),
        (f"replay {CASE} --id 1", "say --kept too."),
        (f"replay {CASE} --since 2h", "say --kept too."),
        ("replay --kept --id 001-0", "take IDs, expected 15 or 18 letters and digits."),
        ("replay --kept --action 04k", "take IDs, expected 15 or 18 letters and digits."),
        ("replay --kept --since yesterday", "'yesterday' is no time; write 2026-11-20, 2026-11-20T12:00, or 2h"),
        ("replay --kept --until 99999999999d", "is no time"),
    ],
)
def test_replay_wants_one_kind_of_thing(ready: Command, line: str, says: str) -> None:
    assert says in usage_error(ready(line))


# -- send ---------------------------------------------------------------------------------------------------------


def test_send_composes_a_record_of_the_wsdl(ready: Command, project: Path) -> None:
    result = ready("send Account ERP_Id__c=A-1 IsPartner__c=true AnnualRevenue=1.25E7", "Name=Müller & Søn")
    [row] = rows(result)
    assert (row["outcome"], row["answer"], result.exit_code) == ("created", "ack", 0)
    assert query(project, "SELECT name FROM account") == ["Müller & Søn"]
    assert query(project, "SELECT salesforce_id FROM account") == [row["record"]]
    assert row["record"].startswith("001")


def test_send_as_json_with_an_id_of_ones_own(ready: Command) -> None:
    result = ready("send Lead Id=00Qxx000002jv8TEAQ --json")
    assert json.loads(result.stdout) == [{"record": "00Qxx000002jv8TEAQ", "outcome": ["created"], "answer": "ack"}]


def test_send_says_why_a_record_went_to_quarantine(ready: Command) -> None:
    result = ready("send Account Name=Acme")
    assert [row["outcome"] for row in rows(result)] == ["quarantined"]
    assert result.stderr.startswith("quarantined: ERP_Id__c is blank. Fill it in Salesforce, or set")
    assert result.exit_code == 1


def test_send_comes_from_the_action_that_is_bound_to_the_wsdl(ready: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMRECEIVER_ACTIONS", "04kxx0000000001AAA=Contact,04kxx0000000002AAA=Account")
    monkeypatch.setenv("OMRECEIVER_ACTIONS_ONLY", "1")
    assert ready("send Account ERP_Id__c=A-1").exit_code == 0
    refused = ready("send Lead")
    assert refused.exit_code == 1
    assert "The message was refused." in refused.stdout


def test_send_to_a_running_server(command: Command, make_app: MakeApp, project: Path) -> None:
    app = make_app(f"sqlite:///{project}/server.db", wsdl_dir=project / "wsdl")
    with live(app) as url:
        result = command(f"send Account ERP_Id__c=A-1 Name=Acme --url {url}/outbound-messages")
    assert [row["answer"] for row in rows(result)] == ["ack"]
    assert [row["name"] for row in tables_of(app)["account"]] == ["Acme"]


def test_send_is_refused_as_salesforce_would_be(ready: Command) -> None:
    result = ready("send Account ERP_Id__c=A-1", OMRECEIVER_ACTIONS_ONLY="1")
    assert result.exit_code == 1
    assert [row["answer"] for row in rows(result)] == ["HTTP 403: The message was refused."]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("send Opportunity", "There is no WSDL for Opportunity. There are: Account, Contact, Lead, acme__Invoice__c."),
        ("send Account Shoe_Size__c=44", "'Shoe_Size__c=44' is not NAME=VALUE of a field of Account: AnnualRevenue,"),
        ("send Account Acme", "'Acme' is not NAME=VALUE of a field of Account"),
        ("send Account AnnualRevenue=much", "AnnualRevenue=much cannot be read, expected a number."),
        ("send Account IsPartner__c=maybe", "IsPartner__c=maybe cannot be read, expected true, false, 1 or 0."),
        ("send Contact Birthdate=31/12/1980", "Birthdate=31/12/1980 cannot be read, expected a date like 2026-12-31."),
    ],
)
def test_send_knows_what_the_wsdl_allows(command: Command, line: str, says: str) -> None:
    assert says in usage_error(command(line))


# -- quarantine ---------------------------------------------------------------------------------------------------


@pytest.fixture
def quarantined(ready: Command) -> Command:
    ready("replay fixtures/contact-wrong-value fixtures/contact-blank-external-id")
    return ready


def test_quarantine_list_is_newest_first_with_the_reason(quarantined: Command) -> None:
    newest, oldest = rows(quarantined("quarantine list"))
    assert newest["reason"].startswith("Key__c is blank. Fill it in Salesforce")
    assert (oldest["number"], oldest["sobject"], oldest["error"]) == ("1", "Contact", "UnreadableValue")
    assert oldest["reason"] == "Birthdate holds '31/12/1980', expected a date like 2026-12-31"


def test_quarantine_list_as_json(quarantined: Command) -> None:
    listed = json.loads(quarantined("quarantine list --json").stdout)
    assert [entry["number"] for entry in listed] == [2, 1]


def test_quarantine_show_gives_reason_xml_and_traceback(quarantined: Command) -> None:
    shown = quarantined("quarantine show 1").stdout
    assert "reason: Birthdate holds '31/12/1980'" in shown
    assert "     <sf:Birthdate>31/12/1980</sf:Birthdate>\n" in shown
    assert "Traceback (most recent call last):\n  File " in shown
    entry = json.loads(quarantined("quarantine show 1 --json").stdout)
    assert (entry["number"], entry["error"]) == (1, "UnreadableValue")
    assert "<sf:Birthdate>" in entry["fragment"]


def test_quarantine_show_of_a_number_that_is_not_there(ready: Command) -> None:
    result = ready("quarantine show 7")
    assert (result.exit_code, result.stderr) == (1, "There is no number 7 in quarantine.\n")
    assert rows(ready("quarantine list")) == []


def test_quarantine_show_tells_everything_but_the_session(ready: Command, project: Path) -> None:
    body = (project / "fixtures" / "contact-wrong-value" / "message.xml").read_text()
    (project / "old.xml").write_text(re.sub("<SessionId.*?/>", "<SessionId>InventedSession</SessionId>", body))
    ready("replay old.xml")
    shown = ready("quarantine show 1").stdout
    for line in ("number: 1", "raw: yes", "attempts: 0", "became: open", "   <ActionId>04kxx00000000blBAA</ActionId>"):
        assert f"{line}\n" in shown
    assert "InventedSession" not in shown
    ready("quarantine drop 1 --yes")
    assert "became: dropped, 20" in ready("quarantine show 1").stdout


def test_quarantine_list_by_class_and_reason_and_with_those_that_are_settled(quarantined: Command) -> None:
    assert [row["number"] for row in rows(quarantined("quarantine list --reason birthdate"))] == ["1"]
    assert [row["number"] for row in rows(quarantined("quarantine list --class Contact --reason blank"))] == ["2"]
    assert rows(quarantined("quarantine list --class Account")) == []
    quarantined("quarantine drop 2 --yes")
    assert [row["number"] for row in rows(quarantined("quarantine list"))] == ["1"]
    everything = rows(quarantined("quarantine list --all"))
    assert [(row["number"], row["outcome"]) for row in everything] == [("2", "dropped"), ("1", "")]


def test_quarantine_retry_tells_what_became_of_each(quarantined: Command, project: Path) -> None:
    cure = {"OMRECEIVER_MISSING_EXTERNAL_ID": "use-salesforce-id"}
    result = quarantined("quarantine retry --all", **cure)
    assert result.exit_code == 1, "one is still there"
    still, stored = rows(result)
    assert (still["number"], still["outcome"]) == ("1", "quarantined")
    assert still["reason"].startswith("Birthdate holds '31/12/1980'")
    assert (stored["number"], stored["sobject"], stored["outcome"], stored["reason"]) == ("2", "Contact", "created", "")
    assert [row["attempts"] for row in rows(quarantined("quarantine list"))] == ["1"]
    assert query(project, "SELECT count(*) FROM contact WHERE lower(external_id) = lower(salesforce_id)") == [1]


def test_quarantine_retry_by_number_as_json(quarantined: Command) -> None:
    cure = {"OMRECEIVER_MISSING_EXTERNAL_ID": "use-salesforce-id"}
    result = quarantined("quarantine retry 2 --json", **cure)
    assert result.exit_code == 0
    assert [(row["number"], row["outcome"]) for row in json.loads(result.stdout)] == [(2, "created")]


def test_quarantine_retry_and_drop_of_numbers_that_are_not_there(quarantined: Command) -> None:
    quarantined("quarantine drop 2 --yes")
    for line in ("quarantine retry 2 7", "quarantine drop 2 7 --yes"):
        result = quarantined(line)
        assert (result.exit_code, rows(result)) == (1, [])
        settled, missing = result.stderr.splitlines()
        assert settled.startswith("Number 2 is settled: dropped, 20")
        assert missing == "There is no number 7 in quarantine."
    assert [row["number"] for row in rows(quarantined("quarantine list"))] == ["1"]


def test_quarantine_retry_when_nothing_fits(quarantined: Command) -> None:
    result = quarantined("quarantine retry --class Account")
    assert (result.exit_code, result.stderr, rows(result)) == (0, "", [])


@pytest.mark.parametrize("command_line", ["quarantine retry", "quarantine drop --yes"])
@pytest.mark.parametrize("said", ["", "--all 1", "--all --reason x", "--all --class Account"])
def test_quarantine_wants_to_know_which(ready: Command, command_line: str, said: str) -> None:
    assert usage_error(ready(f"{command_line} {said}")).endswith("numbers, --class, --reason, or --all alone.")


def test_quarantine_drop_keeps_a_trace(quarantined: Command, project: Path) -> None:
    result = quarantined("quarantine drop --reason UnreadableValue --yes")
    [dropped] = rows(result)
    assert (result.exit_code, dropped["number"], dropped["outcome"]) == (0, "1", "dropped")
    assert [row["number"] for row in rows(quarantined("quarantine list"))] == ["2"]
    assert query(project, "SELECT outcome FROM om_quarantine WHERE id = 1") == ["dropped"]


def test_quarantine_drop_in_a_pipe_wants_a_yes(quarantined: Command) -> None:
    assert usage_error(quarantined("quarantine drop --all")).endswith("Say --yes.")
    assert len(rows(quarantined("quarantine list"))) == 2


def test_nothing_that_arrived_can_steer_a_terminal(ready: Command, project: Path) -> None:
    """XML allows the control characters above 127, and a terminal takes U+009B as the begin of a command."""
    (project / "evil.xml").write_bytes(compose("Contact", {"Id": "003\x9b2J", "Key__c": "C-1", "LastName": "\x9b31mX"}))
    ready("replay evil.xml")
    for line in ("quarantine list", "quarantine show 1", "show", "show 1"):
        assert "\x9b" not in ready(line).stdout
    assert "\x9b" not in ready("show", "\x9b31m").stderr
    assert "\N{REPLACEMENT CHARACTER}31mX" in ready("quarantine show 1").stdout


# -- wrong use ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [*NEEDS_DATABASE, *NEEDS_TABLES])
def test_a_database_that_does_not_answer(command: Command, line: str) -> None:
    url = f"postgresql://shop:hunter2@127.0.0.1:{free_port()}/shop"
    said = sentence(command(line, DATABASE_URL=url))
    assert "does not answer (connection failed" in said
    assert said.endswith("Start it, or set DATABASE_URL.")
    assert "hunter2" not in said


@pytest.mark.parametrize("line", [*NEEDS_DATABASE, *NEEDS_TABLES])
def test_a_database_file_in_a_folder_that_is_not_there(command: Command, line: str) -> None:
    said = sentence(command(line, DATABASE_URL="sqlite:////no/such/folder/shop.db"))
    assert said.startswith("sqlite:////no/such/folder/shop.db does not answer (unable to open database file).")


@pytest.mark.parametrize("line", NEEDS_TABLES)
def test_tables_that_are_not_there(command: Command, line: str) -> None:
    said = sentence(command(line))
    assert said.startswith("The om_ tables are missing or old. Run `omreceiver db upgrade`. (4 more:")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"OMRECEIVER_MAX_BODY": "much"}, "OMRECEIVER_MAX_BODY: expected a number of bytes, or like 32 MiB."),
        ({"DATABASE_URL": "omreceiver.db"}, "DATABASE_URL: expected a database URL like sqlite:///omreceiver.db."),
        ({"DATABASE_URL": "oracel://shop"}, "DATABASE_URL cannot be used: .*oracel"),
        ({"DATABASE_URL": "mysql://u@localhost:p/shop"}, "its port is no number. Write / : and @ in a password as"),
        ({"OMRECEIVER_MODELS": "no_such_module"}, "OMRECEIVER_MODELS names no_such_module, which does not import: "),
        ({"OMRECEIVER_MODELS": "broken_models"}, "does not import: ZeroDivisionError: division by zero"),
        ({"OMRECEIVER_ACTIONS": "04kxx00000000bl=Nothing"}, "no WSDL and no outbound message of that name"),
        ({"OMRECEIVER_EXTERNAL_IDS": "Account=Shoe_Size__c"}, "but no WSDL of Account selects Shoe_Size__c"),
        ({"OMRECEIVER_WSDL_DIR": "malformed"}, r"malformed/Account.wsdl, line 1: expected well-formed XML"),
        ({"OMRECEIVER_WSDL_DIR": "others"}, r"others/Account.wsdl, line 1: expected WSDL definitions with target"),
    ],
)
@pytest.mark.parametrize("line", ["classes", "db check", f"replay {CASE}"])
def test_settings_that_do_not_fit(
    command: Command, project: Path, line: str, settings: dict[str, str], says: str
) -> None:
    (project / "broken_models.py").write_text("1 / 0\n")
    for folder, content in (("malformed", "<definitions"), ("others", "<html/>")):
        (project / folder).mkdir()
        (project / folder / "Account.wsdl").write_text(content)
    assert re.search(says, sentence(command(line, **settings)))


def test_a_port_that_is_taken(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = sentence(command(f"serve --port {port}"))
    assert said == (
        f"Port {port} of 127.0.0.1 cannot be used (Address already in use). "
        "Stop the other server, or choose another with --port."
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_the_world_is_not_served_without_organizations(command: Command, host: str) -> None:
    said = sentence(command(f"serve --host {host}"))
    assert said.startswith("OMRECEIVER_ORGANIZATIONS is empty, so nothing but this machine may be served")
    assert "Set it to your organization ID" in said


@pytest.mark.parametrize("options", ["--port 99999", "--port 0", "--port http", "--workers 0"])
def test_serve_with_numbers_that_cannot_be(command: Command, options: str) -> None:
    assert usage_error(command(f"serve {options}")).startswith("Error: Invalid value for '--")


def test_a_demo_without_fixtures(command: Command, project: Path) -> None:
    shutil.rmtree(project / "fixtures")
    said = sentence(command(f"serve --demo --port {free_port()}"))
    assert said == "--demo replays the folder fixtures, which is not here. Run it in the project."


def test_a_real_process_says_no_more_than_that(project: Path) -> None:
    answer = run(["omreceiver", "db", "check"], project, DATABASE_URL="sqlite:////no/such/folder/shop.db")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.count("\n") == 1


# -- at a terminal ------------------------------------------------------------------------------------------------


def at_a_terminal(line: str, cwd: Path, answer: str = "", **settings: str) -> str:
    """What a program writes to a terminal, until it ends; an answer is typed before it asks."""
    terminal, inside = pty.openpty()
    os.write(terminal, answer.encode())
    command = [str(PROGRAMS / "omreceiver"), *line.split()]
    env = environment(cwd, **{"COLUMNS": "200", **settings})
    process = subprocess.Popen(command, cwd=cwd, env=env, stdin=inside, stdout=inside, stderr=inside)
    os.close(inside)
    written = b""
    # Linux answers EIO when the program has closed its side
    with process, open(terminal, "rb", buffering=0) as screen, suppress(OSError):
        while part := screen.read(4096):
            written += part
    return written.decode()


def test_a_terminal_gets_colours_and_a_progress_bar(ready: Command, project: Path) -> None:
    written = at_a_terminal(f"replay {CASE} fixtures/contact-wrong-value", project)
    bar, table = written.split("message ", 1)
    assert "Replaying" in bar
    assert "100%" in bar
    assert f"{ESCAPE}32m1 created" in table
    assert f"{ESCAPE}1;31m1 quarantined" in table
    assert "\t" not in table


def test_ids_stay_in_one_piece_at_a_hundred_columns(ready: Command, project: Path) -> None:
    ready("replay fixtures/contact-wrong-value fixtures/contact-blank-external-id")
    [record, _] = query(project, "SELECT record_id FROM om_quarantine")
    assert len(record) == 18
    for line in ("quarantine list", "quarantine list --all", "quarantine retry --all"):
        written = at_a_terminal(line, project, COLUMNS="100")
        assert re.search(rf"\b{record}\b", written)
        assert re.search(r"\b1 +(20\d\d-\d\d-\d\d \d\d:\d\d:\d\d +)?Contact ", written)


def test_a_long_retry_has_a_progress_bar(ready: Command, project: Path) -> None:
    ready("replay fixtures/contact-wrong-value")
    assert "Retrying" in at_a_terminal("quarantine retry --all", project)
    assert "Pruning" in at_a_terminal("db prune", project, OMRECEIVER_KEEP_MESSAGES="0")


def test_db_rebuild_asks_at_a_terminal(damaged: Command, project: Path) -> None:
    refused = at_a_terminal("db rebuild --write", project, answer="n\n")
    assert "Playing" in refused
    assert "Write 2 records? [y/N]: Aborted!" in refused
    assert query(project, "SELECT last_name FROM contact") == ["wrong"]
    assert "Written: 2." in at_a_terminal("db rebuild --write", project, answer="y\n")
    assert query(project, "SELECT last_name FROM contact") == ["Lind"]


def test_quarantine_drop_asks_at_a_terminal(ready: Command, project: Path) -> None:
    ready("replay fixtures/contact-wrong-value")
    refused = at_a_terminal("quarantine drop --all", project, answer="n\n")
    assert "Drop 1 of what is in quarantine? [y/N]: Aborted!" in refused
    assert query(project, "SELECT outcome FROM om_quarantine") == [None]
    assert "dropped" in at_a_terminal("quarantine drop 1", project, answer="y\n")
    assert query(project, "SELECT outcome FROM om_quarantine") == ["dropped"]


def test_show_has_colours_at_a_terminal(ready: Command, project: Path) -> None:
    ready("replay fixtures/contact-wrong-value fixtures/contact-created")
    listed = at_a_terminal("show", project)
    assert f"{ESCAPE}32m1 created" in listed
    assert f"{ESCAPE}1;31m1 quarantined" in listed
    written = at_a_terminal("show 04lxx0000000015AAA", project)
    assert f"{ESCAPE}1moutcome" in written
    assert f"{ESCAPE}1;31mquarantined" in written
    assert "omreceiver quarantine retry 1" in written
    assert "\t" not in listed + written


def test_a_terminal_that_wants_no_colours_gets_none(ready: Command, project: Path) -> None:
    written = at_a_terminal("classes", project, NO_COLOR="1")
    assert "Contact" in written
    assert f"{ESCAPE}3" not in written


def test_in_a_pipe_there_is_neither(ready: Command, project: Path) -> None:
    answer = run(["omreceiver", "replay", CASE], project)
    assert answer.stdout == "message\tnotifications\toutcomes\tanswer\ncontact-created\t1\t1 created\tack\n"
    assert answer.stderr == ""


def test_brackets_in_a_value_are_no_markup(ready: Command, project: Path) -> None:
    stamped = {"SystemModstamp": "2026-07-01T12:00:00.000Z"}
    body = compose("Contact", {"Key__c": "C-1", "Birthdate": r"\[/b] [red]", **stamped})
    (project / "brackets.xml").write_bytes(body)
    ready("replay brackets.xml")
    written = at_a_terminal("quarantine list", project)
    assert "[/b] [red]" in written
    assert "Traceback" not in written


def change(project: Path, statement: str) -> None:
    """Do something to the project's database."""
    engine = create_engine(f"sqlite:///{project}/omreceiver.db")
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def query(project: Path, statement: str) -> list[Any]:
    """The first column of what the project's database answers."""
    engine = create_engine(f"sqlite:///{project}/omreceiver.db")
    with engine.connect() as connection:
        found = list(connection.scalars(text(statement)))
    engine.dispose()
    return found


# -- references and system checks -------------------------------------------------------------------------------------


def test_references_are_a_table_of_fields_and_targets(command: Command, project: Path) -> None:
    described = {
        "name": "Task",
        "fields": [
            {"name": "WhoId", "type": "reference", "relationshipName": "Who", "referenceTo": ["Contact", "Lead"]}
            | {"namePointing": True, "polymorphicForeignKey": True},
            {"name": "AccountId", "type": "reference", "relationshipName": "Account", "referenceTo": ["Account"]},
        ],
    }
    (project / "wsdl" / "Task.describe.json").write_text(json.dumps(described))
    (project / "wsdl" / "Task.wsdl").write_text(wsdl_text("Task", {"AccountId": "ent:ID", "WhoId": "ent:ID"}))

    found = rows(command("classes --references"))
    assert [row for row in found if row["class"] == "Task"] == [
        {
            "class": "Task",
            "field": "AccountId",
            "relationship": "Account",
            "targets": "Account",
            "polymorphic": "no",
            "attribute": "account",
        },
        {
            "class": "Task",
            "field": "WhoId",
            "relationship": "Who",
            "targets": "Contact, Lead",
            "polymorphic": "yes",
            "attribute": "who",
        },
    ]
    assert {row["class"]: row["polymorphic"] for row in json.loads(command("classes --references --json").stdout)}[
        "Task"
    ] is True


def test_declared_references_are_in_it_too(command: Command, project: Path) -> None:
    (project / "declared.py").write_text(
        "from typing import Any\n"
        "from sqlalchemy.orm import DeclarativeBase, Mapped\n"
        "from omreceiver import RecordMixin, Reference\n"
        "class Base(RecordMixin, DeclarativeBase): pass\n"
        "class Task(Base, sobject='Task'):\n"
        "    what: Mapped[Any] = Reference('WhatId', 'Account', 'Opportunity')\n"
    )
    found = rows(command("classes --references", OMRECEIVER_MODELS="declared", OMRECEIVER_WSDL_DIR="nowhere"))
    assert [(row["field"], row["relationship"], row["polymorphic"]) for row in found] == [("WhatId", "What", "yes")]


def test_db_check_prints_every_finding_of_the_system_checks(command: Command, project: Path) -> None:
    (project / "wrong.py").write_text(
        "from sqlalchemy.orm import DeclarativeBase, Mapped\n"
        "from omreceiver import RecordMixin, Field\n"
        "class Base(RecordMixin, DeclarativeBase): pass\n"
        "class Account(Base, sobject='Account'):\n"
        "    name: Mapped[str | None] = Field('Nmae')\n"
        "class Partner(Account, when={'RecordTypeId': 'No_Such_Type'}): pass\n"
    )
    settings = {"OMRECEIVER_MODELS": "wrong"}
    checked = command("db check", **settings)
    assert checked.exit_code == 1
    assert [line[:4] for line in checked.stderr.splitlines()] == ["E006", "E010"]
    assert "Did you mean Name?" in checked.stderr

    refused = command("db create", **settings)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("omreceiver: E006 Account.name maps Nmae")
    assert len(refused.stderr.splitlines()) == 2
