"""The pictures of docs/performance.md: SVG in colours that can be read on a light page and on a dark one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "pictures"
#: of about the same contrast to white and to near-black
GREY = "#7a7f87"
COLOURS = ("#2f81d7", "#d9772b", "#3a9d5d", "#a371c7")
STYLE: Any = {
    "svg.hashsalt": "omreceiver",
    "font.size": 10,
    "text.color": GREY,
    "axes.labelcolor": GREY,
    "axes.edgecolor": GREY,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "legend.frameon": False,
    "grid.color": GREY,
    "grid.alpha": 0.25,
}


@contextmanager
def picture(name: str, width: float, height: float, **panels: Any) -> Iterator[tuple[Any, Any]]:
    """A figure and its axes, saved in the end without the moment, so that two can be compared."""
    with mpl.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(width, height), layout="constrained", **panels)
        yield figure, axes
        FOLDER.mkdir(parents=True, exist_ok=True)
        figure.savefig(FOLDER / f"{name}.svg", transparent=True, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)


def beside_the_floor(rows: list[dict[str, Any]]) -> None:
    """Bars for each database and size of message, one a case; the floor is a line."""
    places = list(dict.fromkeys((row["database"], row["size"]) for row in rows))
    cases = list(dict.fromkeys(row["case"] for row in rows))
    width = 0.8 / len(cases)
    with picture("floor", 9, 3.6) as (_, axes):
        for number, case in enumerate(cases):
            ratios = {(row["database"], row["size"]): row["ratio"] for row in rows if row["case"] == case}
            at = [each + (number - (len(cases) - 1) / 2) * width for each in range(len(places))]
            bars = axes.bar(at, [ratios[place] for place in places], width * 0.9, color=COLOURS[number], label=case)
            axes.bar_label(bars, fmt="%.2f", fontsize=7, color=GREY)
        axes.axhline(1, color=GREY, linewidth=1, linestyle="--")
        axes.set_xticks(range(len(places)), [f"{database}\n{size} a message" for database, size in places])
        axes.set_ylabel("notifications a second,\nthe floor = 1")
        axes.legend(ncols=2, fontsize=8, loc="upper left", bbox_to_anchor=(0, 1.22))


def cost(lines: dict[str, list[dict[str, Any]]]) -> None:
    """A panel for each axis: what was measured, and the line through it."""
    with picture("cost", 9, 5, nrows=2, ncols=2) as (_, axes):
        for number, panel in enumerate(axes.flat):
            for colour, (name, label) in enumerate((("seconds", "time"), ("busy", "of it the worker's own"))):
                line = lines[name][number]
                points = line["points"]
                panel.plot(points, line["costs"], "o", clip_on=False, color=COLOURS[colour], label=label)
                ends = [points[0], points[-1]]
                panel.plot(
                    ends, [line["fixed"] + line["each"] * end for end in ends], color=COLOURS[colour], linewidth=1
                )
            panel.set_xlabel({"tables": "class tables"}.get(line["axis"], line["axis"]))
            panel.set_ylim(bottom=0)
            panel.grid(axis="y")
        axes[0][0].legend(fontsize=8)
        for panel in axes[:, 0]:
            panel.set_ylabel("the cheapest message = 1")


def growth(rows: list[dict[str, Any]]) -> None:
    """A line for each kind of message, over the size of the tables."""
    with picture("growth", 7, 3) as (_, axes):
        for colour, row in zip(COLOURS, rows, strict=False):
            sizes = sorted(map(int, row["ratios"]))
            axes.plot(sizes, [row["ratios"][str(size)] for size in sizes], "o-", color=colour, label=row["message"])
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False)
        axes.minorticks_off()
        axes.set_ylim(0, 1.6)
        axes.axhline(1, color=GREY, linewidth=1, linestyle="--")
        axes.set_xlabel("records in the class tables; the ledger has twice as many lines")
        axes.set_ylabel("time, the smallest = 1")
        axes.legend(ncols=2, fontsize=8, loc="lower right")


def memory(rows: list[dict[str, float]]) -> None:
    with picture("memory", 7, 2.6) as (_, axes):
        axes.plot(
            [row["notifications"] for row in rows], [row["MiB"] for row in rows], "o-", color=COLOURS[0], clip_on=False
        )
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel("notifications received")
        axes.set_ylabel("worker, MiB")
        axes.grid(axis="y")
