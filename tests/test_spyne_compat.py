"""The shim: without it Spyne does not import on Python 3.12 and later; with it a WSDL and a message are served."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from omreceiver.testing import compose
from tests.conftest import ROOT

SERVE = """
import sys
from omreceiver import create_app
from omreceiver.app import parts_of
from omreceiver.store.upgrade import upgrade
app = create_app({"DATABASE_URL": "sqlite:///" + sys.argv[1], "OMRECEIVER_WSDL_DIR": sys.argv[2]})
upgrade(parts_of(app).engine, parts_of(app).models)
client = app.test_client()
wsdl = client.get("/outbound-messages/Account?wsdl")
ack = client.post("/outbound-messages", data=open(sys.argv[3], "rb").read(), content_type="text/xml")
print(wsdl.status_code, b"definitions" in wsdl.data, ack.status_code, b"Ack>true</" in ack.data)
"""


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A new interpreter of the same version."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_without_the_shim_spyne_fails_on_new_interpreters() -> None:
    bare = run("import spyne.application")
    assert (bare.returncode == 0) is (sys.version_info < (3, 12))
    if bare.returncode:
        assert "No module named 'spyne.util.six.moves'" in bare.stderr


def test_with_the_shim_a_wsdl_and_a_message_are_served(tmp_path: Path) -> None:
    message = tmp_path / "message.xml"
    message.write_bytes(compose("Account", {"ERP_Id__c": "A-1"}))
    served = run(SERVE, tmp_path / "test.db", ROOT / "wsdl", message)
    assert served.stdout == "200 True 200 True\n", served.stderr


def test_importing_it_warns_of_nothing() -> None:
    imported = run("import warnings; warnings.simplefilter('error'); import omreceiver.door.soap")
    assert imported.returncode == 0, imported.stderr


@pytest.mark.parametrize("name", ["spyne", "spyne.protocol.xml", "spyne.application.server"])
def test_spyne_logs_nothing(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not even to a handler on the root logger at DEBUG: Spyne writes whole bodies."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger(name).critical("<SessionId>secret</SessionId>")
    assert not caplog.records
