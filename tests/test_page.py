"""The page at / and the two health URLs: what they say, to whom, and how they look in a browser."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from lxml import etree, html
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import text
from sqlalchemy.orm import Mapped
from werkzeug.test import TestResponse

from omreceiver import Field, create_app, replay
from omreceiver.app import parts_of
from omreceiver.testing import compose, new_id
from omreceiver.testing.replay import post
from tests.conftest import ROOT, MakeApp
from tests.processes import free_port, live

FIXTURES = ROOT / "fixtures"
PARTNER = "012000000000001AAA"


@pytest.fixture
def app(make_app: MakeApp, sqlite_url: str) -> Flask:
    return make_app(sqlite_url, wsdl_dir=ROOT / "wsdl")


def page_of(app: Flask, **options: Any) -> etree._Element:
    response = app.test_client().get("/", **options)
    assert response.status_code == 200
    return html.fromstring(response.text)


def words(element: etree._Element) -> str:
    """The text of an element as one reads it, without line breaks."""
    return " ".join("".join(map(str, element.itertext())).split())


def section(page: etree._Element, title: str) -> etree._Element:
    [found] = [s for s in page.iterfind(".//section") if s.findtext("h2") == title]
    return found


# -- what it says -------------------------------------------------------------------------------------------------


def test_the_url_to_paste_is_the_one_that_was_asked(app: Flask) -> None:
    page = page_of(app, base_url="http://127.0.0.1:8123")
    urls = [words(code) for code in section(page, "The URL to paste").iterfind(".//code")]
    assert urls[0] == "http://127.0.0.1:8123/outbound-messages"
    assert "http://127.0.0.1:8123/outbound-messages/acme__Invoice__c" in urls
    links = [link.get("href", "") for link in page.iterfind(".//a")]
    assert len(links) >= 7
    for link in links:
        assert app.test_client().get(link, base_url="http://127.0.0.1:8123").status_code == 200, link


def test_each_class_has_a_line_with_table_key_and_fields(make_app: MakeApp, sqlite_url: str, base: Any) -> None:
    class Account(base, sobject="Account"):  # type: ignore[call-arg]
        name: Mapped[str | None] = Field("Name")

    class PartnerAccount(Account, when={"RecordTypeId": PARTNER}):  # type: ignore[call-arg]
        city: Mapped[str | None] = Field("BillingCity")

    page = page_of(make_app(sqlite_url, base, wsdl_dir=ROOT / "wsdl"))
    classes = {words(row[1]): row for row in section(page, "Classes").iterfind(".//tbody/tr")}
    assert set(classes) == {"Account", "PartnerAccount", "Contact", "Lead", "acme__Invoice__c"}
    assert words(classes["PartnerAccount"][0]) == f"Account RecordTypeId = {PARTNER}"
    assert words(classes["PartnerAccount"][2]) == "account → partner_account"
    assert [words(classes[name][3]) for name in ("Account", "Contact")] == ["Id", "Key__c"]
    assert "1 mapped, 16 kept in extra" in words(classes["Account"][4])
    assert "Field list: Contact" in words(classes["Contact"][4])
    assert "Birthdate" in words(classes["Contact"][4])


def test_the_last_messages_with_outcomes_and_reasons(app: Flask) -> None:
    replay(app, FIXTURES / "contact-created")
    replay(app, FIXTURES / "contact-wrong-value", raw=False)
    last = section(page_of(app), "Last messages")
    newest, oldest = last.iterfind(".//tbody/tr")
    assert "1 quarantined 1 created" in words(newest)
    assert "Birthdate holds '31/12/1980', expected a date like 2026-12-31" in words(newest)
    assert ["replay" in words(row) for row in (newest, oldest)] == [False, True]
    totals = [words(item) for item in last.iterfind(".//ul/li")]
    assert totals == ["created 2", "quarantined 1"]


def test_many_reasons_are_cut_short_and_say_where_the_rest_is(app: Flask) -> None:
    records = [{"Key__c": f"C-{i}", "Birthdate": f"no date {i}"} for i in range(100)]
    post(app, compose("Contact", *records))
    [row] = section(page_of(app), "Last messages").iterfind(".//tbody/tr")
    assert len(row.findall(".//p[@class='reason']")) == 5
    assert "and 95 more: omreceiver quarantine list" in words(row)


def test_an_empty_receiver_says_what_to_do(make_app: MakeApp, sqlite_url: str, tmp_path: Path) -> None:
    page = page_of(make_app(sqlite_url, wsdl_dir=tmp_path))
    assert words(section(page, "Last messages")).endswith("None yet. Send one: omreceiver replay fixtures")
    says = words(section(page, "Classes"))
    assert f"Put an outbound-message WSDL into {tmp_path}" in says
    assert "OMRECEIVER_MODELS" in says
    assert "No organization is let in yet" in words(section(page, "The URL to paste"))


def test_with_organizations_and_tokens_it_says_what_else_the_url_needs(make_app: MakeApp, sqlite_url: str) -> None:
    app = make_app(sqlite_url, OMRECEIVER_ORGANIZATIONS="00Dxx0000001gPF", OMRECEIVER_TOKENS="s3cret")
    says = words(section(page_of(app), "The URL to paste"))
    assert "No organization is let in yet" not in says
    assert "Put ?token= and one of OMRECEIVER_TOKENS at its end" in says
    assert "s3cret" not in says


def test_what_arrived_is_text_and_never_markup(app: Flask) -> None:
    """Also where it stands in the way of reading it: in an ID, in a reason."""
    bad = "<script>alert(1)</script>"
    post(app, compose("Contact", {"Key__c": "C-1", "Birthdate": bad}))
    response = app.test_client().get("/")
    assert "&lt;script&gt;" in response.text
    assert "<script" not in response.text
    assert html.fromstring(response.text).find(".//script") is None


# -- to whom ------------------------------------------------------------------------------------------------------


def test_only_this_machine_sees_the_page(app: Flask) -> None:
    def asked(address: str, **headers: str) -> int:
        environ = {"REMOTE_ADDR": address}
        return app.test_client().get("/", environ_overrides=environ, headers=headers).status_code

    assert [asked("127.0.0.1"), asked("::1")] == [200, 200]
    assert [asked("203.0.113.9"), asked("192.168.0.7"), asked("")] == [403, 403, 403]
    assert asked("127.0.0.1", **{"X-Forwarded-For": "203.0.113.9"}) == 403


def test_the_page_may_run_no_script_and_stands_in_no_frame(app: Flask) -> None:
    headers = app.test_client().get("/").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Type"] == "text/html; charset=utf-8"


def test_the_page_asks_nothing_of_anybody_else(app: Flask) -> None:
    page = page_of(app)
    loaded = [*page.iterfind(".//*[@src]"), *page.iterfind(".//link[@href]")]
    wanted = [element.get("src") or element.get("href") or "" for element in loaded]
    assert wanted
    assert all(url.startswith(("/", "data:")) for url in wanted)


# -- health -------------------------------------------------------------------------------------------------------


def health(app: Flask, path: str) -> tuple[int, str]:
    response = app.test_client().get(path)
    assert response.mimetype == "text/plain"
    return response.status_code, response.text


def not_ready(app: Flask) -> tuple[TestResponse, TestResponse]:
    """The answers of /readyz and of the page, both 503 with a sentence that holds the cure; the process is alive."""
    assert health(app, "/healthz") == (200, "alive\n")
    ready, page = app.test_client().get("/readyz"), app.test_client().get("/")
    assert (ready.status_code, page.status_code) == (503, 503)
    assert re.fullmatch(r"The database is away, or .* run `omreceiver db check`\.\n", ready.text)
    assert "omreceiver db check" in words(html.fromstring(page.text))
    return ready, page


@pytest.mark.parametrize(
    "statement", ["DROP TABLE om_notification", "DROP TABLE contact", "ALTER TABLE lead DROP extra"]
)
def test_ready_is_who_could_store_a_message(make_app: MakeApp, database_url: str, statement: str) -> None:
    app = make_app(database_url, wsdl_dir=ROOT / "wsdl")
    assert health(app, "/readyz") == (200, "ready\n")
    with parts_of(app).engine.begin() as connection:
        connection.execute(text(statement))
    if "om_" in statement:
        not_ready(app)
    assert health(app, "/readyz")[0] == 503


@pytest.mark.parametrize(
    "url", ["sqlite:////no/such/folder/shop.db", "postgresql://shop:hunter2@127.0.0.1:{port}/shop"]
)
def test_a_database_that_is_away_is_said_and_its_password_is_not(url: str, tmp_path: Path) -> None:
    app = create_app({"DATABASE_URL": url.format(port=free_port()), "OMRECEIVER_WSDL_DIR": str(tmp_path)})
    for response in not_ready(app):
        assert "hunter2" not in response.text
    parts_of(app).engine.dispose()


# -- in a browser -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium of this machine, without a window."""
    program = shutil.which("chromium")
    if program is None:
        sentence = "no chromium here: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=arguments)
        yield chromium
        chromium.close()


VIEWS: dict[str, Any] = {
    "phone-light": {"viewport": {"width": 390, "height": 800}, "color_scheme": "light"},
    "phone-dark": {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"},
    "desk-light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "desk-dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
}

#: all text that is seen, and what it stands on: [text, color, background]
READ_TEXTS = """() => {
  const texts = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, style = getComputedStyle(element)
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue
    let ground = element
    while (ground && getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement
    texts.push([walker.currentNode.data.trim(), style.color, ground ? getComputedStyle(ground).backgroundColor : ''])
  }
  return texts
}"""
#: elements whose right edge is past the window's, unless something around them scrolls
READ_OVERHANGS = """() => [...document.body.querySelectorAll('*')].filter(element => {
  if (element.getBoundingClientRect().right <= innerWidth + 1) return false
  for (let up = element; up; up = up.parentElement) if (getComputedStyle(up).overflowX === 'auto') return false
  return true
}).map(element => element.outerHTML.slice(0, 80))"""


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2 of a computed, opaque colour."""
    found = re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", colour)
    assert found, f"{colour!r} is not opaque"
    shares = [int(part) / 255 for part in found.groups()]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_counted_as_wcag_does() -> None:
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(118, 118, 118)", "rgb(255, 255, 255)") == pytest.approx(4.54, abs=0.01)


@pytest.fixture
def busy(app: Flask) -> Flask:
    """A receiver that has seen something of everything, names as long as Salesforce allows included."""
    replay(app, FIXTURES)
    replay(app, FIXTURES / "contact-created", raw=False)
    post(app, compose("Contact", {"Id": new_id("003"), "Key__c": "C-7", "Birthdate": "x" * 200}))
    post(app, compose("An_sObject_whose_name_is_as_long_as_it_may_be__c", {"Id": new_id("a00")}))
    return app


@pytest.fixture
def empty(make_app: MakeApp, sqlite_url: str, tmp_path: Path) -> Flask:
    return make_app(sqlite_url, wsdl_dir=tmp_path / "nowhere")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("state", ["busy", "empty"])
def test_the_page_is_readable(state: str, view: str, browser: Browser, request: pytest.FixtureRequest) -> None:
    """At a phone's width and at a desk's, by day and by night, with JavaScript off."""
    app: Flask = request.getfixturevalue(state)
    with live(app) as url, browser.new_context(java_script_enabled=False, **VIEWS[view]) as context:
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("requestfailed", lambda failed: complaints.append(failed.url))
        answer = page.goto(url)
        assert answer is not None
        assert answer.ok
        take_picture(page, f"{state}-{view}")
        assert page.get_by_text(f"{url}/outbound-messages", exact=True).is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.evaluate(READ_OVERHANGS)
        assert page.evaluate(READ_OVERHANGS) == []
        page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "with every list open"
        texts = page.evaluate(READ_TEXTS)
        assert len(texts) > 15
        assert [entry for entry in texts if contrast(*entry[1:]) < 4.5] == []
        assert complaints == []


def test_day_and_night_differ(browser: Browser, app: Flask) -> None:
    grounds = set()
    with live(app) as url:
        for view in ("phone-light", "phone-dark"):
            with browser.new_context(**VIEWS[view]) as context:
                page = context.new_page()
                page.goto(url)
                grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


def take_picture(page: Page, name: str) -> None:
    """With TEST_SHOTS=1, for whoever works on the page."""
    if os.environ.get("TEST_SHOTS"):
        page.screenshot(path=f"/tmp/shots/{name}.png", full_page=True)
