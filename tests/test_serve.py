"""Real servers: `omreceiver serve` as a newcomer starts it, the Procfile as Heroku does."""

from __future__ import annotations

import http.client
import re
import shlex
import shutil
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask

from omreceiver.app import parts_of
from omreceiver.cli import COMMANDS
from omreceiver.store import tables
from omreceiver.testing import compose, new_id
from omreceiver.testing.replay import send_to
from tests.conftest import ROOT, MakeApp, tables_of
from tests.databases import fresh_database
from tests.processes import LIMIT, Server, environment, free_port, get, run, serving

PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
PATH = "/outbound-messages"
MESSAGE = (ROOT / "fixtures" / "contact-created" / "message.xml").read_bytes()
CASES = len(list((ROOT / "fixtures").glob("*/*.xml")))
LIMIT_OF_BODY = 20_000
XML = {"Content-Type": "text/xml; charset=UTF-8"}


# -- omreceiver serve ---------------------------------------------------------------------------------------------


def test_serve_makes_the_tables_and_takes_messages(project: Path, make_app: MakeApp) -> None:
    port = free_port()
    with serving(f"omreceiver serve --port {port}", port, project) as server:
        assert (get(f"{server.url}/readyz").status, get(f"{server.url}/readyz").text) == (200, "ready\n")
        assert send_to(server.url + PATH, MESSAGE).ack
        assert send_to(f"{server.url}{PATH}/Contact", MESSAGE).ack
        assert "rosa" not in get(f"{server.url}/").text, "the page shows no values"
        assert f"\n  {server.url}{PATH}\n" in server.printed
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(LIMIT) == 0, "Ctrl-C is the way to stop it, no accident"
        assert "Traceback" not in server.printed
    app = make_app(f"sqlite:///{project}/omreceiver.db", wsdl_dir=project / "wsdl")
    [contact] = tables_of(app)["contact"]
    assert (contact["external_id"], contact["email"]) == ("c-1001", "rosa.lind@example.com")
    assert outcomes(app) == [{"created": 1}, {"duplicate": 1}]
    assert [path.name for path in project.iterdir() if path.name.startswith(".")] == []


def test_demo_replays_the_fixtures_and_its_curl_line_works(project: Path, make_app: MakeApp) -> None:
    port = free_port()
    with serving(f"omreceiver serve --demo --port {port}", port, project) as server:
        assert f"Replayed {CASES - 1} fixtures: " in server.printed, "all but the one of the curl line"
        assert f"\n  {server.url}{PATH}\n" in server.printed
        assert f"{server.url}/\n" in server.printed
        [line] = re.findall(r"^ +(curl .+)$", server.printed, re.MULTILINE)
        assert (project / line.split("@")[1].split()[0]).is_file()
        if shutil.which("curl"):
            answer = run(["sh", "-c", line], project)
            assert "Ack>true</" in answer.stdout, answer.stderr
    again = free_port()
    with serving(f"omreceiver serve --demo --port {again}", again, project) as server:
        assert re.search(rf"Replayed {CASES - 1} fixtures: \d+ duplicate\n", server.printed)


def test_serve_elsewhere_promises_no_fixture(project: Path) -> None:
    shutil.rmtree(project / "fixtures")
    shutil.rmtree(project / "wsdl")
    port = free_port()
    with serving(f"omreceiver serve --port {port}", port, project) as server:
        assert "curl" not in server.printed
        assert send_to(server.url + PATH, MESSAGE).ack, "without a class the notification goes to quarantine"


def test_serve_to_the_world_needs_organizations_and_keeps_tokens_to_itself(project: Path) -> None:
    port = free_port()
    settings = {"OMRECEIVER_ORGANIZATIONS": "00Dxx0000001gPF", "OMRECEIVER_TOKENS": "s3cret"}
    with serving(f"omreceiver serve --host 0.0.0.0 --port {port}", port, project, **settings) as server:
        assert "Put ?token= and one of OMRECEIVER_TOKENS at its end" in server.printed
        assert not re.search("s3cret|curl|Only this machine", server.printed)
        assert send_to(server.url + PATH, MESSAGE).status == 401
        assert send_to(f"{server.url}{PATH}?token=s3cret", MESSAGE).ack


def test_serve_on_ipv6(project: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    port = free_port()
    with serving(f"omreceiver serve --host ::1 --port {port}", port, project, host="[::1]") as server:
        assert f"\n  {server.url}{PATH}\n" in server.printed
        assert send_to(server.url + PATH, MESSAGE).ack


# -- the Procfile -------------------------------------------------------------------------------------------------


def test_every_line_of_the_procfile_names_a_program_and_a_command_that_exist(project: Path) -> None:
    assert set(PROCFILE) >= {"web", "release"}
    for line in PROCFILE.values():
        program, *arguments = shlex.split(line)
        assert shutil.which(program, path=environment(project)["PATH"]), program
        if program == "omreceiver":
            assert arguments[0] in COMMANDS


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def deployed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """The release line and then the web line, on a database server; with the URL of the database."""
    folder = tmp_path_factory.mktemp("deployed")
    shutil.copytree(ROOT / "wsdl", folder / "wsdl")
    with fresh_database(request.param, folder) as url:
        port = free_port()
        settings = {"DATABASE_URL": url, "PORT": str(port), "OMRECEIVER_MAX_BODY": str(LIMIT_OF_BODY)}
        released = run(["sh", "-c", PROCFILE["release"]], folder, **settings)
        assert (released.returncode, released.stderr) == (0, "")
        web = PROCFILE["web"].replace("0.0.0.0", "127.0.0.1")
        assert "--workers ${WEB_CONCURRENCY:-2}" in web
        with serving(web, port, folder, **settings) as server:
            yield server, url


@pytest.fixture
def server(deployed: tuple[Server, str]) -> Server:
    return deployed[0]


@pytest.fixture
def stored(deployed: tuple[Server, str], make_app: MakeApp) -> Flask:
    """A receiver in this process on the same database."""
    return make_app(deployed[1], wsdl_dir=ROOT / "wsdl")


def test_the_same_message_at_once_through_two_workers_is_stored_once(server: Server, stored: Flask) -> None:
    record = {"Name": "N", "SystemModstamp": "2026-07-01T12:00:00.000Z"}
    accounts: list[dict[str, Any]] = [{"Id": new_id("001"), "ERP_Id__c": f"A-{i}", **record} for i in range(20)]
    body = compose("Account", *accounts)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send_to(server.url + PATH, body), range(8)))
    assert [answer.ack for answer in answers] == [True] * 8, [answer.fault for answer in answers]
    assert len(tables_of(stored)["account"]) == 20
    assert sorted(map(str, outcomes(stored))) == ["{'created': 20}"] + ["{'duplicate': 20}"] * 7


def test_a_chunked_body(server: Server, stored: Flask) -> None:
    pieces = [MESSAGE[:100], MESSAGE[100:101], MESSAGE[101:]]
    status, text = chunked(server, pieces)
    assert (status, "Ack>true</" in text) == (200, True)
    assert [row["external_id"] for row in tables_of(stored)["contact"]] == ["c-1001"]


def test_a_body_whose_length_nobody_said_is_no_body(server: Server) -> None:
    status, text = exchange(server, {**XML, "Connection": "close"}, b"")
    assert (status, "The body is not well-formed XML." in text) == (400, True)


def test_a_body_over_the_limit_is_refused_whether_its_length_is_said_or_not(server: Server, stored: Flask) -> None:
    before = outcomes(stored)
    large = compose("Lead", {}) + b" " * LIMIT_OF_BODY
    said, text = exchange(server, {**XML, "Content-Length": str(len(large)), "Connection": "close"}, large)
    assert (said, "The body is too large." in text) == (413, True)
    status, text = chunked(server, [large[:8000], large[8000:]])
    assert (status, "The body is too large." in text) == (413, True)
    assert outcomes(stored) == before


def outcomes(app: Flask) -> list[dict[str, int]]:
    """Of every message in the ledger, in the order of their arrival."""
    m = tables.message.c
    with parts_of(app).engine.connect() as connection:
        return list(connection.scalars(tables.message.select().with_only_columns(m.outcomes).order_by(m.id)))


def chunked(server: Server, pieces: list[bytes]) -> tuple[int, str]:
    """POST in chunks, as a sender does who does not know the length before."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=LIMIT)
    headers = {**XML, "Transfer-Encoding": "chunked"}
    connection.request("POST", PATH, iter(pieces), headers, encode_chunked=True)
    with connection.getresponse() as response:
        answer = response.status, response.read().decode()
    connection.close()
    return answer


def exchange(server: Server, headers: dict[str, str], body: bytes) -> tuple[int, str]:
    """POST with exactly these headers, head and body in one piece."""
    address = urlsplit(server.url)
    lines = [f"POST {PATH} HTTP/1.1", f"Host: {address.netloc}", *(f"{n}: {v}" for n, v in headers.items()), "", ""]
    with socket.create_connection((address.hostname, address.port or 80), timeout=LIMIT) as connection:
        connection.sendall("\r\n".join(lines).encode() + body)
        with http.client.HTTPResponse(connection, method="POST") as response:
            response.begin()
            return response.status, response.read().decode()
