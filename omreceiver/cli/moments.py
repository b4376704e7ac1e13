"""Moments as options: a time, a date, or how long ago it was."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from omreceiver.config import SPANS


def moment(_ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime | None:
    """The callback of an option. A time without a zone is in UTC, as are all times that the commands print."""
    if text is None:
        return None
    try:
        return _ago(text.strip()) or _at(text.strip())
    except (ValueError, OverflowError) as error:
        expected = "write 2026-11-20, 2026-11-20T12:00, or 2h for two hours ago"
        raise click.BadParameter(f"{text!r} is no time; {expected}.") from error


def _ago(text: str) -> datetime | None:
    found = re.fullmatch(r"(\d+)\s*([smhd])", text)
    return datetime.now(UTC) - timedelta(**{SPANS[found[2]]: int(found[1])}) if found else None


def _at(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
