"""Convergence: any order, repetition and batching of the messages ends in the tables of the changes in order.

CONVERGENCE_EXAMPLES says how many stories are played; `make converge` plays many and prints how many they were.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.conftest import MakeApp
from tests.convergence import Story
from tests.convergence_run import (
    DELETED,
    VERBS,
    Player,
    blurred_lives,
    declare,
    emptied,
    rarely_told,
    stories,
    write_wsdls,
)
from tests.databases import DATABASES, fresh_database

EXAMPLES = int(os.environ.get("CONVERGENCE_EXAMPLES", "120"))
#: nobody tells of a deletion, and a record is created anew or merged under the key of the old one
UNTOLD = ("created", "sets", "blanks", "partner", "plain", "vanishes")


def playing(examples: int) -> settings:
    """`player` empties its tables for each story, so that one may serve them all."""
    unhealthy = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=max(examples, 5), deadline=None, suppress_health_check=unhealthy)


@pytest.fixture
def player(request: pytest.FixtureRequest, make_app: MakeApp, base: Any, tmp_path: Path) -> Iterator[Player]:
    """A receiver with a database of a kind, whose classes lose or mark what is deleted."""
    database, on_delete = request.param
    records = [*declare(base, on_delete), DELETED]
    write_wsdls(tmp_path)
    with fresh_database(database, tmp_path) as url:
        app = make_app("sqlite://" if database == "sqlite" else url, records, wsdl_dir=tmp_path)
        played = Player(app, on_delete == "mark")
        yield played
    told = f"{request.node.name}: " + ", ".join(f"{number} {what}" for what, number in played.played.items())
    request.node.user_properties.append(("convergence", told))


def on(databases: Sequence[str], *on_delete: str) -> pytest.MarkDecorator:
    pairs = [(database, each) for database in databases for each in on_delete]
    return pytest.mark.parametrize("player", pairs, ids=["-".join(pair) for pair in pairs], indirect=True)


@on(["sqlite"], "delete")
@playing(EXAMPLES)
@given(story=stories(VERBS))
def test_any_delivery_ends_in_the_tables_of_the_changes_in_order(player: Player, story: Story) -> None:
    player.check(story)


@on(["postgresql", "mariadb"], "delete")
@playing(EXAMPLES // 8)
@given(story=stories(VERBS))
def test_so_it_does_on_a_server(player: Player, story: Story) -> None:
    player.check(story)


@on(["sqlite"], "mark")
@playing(EXAMPLES)
@given(story=stories(VERBS, heirs_keep=True))
def test_where_deleted_records_are_marked(player: Player, story: Story) -> None:
    """Who takes the key of a deleted record keeps it here. If it gave it up again, the deleted one would have lost its
    place or not, and no receiver can know: the claim in between may never be seen.
    """
    player.check(story)


@on(["postgresql", "mariadb"], "mark")
@playing(EXAMPLES // 8)
@given(story=stories(VERBS, heirs_keep=True))
def test_where_deleted_records_are_marked_on_a_server(player: Player, story: Story) -> None:
    player.check(story)


@on(["sqlite"], "delete", "mark")
@playing(EXAMPLES // 4)
@given(story=stories(UNTOLD))
def test_a_record_created_anew_takes_the_row_of_one_of_which_nobody_told(player: Player, story: Story) -> None:
    player.check(story)


@on(["sqlite"], "delete")
@playing(EXAMPLES // 2)
@given(story=rarely_told())
def test_an_action_need_not_tell_of_every_change(player: Player, story: Story) -> None:
    """A field is as the last message says that has it, and a class of one action takes what another has sent."""
    player.check(story)


@on(["sqlite"], "mark")
@playing(EXAMPLES // 2)
@given(story=rarely_told(heirs_keep=True))
def test_nor_where_deleted_records_are_marked(player: Player, story: Story) -> None:
    player.check(story)


@on(["sqlite"], "delete", "mark")
@playing(EXAMPLES // 2)
@given(story=emptied())
def test_notifications_without_data_tell_that_a_record_is_gone(player: Player, story: Story) -> None:
    player.check(story)


@on(["sqlite"], "delete", "mark")
@playing(EXAMPLES // 4)
@given(story=blurred_lives())
def test_several_changes_of_one_second_end_in_one_of_them(player: Player, story: Story) -> None:
    """Of changes within a second nobody knows the last. What came before it is gone, and a deletion wins."""
    player.check_blurred(story)


#: what the machine has found, and what it is for; each story in as few messages as tell it
STORIES = {
    "two records swap their keys by way of a third, and the last message comes first": Story(
        ["A created K1", "B created K2", "A rekeyed K3", "B rekeyed K1", "A rekeyed K2"],
        ["Sales 5", "Sales 4", "Sales 3", "Sales 2", "Sales 1"],
    ),
    "a key goes from hand to hand and back": Story(
        ["A created K1", "A rekeyed K2", "B created K1", "B rekeyed K3", "A rekeyed K1"],
        ["Sales 1", "Sales 3", "Sales 5", "Sales 2", "Sales 4"],
    ),
    "the older message of another action comes after a retype": Story(
        ["A created K1", "A sets Rating", "A partner", "A sets Tier__c", "A plain"],
        ["Sales 5", "Support 2", "Sales 4", "Support 5", "Support 3", "Sales 1 2 3", "Support 1 4"],
    ),
    "a record is deleted and another created under its key, in one message": Story(
        ["A created K1", "A deleted", "B created K1"], ["Sales 1", "Sales 2 3"]
    ),
    "and in one second": Story(
        ["A created K1", "A deleted", "B created K1"], ["Sales 1", "Sales 3", "Sales 2"], [1, 1, 0]
    ),
    "a repeat with newer data does not hide a new notification beside it": Story(
        ["A created K1", "A entombed", "A undeleted K1"], ["Support 1", "Tombstone 2", "Support 3 1>3"]
    ),
    "the key of a deleted record goes to one that is here": Story(
        ["A created K1", "B created K3", "A deleted", "B rekeyed K1"], ["Sales 1", "Sales 2", "Sales 4", "Sales 3"]
    ),
    "and that one comes before the deleted record": Story(
        ["A created K1", "B created K3", "A deleted", "B rekeyed K1"], ["Sales 4", "Sales 1", "Sales 3", "Sales 2"]
    ),
    "an older message does not bring back who has lost its place": Story(
        ["A created K1", "A rekeyed K2", "A deleted", "B created K2"], ["Sales 2", "Sales 3", "Sales 4", "Sales 1"]
    ),
    "nor one whose deletion came too late to be marked": Story(
        ["A created K1", "A rekeyed K3", "A rekeyed K1", "A deleted", "B created K1"],
        ["Sales 5", "Sales 4", "Sales 2", "Sales 3", "Sales 1"],
    ),
    "nor one that came too late to have its key": Story(
        ["A created K1", "A rekeyed K2", "A entombed", "B created K2"], ["Sales 4", "Sales 2", "Sales 1", "Tombstone 3"]
    ),
    "a place is lost as of the row, not as of the deletion": Story(
        ["A created K2", "A deleted", "A undeleted K3", "A entombed", "B created K2"],
        ["Support 1", "Support 2", "Tombstone 4", "Support 5", "Support 3"],
    ),
    "two records of one message had one key, one after the other": Story(
        ["A created K3", "A rekeyed K2", "A entombed", "B created K2", "B sets Rating"],
        ["Support 1", "Support 2 5", "Tombstone 3", "Support 4"],
    ),
    "a deletion brings a new key along": Story(
        ["A created K2", "A rekeyed K3", "A deleted"], ["Sales 1", "Sales 3", "Sales 2"]
    ),
    "a deletion brings a new class along": Story(
        ["A created K2", "A partner", "A deleted"], ["Sales 1", "Sales 3", "Sales 2"]
    ),
    "a deleted record that was never here takes the place of another": Story(
        ["A created K1", "A deleted", "B created K1", "B deleted"], ["Sales 1", "Sales 4", "Sales 2", "Sales 3"]
    ),
    "an action that does not tell of a class has sent a field of it": Story(
        ["A created K1", "A sets Tier__c", "A partner", "A plain", "A partner"],
        ["Support 1", "Sales 2", "Support 3", "Sales 1", "Support 5", "Support 4"],
    ),
    "and the record has left the class before": Story(
        ["A created K1", "A partner", "A sets Tier__c", "A plain"],
        ["Support 1", "Sales 1", "Support 4", "Support 2", "Sales 3"],
    ),
    "a neighbour of a repeat of a record that is gone is told once": Story(
        ["A created K1", "A entombed", "B created K2"], ["Support 1", "Tombstone 2", "Support 1 3"]
    ),
}


@on(DATABASES, "delete", "mark")
def test_stories(player: Player) -> None:
    for name, story in STORIES.items():
        try:
            player.check(story)
        except AssertionError as error:
            error.add_note(name)
            raise
