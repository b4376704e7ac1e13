"""The one place where the parts are put together: OutboundMessages for your Flask app, create_app() without one."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from flask import Flask
from lxml import etree
from sqlalchemy import Engine

from omreceiver.admin import views
from omreceiver.config import Settings, settings_from
from omreceiver.door import endpoint
from omreceiver.errors import ConfigurationError
from omreceiver.receive import Parts, receive
from omreceiver.records.build import build
from omreceiver.records.layout import Model
from omreceiver.records.models import Models, mapped_classes
from omreceiver.records.record import Record
from omreceiver.schema.catalog import Catalog
from omreceiver.store.apply import Receipt
from omreceiver.store.database import open_engine, prepare
from omreceiver.store.fieldlists import FieldLists
from omreceiver.store.prefixes import KeyPrefixes

log = logging.getLogger(__name__)

EXTENSION = "omreceiver"


class OutboundMessages:
    """The Flask extension.

        OutboundMessages().init_app(app)

    `records` are the mapped classes to fill: a declarative base, classes, or modules that hold them. Without it,
    every class derived from `Record` so far. `engine` is an engine of yours; without it, one for DATABASE_URL.
    Settings come from `app.config` and then from the environment, once; later changes have no effect.
    """

    def __init__(
        self, records: Iterable[ModuleType | Model] | Model | None = None, engine: Engine | None = None
    ) -> None:
        self.records = records
        self.engine = engine

    def init_app(self, app: Flask, *, page: str | None = None) -> Parts:
        """Mount the door at OMRECEIVER_PATH, and the page at `page` if it is given.

        Raises ConfigurationError when the settings, the WSDL folder and the classes do not fit together.
        """
        if EXTENSION in app.extensions:
            raise ConfigurationError("OutboundMessages is on this app already; call init_app once for each app.")
        parts = assemble(settings_from(app.config), self.records, self.engine)
        app.extensions[EXTENSION] = parts

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
    records: Iterable[ModuleType | Model] | Model | None = None,
    engine: Engine | None = None,
) -> Parts:
    """The parts of a receiver, without Flask: what the command line works with."""
    catalog = Catalog.read(settings.wsdl_dir)
    declared = _declared(settings, records)
    taken = {model.__sobject__ for model in declared}
    missing = [object_type for name, object_type in catalog.objects().items() if name not in taken]
    models = Models([*declared, *build(missing, settings.external_ids)], catalog)
    _check_actions(settings, catalog)
    ready = open_engine(settings.database_url) if engine is None else prepare(engine)
    return Parts(settings, catalog, models, ready, FieldLists(catalog, settings, ready), KeyPrefixes(ready))


def parts_of(app: Flask) -> Parts:
    """The receiver's parts on a Flask app. Raises ConfigurationError when there is no receiver on it."""
    try:
        parts: Parts = app.extensions[EXTENSION]
    except KeyError as error:
        raise ConfigurationError("There is no receiver on this app. Call OutboundMessages().init_app(app).") from error
    return parts


def _declared(settings: Settings, records: Iterable[ModuleType | Model] | Model | None) -> list[Model]:
    modules = [import_models(name) for name in settings.models]
    given = [Record] if records is None else [records] if isinstance(records, type) else list(records)
    return [model for source in (*modules, *given) for model in mapped_classes(source)]


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


def _check_actions(settings: Settings, catalog: Catalog) -> None:
    for action, name in settings.actions.items():
        if catalog.fields_of(name) is None:
            raise ConfigurationError(
                f"OMRECEIVER_ACTIONS binds {action} to {name!r}, but {settings.wsdl_dir} has no WSDL and no "
                f"outbound message of that name. There are: {', '.join(sorted({*catalog.wsdls, *catalog.messages}))}"
            )
