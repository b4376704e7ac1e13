"""Catalog: everything that the WSDL folder says, read once at the start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from omreceiver.errors import ConfigurationError
from omreceiver.schema import describe, workflow, wsdl
from omreceiver.schema.objecttype import ObjectType
from omreceiver.schema.workflow import OutboundMessage

WSDL_ENDINGS = (".wsdl.xml", ".wsdl")
DESCRIBE_ENDING = ".describe.json"


@dataclass(frozen=True)
class Catalog:
    """WSDLs by stem, describes by sObject, outbound-message definitions by name and by Object.name."""

    wsdls: Mapping[str, ObjectType] = field(default_factory=dict)
    paths: Mapping[str, Path] = field(default_factory=dict)
    describes: Mapping[str, ObjectType] = field(default_factory=dict)
    messages: Mapping[str, OutboundMessage] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Catalog:
        """Read a folder; one that does not exist holds nothing.

        Raises SchemaError for a malformed file, ConfigurationError for two WSDLs of one name.
        """
        files = sorted(p for p in folder.iterdir() if p.is_file()) if folder.is_dir() else []
        paths: dict[str, Path] = {}
        for path in files:
            if stem := _stem(path, WSDL_ENDINGS):
                paths[stem] = _only(path, paths.get(stem))
        described = [describe.read(path) for path in files if path.name.endswith(DESCRIBE_ENDING)]
        definitions = [m for p in files if p.name.endswith(workflow.ENDINGS) for m in workflow.read(p)]
        return cls(
            wsdls={stem: wsdl.read(path) for stem, path in paths.items()},
            paths=paths,
            describes={d.name: d for d in described},
            messages=_by_name(definitions),
        )

    def objects(self) -> dict[str, ObjectType]:
        """Each sObject once: the fields of all its WSDLs, with what its describe knows of them."""
        found: dict[str, ObjectType] = {}
        for object_type in self.wsdls.values():
            known = found.get(object_type.name)
            found[object_type.name] = known.joined(object_type) if known else object_type
        return {name: found[name].described(self.describes.get(name)) for name in found}

    def known_fields(self, sobject: str) -> frozenset[str]:
        """Every field that a WSDL, a describe or an outbound-message definition names; none for an unknown sObject."""
        listed = [known.fields for known in self.wsdls.values() if known.name == sobject]
        defined = [message.fields for message in self.messages.values() if message.sobject == sobject]
        described = self.describes[sobject].fields if sobject in self.describes else ()
        return frozenset().union(*listed, *defined, described)

    def key_prefixes(self) -> set[tuple[str, str]]:
        """(prefix, sObject) of every describe that has one."""
        return {(known.key_prefix, name) for name, known in self.describes.items() if known.key_prefix}

    def fields_of(self, name: str) -> frozenset[str] | None:
        """The field list of a WSDL's stem or of an outbound message's name; None when there is no such."""
        if name in self.wsdls:
            return frozenset(self.wsdls[name].fields)
        return self.messages[name].fields if name in self.messages else None

    def sobject_of(self, name: str | None) -> str | None:
        """The sObject of a WSDL's stem or of an outbound message's name; None when there is no such."""
        known = self.wsdls.get(name or "")
        definition = self.messages.get(name or "")
        return known.name if known else definition.sobject if definition else None

    def only_wsdl(self, sobject: str) -> str | None:
        """The stem of the WSDL for an sObject, if there is exactly one."""
        stems = [stem for stem, object_type in self.wsdls.items() if object_type.name == sobject]
        return stems[0] if len(stems) == 1 else None


def _only(path: Path, other: Path | None) -> Path:
    """A WSDL's stem is a part of its URL, so it is for one file."""
    if other is not None:
        raise ConfigurationError(f"{other} and {path} would have one URL. Rename one of them.")
    return path


def _by_name(definitions: list[OutboundMessage]) -> dict[str, OutboundMessage]:
    """Under Object.name, and under the name alone where only one object has it."""
    names = Counter(definition.name for definition in definitions)
    plain = {definition.name: definition for definition in definitions if names[definition.name] == 1}
    return {f"{definition.sobject}.{definition.name}": definition for definition in definitions} | plain


def _stem(path: Path, endings: tuple[str, ...]) -> str | None:
    return next((path.name.removesuffix(e) for e in endings if path.name.endswith(e)), None)
