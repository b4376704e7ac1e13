"""The one place where the parts are put together: OutboundMessages for your Flask app, create_app() without one."""

from __future__ import annotations

import importlib
import logging
import sys
import weakref
from collections.abc import Iterable
from datetime import timedelta
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from flask import Flask
from lxml import etree
from sqlalchemy import Engine

from omreceiver.admin import views
from omreceiver.config import INLINE, Settings, settings_from
from omreceiver.door import endpoint
from omreceiver.errors import ConfigurationError
from omreceiver.receive import Parts, receive
from omreceiver.records.build import build
from omreceiver.records.fields import names_of_fields
from omreceiver.records.layout import Model
from omreceiver.records.models import Models, mapped_classes
from omreceiver.records.record import Record
from omreceiver.records.tombstones import Tombstone, tombstones_in
from omreceiver.relays import delivery
from omreceiver.schema.catalog import Catalog
from omreceiver.signals import OF_RECORDS, message_received, notification_quarantined
from omreceiver.signals.durable import durable_receivers
from omreceiver.signals.listening import names_of
from omreceiver.store.apply import Receipt
from omreceiver.store.database import open_for, prepare
from omreceiver.store.fieldlists import FieldLists
from omreceiver.store.prefixes import KeyPrefixes

log = logging.getLogger(__name__)

#: what a receiver may be given: mapped classes, declarative bases, modules that hold them, tombstones
Records = Iterable[ModuleType | Model | Tombstone] | Model | None

EXTENSION = "omreceiver"


class OutboundMessages:
    """The Flask extension.

        OutboundMessages().init_app(app)

    `records` are the mapped classes to fill: a declarative base, classes, or modules that hold them; tombstones too.
    Without it, every class derived from `Record` so far. `engine` is an engine of yours; without it, one for
    DATABASE_URL. Settings come from `app.config` and then from the environment, once; later changes have no effect.
    """

    def __init__(self, records: Records = None, engine: Engine | None = None) -> None:
        self.records = records
        self.engine = engine

    def init_app(self, app: Flask, *, page: str | None = None) -> Parts:
        """Mount the door at OMRECEIVER_PATH, and the page at `page` if it is given.

        Raises ConfigurationError when the settings, the WSDL folder and the classes do not fit together.
        """
        if EXTENSION in app.extensions:
            raise ConfigurationError("OutboundMessages is on this app already; call init_app once for each app.")
        settings = settings_from(app.config)
        parts = assemble(settings, self.records, self.engine, settings.time_limit)
        app.extensions[EXTENSION] = parts
        if settings.relay == INLINE:
            delivery.get_ready()
        _warn_of_strangers(parts.models)

        def take(element: etree._Element, wsdl: str | None, raw: bool) -> Receipt:
            return receive(parts, element, wsdl, raw)

        door = endpoint.blueprint(parts.settings, parts.catalog, parts.models, take)
        app.register_blueprint(door)
        app.register_blueprint(views.health(parts))
        if page is not None:
            app.register_blueprint(views.pages(parts), url_prefix=page.rstrip("/") or None)
        return parts


def create_app(config: dict[str, Any] | None = None) -> Flask:
    """A Flask application that is nothing but a receiver, set by the environment and `config`.

    For gunicorn: `gunicorn 'omreceiver:create_app()'`.
    """
    app = Flask("omreceiver.admin", static_folder=None)
    app.config.update(config or {})
    OutboundMessages().init_app(app, page="/")
    return app


def assemble(
    settings: Settings,
    records: Records = None,
    engine: Engine | None = None,
    limit: timedelta | None = None,
) -> Parts:
    """The parts of a receiver, without Flask: what the command line works with. With a limit no statement on an engine
    of ours takes longer; commands may.
    """
    catalog = Catalog.read(settings.wsdl_dir)
    declared, tombstones = _declared(settings, records)
    taken = {model.__sobject__ for model in declared} | {tombstone.name for tombstone in tombstones}
    missing = [object_type for name, object_type in catalog.objects().items() if name not in taken]
    built = build(missing, settings.external_ids, settings.on_delete)
    models = Models([*declared, *built], catalog, tombstones)
    _check_actions(settings, catalog)
    ready = open_for(settings, limit) if engine is None else _prepare(engine, settings)
    parts = Parts(settings, catalog, models, ready, FieldLists(catalog, settings, ready), KeyPrefixes(ready))
    if engine is None:
        # an app that is forgotten, as tests forget theirs, leaves no connection to be found open; not at exit, when a
        # process that was forked would say goodbye on the connections of the one it came from
        weakref.finalize(parts, ready.dispose).atexit = False
    return parts


def _prepare(engine: Engine, settings: Settings) -> Engine:
    if settings.schema:
        raise ConfigurationError(
            "OMRECEIVER_SCHEMA is not for an engine of yours, on which nothing is set: give it the search_path "
            "yourself, or leave out engine=."
        )
    return prepare(engine)


def parts_of(app: Flask) -> Parts:
    """The receiver's parts on a Flask app. Raises ConfigurationError when there is no receiver on it."""
    try:
        parts: Parts = app.extensions[EXTENSION]
    except KeyError as error:
        raise ConfigurationError("There is no receiver on this app. Call OutboundMessages().init_app(app).") from error
    return parts


def _declared(settings: Settings, records: Records) -> tuple[list[Model], list[Tombstone]]:
    """The mapped classes, and the tombstones that are given or stand in a module beside a mapped class."""
    modules = [import_models(name) for name in settings.models]
    given = [Record] if records is None else [records] if isinstance(records, type) else list(records)
    tombstones = [each for each in given if isinstance(each, Tombstone)]
    sources = [*modules, *(each for each in given if not isinstance(each, Tombstone))]
    declared = [model for source in sources for model in mapped_classes(source)]
    beside = [each for each in sources if isinstance(each, ModuleType)]
    beside += [sys.modules[model.__module__] for model in declared if model.__module__ in sys.modules]
    return declared, list(dict.fromkeys([*tombstones, *tombstones_in(beside)]))


def import_models(name: str) -> ModuleType:
    """Import a module of OMRECEIVER_MODELS. Raises ConfigurationError that says where it broke."""
    try:
        return importlib.import_module(name)
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"OMRECEIVER_MODELS names {name}, which does not import: {type(error).__name__}: {error}. "
            "Run `python -c 'import " + name + "'` to see where."
        ) from error


def _warn_of_strangers(models: Models) -> None:
    """Of receivers that wait for a class, an sObject or a field by a name that none has. It may come later, or belong
    to another receiver.
    """
    classes = {name for layout in models for name in names_of(layout.model) if isinstance(name, str)}
    for heard in (*OF_RECORDS, durable_receivers):
        _warn_of(f"a {heard.name} receiver hears", heard.names_heard, classes, "mapped class")
        _warn_of(f"a {heard.name} receiver is about", heard.fields_heard, _fields(models), "field of a mapped class")
    for signal in (message_received, notification_quarantined):
        sobjects = {*models.sobjects, *models.tombstones}
        _warn_of(f"a {signal.name} receiver hears", signal.names_heard, sobjects, "sObject of a mapped class")


def _fields(models: Models) -> set[str]:
    """What the fields of mapped classes are called, in Salesforce and as attributes."""
    return {name for layout in models for each in names_of_fields(layout.mapper).values() for name in each}


def _warn_of(who: str, wanted: set[str], known: set[str], what: str) -> None:
    for name in sorted(wanted - known):
        near = get_close_matches(name, sorted(known), 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        log.warning("%s %r, and no %s has that name.%s", who, name, what, hint)


def _check_actions(settings: Settings, catalog: Catalog) -> None:
    for action, name in settings.actions.items():
        if catalog.fields_of(name) is None:
            raise ConfigurationError(
                f"OMRECEIVER_ACTIONS binds {action} to {name!r}, but {settings.wsdl_dir} has no WSDL and no "
                f"outbound message of that name. There are: {', '.join(sorted({*catalog.wsdls, *catalog.messages}))}"
            )
