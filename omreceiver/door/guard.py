"""Who and what may enter. Checks in, nothing or a Refusal out; no framework, no database, no XML tree."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass, field

from omreceiver.config import Settings
from omreceiver.errors import BodyTooLarge, NotAdmitted, WrongContentType
from omreceiver.schema.notification import Message

CONTENT_TYPES = ("", "text/xml", "application/xml")
CHARSETS = ("", "utf-8", "utf8")
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-Ip")


@dataclass(frozen=True)
class Visit:
    """What is known of a request before its body is parsed."""

    remote_address: str
    content_length: int
    content_type: str = ""
    charset: str = ""
    token: str = field(default="", repr=False)
    forwarded: bool = False

    @property
    def is_local(self) -> bool:
        """From this machine, and not on behalf of somebody else."""
        if self.forwarded or not self.remote_address:
            return False
        try:
            return ipaddress.ip_address(self.remote_address).is_loopback
        except ValueError:
            return False


def admit(visit: Visit, settings: Settings) -> None:
    """Before parsing: the sender's token, the size, the type. Raises NotAdmitted, BodyTooLarge, WrongContentType."""
    know(visit, settings)
    if visit.content_length > settings.max_body:
        raise BodyTooLarge(f"The body has {visit.content_length} bytes, OMRECEIVER_MAX_BODY is {settings.max_body}.")
    if visit.content_type.lower() not in CONTENT_TYPES or visit.charset.lower() not in CHARSETS:
        raise WrongContentType(f"Content-Type is {visit.content_type!r}; send text/xml in UTF-8.")


def know(visit: Visit, settings: Settings) -> None:
    """Whether the sender may speak at all; for ?wsdl too. Raises NotAdmitted."""
    if not settings.organizations and not visit.is_local:
        reason = "OMRECEIVER_ORGANIZATIONS is empty, so only this machine is let in"
        raise NotAdmitted("organizations", reason)
    if settings.tokens and not _any_equal(visit.token, settings.tokens):
        raise NotAdmitted("token", "?token= is missing or not among OMRECEIVER_TOKENS", status=401)


def vet(message: Message, settings: Settings) -> None:
    """After parsing: the organization, on its first 15 characters, and the action. Raises NotAdmitted.

    Salesforce: "validate OrganizationId" — its IP ranges do not tell one customer from another.
    """
    known = tuple(organization[:15] for organization in settings.organizations)
    if known and not _any_equal(message.organization_id[:15], known):
        raise NotAdmitted("organizations", f"{message.organization_id} is not among OMRECEIVER_ORGANIZATIONS")
    actions = tuple(action[:15] for action in settings.actions)
    if settings.actions_only and not _any_equal(message.action_id[:15], actions):
        raise NotAdmitted("actions", f"{message.action_id} is not among OMRECEIVER_ACTIONS")


def _any_equal(given: str, known: tuple[str, ...]) -> bool:
    """Compared in constant time, each with each, so that nothing is learned from how long it takes."""
    results = [hmac.compare_digest(given.encode(), one.encode()) for one in known]
    return any(results)
