"""The pages and the two health URLs: what they say, to whom, and how they look in a browser."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from lxml import etree, html
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import text
from sqlalchemy.orm import Mapped
from werkzeug.test import TestResponse

from omreceiver import Field, OutboundMessages, create_app, replay
from omreceiver.app import parts_of
from omreceiver.store.quarantine import entries
from omreceiver.testing import compose, create_tables, new_id
from omreceiver.testing.messages import ACTION
from omreceiver.testing.replay import post
from tests.conftest import ROOT, MakeApp
from tests.ledgers import at, bury, deliver, settle, tell
from tests.processes import free_port, live

FIXTURES = ROOT / "fixtures"
PARTNER = "012000000000001AAA"
#: what the WSDLs here select and every record of Salesforce has
STAMPED: dict[str, Any] = {"SystemModstamp": at(1)}


@pytest.fixture
def app(make_app: MakeApp, sqlite_url: str) -> Flask:
    return make_app(sqlite_url, wsdl_dir=ROOT / "wsdl")


def page_of(app: Flask, path: str = "/", **options: Any) -> etree._Element:
    response = app.test_client().get(path, **options)
    assert response.status_code == 200, path
    return html.fromstring(response.text)


def links(page: etree._Element) -> dict[str, str]:
    """What can be clicked → where it leads."""
    return {words(link): link.get("href", "") for link in page.iterfind(".//a")}


def told(page: etree._Element) -> dict[str, str]:
    """The facts of a page about one thing."""
    return {words(fact[0]): words(fact[1]) for fact in page.iterfind(".//dl/div")}


def table(page: etree._Element) -> list[list[str]]:
    return [[words(cell) for cell in row] for row in page.iterfind(".//tbody/tr")]


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
    hrefs = [link.get("href", "") for link in page.iterfind(".//a")]
    assert len(hrefs) >= 7
    for link in hrefs:
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
    records = [{**STAMPED, "Key__c": f"C-{i}", "Birthdate": f"no date {i}"} for i in range(100)]
    post(app, compose("Contact", *records))
    [row] = section(page_of(app), "Last messages").iterfind(".//tbody/tr")
    assert len(row.findall(".//p[@class='reason']")) == 5
    assert "and 95 more: message 1" in words(row)


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
    post(app, compose("Contact", {**STAMPED, "Key__c": "C-1", "Birthdate": bad}))
    response = app.test_client().get("/")
    assert "&lt;script&gt;" in response.text
    assert "<script" not in response.text
    assert html.fromstring(response.text).find(".//script") is None


def test_what_durable_receivers_are_still_to_hear(app: Flask) -> None:
    assert "Durable receivers" not in words(page_of(app))
    send(app, ONE)
    deliver(app, ONE, erp={"due_at": at(1), "attempts": 2, "error": "away"}, mail={"due_at": None, "attempts": 20})
    rows = [[words(cell) for cell in row] for row in page_of(app).iterfind(".//table[@class='backlogs']/tbody/tr")]
    assert [row[:4] for row in rows] == [["erp away", "1", "1", "0"], ["mail", "0", "0", "1"]]
    assert (bool(rows[0][4]), rows[1][4]) == (True, "")


def test_totals_count_every_repetition(app: Flask) -> None:
    for _ in range(3):
        replay(app, FIXTURES / "contact-created")
    totals = [words(item) for item in section(page_of(app), "Last messages").iterfind(".//ul/li")]
    assert totals == ["created 1", "duplicate 2"]


def test_each_action_has_a_line_with_what_tells_its_field_list(app: Flask) -> None:
    post(app, compose("Contact", {**STAMPED, "Key__c": "C-1", "Shoe_Size__c": "44"}))
    [[sobject, action, fields, last_new]] = table(section(page_of(app), "Actions"))
    assert (sobject, action) == ("Contact", ACTION)
    assert fields.startswith("Contact, by the only WSDL: 14 fields")
    assert fields.endswith("It has sent what this list does not select: Shoe_Size__c. Download the WSDL again.")
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", last_new)


# -- from page to page --------------------------------------------------------------------------------------------

ANN = "003000000000001AAA"
ONE, TWO = "04l000000000001AAA", "04l000000000002AAA"


def send(app: Flask, notification_id: str, **fields: Any) -> None:
    record = {**STAMPED, "Id": ANN, "Key__c": "C-1", **fields}
    assert post(app, compose("Contact", record, notification_ids=[notification_id])).ack


def test_from_a_message_to_its_notifications_and_their_records(app: Flask) -> None:
    send(app, ONE, LastName="Ann")
    send(app, TWO, LastName="King", SystemModstamp=at(5))
    tell(app, TWO, detail={"arrived": at(5).isoformat(), "held": at(1).isoformat(), "changed": ["last_name"]})

    message = page_of(app, links(page_of(app))["2"])
    assert told(message)["Outcomes"] == "1 updated"
    assert table(message) == [["updated", TWO, ANN, "last_name"]]

    notification = page_of(app, links(message)[TWO])
    assert told(notification)["Outcome"] == "updated The record was updated."
    assert told(notification)["Compared"] == "2026-07-01 12:00:05 arrived, 2026-07-01 12:00:01 was there: newer"
    assert told(notification)["Changed"] == "last_name"

    record = page_of(app, links(notification)[ANN])
    assert (told(record)["Key"], told(record)["Tables"]) == ("c-1", "contact")
    assert told(record)["Saved at"] == "2026-07-01 12:00:05 UTC in Salesforce"
    assert [(row[0], row[2], row[3]) for row in table(record)] == [("updated", TWO, "2"), ("created", ONE, "1")]
    assert links(record)["1"] == "/messages/1"


def test_a_notification_lists_who_was_called(app: Flask) -> None:
    send(app, ONE)
    tell(app, ONE, detail={"receivers": {"committed": ["shop.mail"]}, "raised": {"shop.mail": "OSError: no route"}})
    deliver(app, ONE, erp={"delivered_at": at(5)})
    assert table(page_of(app, f"/notification?id={ONE}")) == [
        ["shop.mail", "committed", "raised OSError: no route"],
        ["erp", "committed, durable", "ran at 2026-07-01 12:00:05"],
    ]


def test_a_deleted_record_has_its_tombstone(app: Flask) -> None:
    bury(app, ANN, deleted_at=at(50), told_at=at(52))
    facts = told(page_of(app, f"/record?id={ANN}"))
    assert facts["Now"] == "Not in the tables."
    assert facts["Tombstone"].startswith("Deleted in Salesforce at 2026-07-01 12:00:50, told here at")


def test_every_link_leads_somewhere(busy: Flask) -> None:
    """From the first page as far as one can go."""
    seen, ahead = set[str](), ["/", "/quarantine?settled=1"]
    while ahead:
        path = ahead.pop()
        seen.add(path)
        response = busy.test_client().get(path)
        assert response.status_code == 200, path
        if response.mimetype == "text/html":
            hrefs = links(html.fromstring(response.text)).values()
            ahead += {href.removeprefix("http://localhost") for href in hrefs} - seen - set(ahead)
    kinds = {path.split("?")[0].rstrip("0123456789") for path in seen}
    assert kinds >= {"/", "/messages", "/messages/", "/notification", "/record", "/quarantine", "/quarantine/"}
    assert len(seen) > 80


def test_the_pages_may_stand_below_a_path_of_yours(sqlite_url: str) -> None:
    app = Flask("users_app")
    app.config.update(DATABASE_URL=sqlite_url, OMRECEIVER_WSDL_DIR=str(ROOT / "wsdl"), TESTING=True)
    parts = OutboundMessages(()).init_app(app, page="/salesforce")
    create_tables(app)
    send(app, ONE)
    hrefs = links(page_of(app, "/salesforce/"))
    assert (hrefs["Messages"], hrefs["1"]) == ("/salesforce/messages", "/salesforce/messages/1")
    assert links(page_of(app, hrefs["1"]))[ANN] == f"/salesforce/record?id={ANN}"
    assert app.test_client().get("/salesforce/find?q=C-1").location == f"/salesforce/record?id={ANN}"
    parts.engine.dispose()


@pytest.mark.parametrize(
    ("asked", "leads_to"),
    [
        (ONE, f"/notification?id={ONE}"),
        (ONE[:15], f"/notification?id={ONE}"),
        (ANN, f"/record?id={ANN}"),
        (f" {ANN[:15]} ", f"/record?id={ANN}"),
        ("C-1", f"/record?id={ANN}"),
        ("1", "/messages/1"),
        ("", "/"),
    ],
)
def test_the_search_box_leads_to_what_an_id_stands_for(app: Flask, asked: str, leads_to: str) -> None:
    send(app, ONE)
    form = page_of(app).find(".//form")
    assert form is not None
    assert [field.get("name") for field in form.iterfind(".//input")] == ["q"]
    answer = app.test_client().get(form.get("action", ""), query_string={"q": asked})
    assert (answer.status_code, answer.location) == (303, leads_to)
    assert page_of(app, leads_to) is not None


def test_an_id_that_stands_for_several_things_gives_a_choice(app: Flask) -> None:
    send(app, ONE, Key__c="1")
    post(app, compose("Account", {**STAMPED, "Id": "001000000000001AAA", "ERP_Id__c": "1"}))
    choice = links(page_of(app, "/find?q=1"))
    assert {"message 1", f"Contact {ANN}", "Account 001000000000001AAA"} < set(choice)
    assert choice[f"Contact {ANN}"] == f"/record?id={ANN}"


@pytest.mark.parametrize(
    "path",
    [
        *("/find?q=04l999999999999AAA", "/notification?id=none", "/notification", "/record?id=none", "/record"),
        *(
            "/messages/7",
            "/quarantine/7",
            "/find?q=%00",
            "/record?id=%00",
            "/notification?id=%ff",
            "/find?q=" + "9" * 40,
        ),
    ],
)
def test_what_is_not_there_is_said_with_how_long_it_would_be(app: Flask, path: str) -> None:
    answer = app.test_client().get(path)
    assert answer.status_code == 404
    assert "The ledger knows the notifications of the last 30 days" in words(html.fromstring(answer.text))


def test_older_messages_are_on_the_next_page(app: Flask) -> None:
    for _ in range(51):
        send(app, ONE)
    first = page_of(app)
    assert [row[0] for row in table(section(first, "Last messages"))] == [str(n) for n in range(51, 1, -1)]
    older = page_of(app, links(first)["Older messages"])
    assert [row[0] for row in table(older)] == ["1"]
    assert "Older messages" not in links(older)


def test_a_message_of_a_hundred_has_two_pages(app: Flask) -> None:
    answer = post(app, compose("Contact", *[{**STAMPED, "Key__c": f"C-{n}"} for n in range(100)]))
    first = page_of(app, "/messages/1")
    second = page_of(app, links(first)["The next 50"])
    listed = [row[1] for page in (first, second) for row in table(page)]
    assert (len(listed), set(listed)) == (100, set(answer.outcomes))
    assert "The next 50" not in links(second)


def test_the_history_of_a_record_goes_on(app: Flask) -> None:
    for second in range(55):
        send(app, new_id("04l"), LastName=f"Ann {second}", SystemModstamp=at(second))
    first = page_of(app, f"/record?id={ANN}")
    older = page_of(app, links(first)["Older ones"])
    assert [row[3] for page in (first, older) for row in table(page)] == [str(n) for n in range(55, 0, -1)]


def test_a_message_of_duplicates_says_where_its_notifications_are(app: Flask) -> None:
    send(app, ONE)
    send(app, ONE)
    page = page_of(app, "/messages/2")
    assert told(page)["Note"].startswith("1 of its notifications had been here before.")
    assert words(page).count("None of its own.") == 1


# -- quarantine ---------------------------------------------------------------------------------------------------


def test_quarantine_open_and_settled(app: Flask) -> None:
    send(app, ONE, Birthdate="31/12/1980")
    send(app, TWO, Birthdate="never")
    settle(app, 1, "created", at(30))
    listed = page_of(app, links(page_of(app))["Quarantine"])
    assert [(row[0], row[3], row[4]) for row in table(listed)] == [
        ("2", ANN, "Birthdate holds 'never', expected a date like 2026-12-31")
    ]
    left = page_of(app, links(listed)["Those that have left it"])
    assert [(row[0], row[1]) for row in table(left)] == [("1", "2026-07-01 12:00:30")]
    assert "created" in table(left)[0][4]
    assert links(left)["1 open"] == "/quarantine"

    settled = told(page_of(app, links(left)["1"]))
    assert settled["State"] == "created since 2026-07-01 12:00:30 UTC, tried again once"
    assert "Next" not in settled


def test_an_entry_of_quarantine_has_reason_xml_and_traceback(app: Flask) -> None:
    send(app, ONE, Birthdate="<31/12/1980>")
    page = page_of(app, links(page_of(app, "/quarantine"))["1"])
    assert told(page)["Next"] == "Mend the reason, then omreceiver quarantine retry 1"
    assert told(page)["Notification"] == f"{ONE} of message 1"
    fragment, traceback = ("".join(map(str, block.itertext())) for block in page.iterfind(".//pre"))
    assert "<sf:Birthdate>&lt;31/12/1980&gt;</sf:Birthdate>\n" in fragment
    assert traceback.startswith("Traceback (most recent call last):\n")
    [reason] = page.iterfind(".//p[@class='reason why']")
    assert words(reason) == table(page_of(app, "/quarantine"))[0][4]


def test_quarantine_goes_on(app: Flask) -> None:
    post(app, compose("Contact", *[{**STAMPED, "Key__c": f"C-{n}", "Birthdate": "never"} for n in range(60)]))
    first = page_of(app, "/quarantine")
    assert "60 open" in words(first)
    older = page_of(app, links(first)["Older ones"])
    assert [row[0] for page in (first, older) for row in table(page)] == [str(n) for n in range(60, 0, -1)]


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "../../x?&id=#{{7*7}}"]
)
def test_what_arrived_is_text_on_every_page(app: Flask, evil: str) -> None:
    """In an ID that cannot be read, in a value, in a detail, in what somebody looks for."""
    post(app, compose("Contact", {**STAMPED, "Id": evil, "Key__c": evil, "Birthdate": evil}, notification_ids=[ONE]))
    tell(app, ONE, detail={"class": evil, "key": evil, "changed": [evil], "notes": [evil], "arrived": evil})
    paths = ["/", "/messages/1", f"/notification?id={ONE}", "/quarantine", "/quarantine/1"]
    record = links(page_of(app, "/messages/1"))[evil[:18]]
    for path in [*paths, record, "/find?" + urlencode({"q": evil})]:
        answer = app.test_client().get(path)
        page = html.fromstring(answer.text)
        assert answer.status_code == (404 if "find" in path else 200), path
        assert evil[:18] in words(page) or path == "/"
        assert page.find(".//script") is None
        assert [image.get("src") for image in page.iterfind(".//img")] == ["/omreceiver-static/icon.svg"]
    assert told(page_of(app, record)) == {"Now": "Not in the tables."}


# -- to whom ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/messages", "/messages/1", "/quarantine", f"/notification?id={ONE}"])
def test_only_this_machine_sees_the_page(app: Flask, path: str) -> None:
    send(app, ONE)

    def asked(address: str, **headers: str) -> int:
        environ = {"REMOTE_ADDR": address}
        return app.test_client().get(path, environ_overrides=environ, headers=headers).status_code

    assert [asked("127.0.0.1"), asked("::1")] == [200, 200]
    assert [asked("203.0.113.9"), asked("192.168.0.7"), asked("")] == [403, 403, 403]
    assert asked("127.0.0.1", **{"X-Forwarded-For": "203.0.113.9"}) == 403


@pytest.mark.parametrize("path", ["/", "/messages", "/record?id=none", "/messages/1", "/find?q=", "/quarantine"])
def test_the_page_may_run_no_script_and_stands_in_no_frame(app: Flask, path: str) -> None:
    headers = app.test_client().get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "form-action": "'self'",
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
    away = [app.test_client().get(path) for path in ("/messages", "/messages/1", "/quarantine", "/find?q=1")]
    assert [response.status_code for response in away] == [503] * 4
    for response in (*not_ready(app), *away):
        assert "omreceiver db check" in response.text
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
    post(app, compose("Contact", {**STAMPED, "Id": new_id("003"), "Key__c": "C-7", "Birthdate": "x" * 200}))
    post(app, compose("An_sObject_whose_name_is_as_long_as_it_may_be__c", {"Id": new_id("a00")}))
    names = {"erp": at(1), "a_durable_receiver_whose_name_says_at_length_what_it_does_and_for_whom": at(2)}
    deliver(app, new_id("04l"), **{name: {"due_at": due_at} for name, due_at in names.items()})
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
        check_readable(page)
        assert complaints == []


@pytest.mark.parametrize("view", VIEWS)
def test_every_other_page_is_readable(view: str, browser: Browser, busy: Flask) -> None:
    [bad] = [entry.notification_id for entry in entries(parts_of(busy).engine) if "xxx" in entry.reason]
    tell(busy, bad, repeats=2, detail={"class": "Contact", "key": "k" * 255, "changed": ["a_long_attribute_name"] * 20})
    last = max(entry.number for entry in entries(parts_of(busy).engine))
    pages = {"message": "/messages/21", "messages": "/messages", "notification": f"/notification?id={bad}"}
    pages |= {"record": "/record?id=003xx000004TmiQAAS", "quarantine": "/quarantine", "entry": f"/quarantine/{last}"}
    with live(busy) as url, browser.new_context(**VIEWS[view]) as context:
        page = context.new_page()
        for name, path in pages.items():
            answer = page.goto(url + path)
            assert answer is not None
            assert answer.ok, path
            take_picture(page, f"{name}-{view}")
            check_readable(page)


def test_an_id_is_found_by_typing_it(browser: Browser, busy: Flask) -> None:
    """The content security policy lets the form be sent, and the redirect follow."""
    with live(busy) as url, browser.new_context(java_script_enabled=False, **VIEWS["phone-light"]) as context:
        page = context.new_page()
        page.goto(url)
        page.get_by_role("searchbox").fill("003xx000004TmiQAAS")
        page.get_by_role("button", name="Find").click()
        page.wait_for_url("**/record?id=*")
        assert page.get_by_role("heading", name="Record 003xx000004TmiQAAS").is_visible()


def check_readable(page: Page) -> None:
    """Nothing is wider than the window, with every list open, and every text stands out from its ground."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.evaluate(READ_OVERHANGS)
    assert page.evaluate(READ_OVERHANGS) == []
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "with every list open"
    texts = page.evaluate(READ_TEXTS)
    assert len(texts) > 15
    assert [entry for entry in texts if contrast(*entry[1:]) < 4.5] == []


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
