"""Writes docs/performance.md and its pictures out of the figures that the parts have kept.

python -m tests.benchmarks.report
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.benchmarks import figures, pictures, prose
from tests.benchmarks.beside import CHANGED, REDELIVERED, UNCHANGED, WITH_RECEIVER
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "performance.md"
AXES = {
    "notifications": "notifications",
    "fields": "fields",
    "tables": "class tables",
    "receivers": "receivers that read `changed`",
}


def table(headings: Iterable[str], rows: Iterable[Iterable[object]], numbers: str = "--:") -> str:
    head = list(headings)
    lines = [head, ["---"] + [numbers] * (len(head) - 1), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def beside(found: list[dict[str, Any]]) -> Iterator[str]:
    pictures.beside_the_floor(found)
    yield prose.FLOOR
    cases = (CHANGED, WITH_RECEIVER, REDELIVERED, UNCHANGED)
    ratios = {(row["database"], row["size"], row["case"]): row["ratio"] for row in found}
    places = dict.fromkeys((database, size) for database, size, _ in ratios)
    yield table(
        ("database, notifications a message", *cases),
        ([f"{place[0]}, {place[1]}", *(f"{ratios[*place, case]:.2f}" for case in cases)] for place in places),
    )


def against(found: list[dict[str, Any]]) -> Iterator[str]:
    ratios = {(row["program"], row["size"]): f"{row['ratio']:.2f}" for row in found}
    programs = dict.fromkeys(program for program, _ in ratios)
    yield prose.AGAINST
    yield table(("program", "1 a message", "100 a message"), ([p, ratios[p, 1], ratios[p, 100]] for p in programs))


def stages(found: list[dict[str, Any]]) -> Iterator[str]:
    yield prose.STAGES
    seconds = {(row["stage"], row["database"], row["size"]): row["seconds"] for row in found}
    rows = []
    for stage, database, size in seconds:
        if stage == "whole":
            whole = seconds[stage, database, size]
            parts = [seconds["read", None, size], seconds["plan", None, size], seconds["store", database, size]]
            rows.append([f"{database}, {size}", *(f"{part / whole:.0%}" for part in parts)])
    yield table(("database, notifications a message", "read", "plan", "store"), rows)


def cost(found: dict[str, Any]) -> Iterator[str]:
    pictures.cost(found["lines"])
    held = found["reference"]
    reference = ", ".join(f"{held[axis]} {AXES[axis].split(' that')[0]}" for axis in AXES)
    yield prose.COST.format(database=found["database"], reference=reference)
    headings = ("along", "at", "cost", "fixed + each", "fit R²", "statements")
    yield table(headings, (_line(line) for line in found["lines"]["seconds"]))
    yield prose.CELLS.format(tables=held["tables"])
    yield _grid(found["cells"], held)


def _line(line: dict[str, Any]) -> list[str]:
    costs = ", ".join(f"{each:.1f}" for each in line["costs"])
    fitted = f"{line['fixed']:.2f} + {line['each']:.3f}"
    at, statements = listed(line["points"]), listed(line["statements"])
    return [AXES[line["axis"]], at, costs, fitted, f"{line['fit']:.2f}", statements]


def listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _grid(cells: list[dict[str, Any]], held: dict[str, int]) -> str:
    unit = min(cell["seconds"] for cell in cells)
    kept = [cell for cell in cells if (cell["tables"], cell["receivers"]) == (held["tables"], held["receivers"])]
    costs = {(cell["fields"], cell["notifications"]): cell["seconds"] / unit for cell in kept}
    sizes = sorted({size for _, size in costs})
    widths = sorted({fields for fields, _ in costs})
    rows = ([f"{fields} fields", *(f"{costs[fields, size]:.1f}" for size in sizes)] for fields in widths)
    return table(("", *(f"{size} a message" for size in sizes)), rows)


def growth(found: dict[str, Any]) -> Iterator[str]:
    pictures.growth(found["times"])
    yield prose.GROWTH.format(ledger=f"{max(found['ledger']):,}")
    sizes = [str(size) for size in found["records"]]
    yield table(
        ("message of", *(f"{int(size):,} records" for size in sizes)),
        ([row["message"], *(f"{row['ratios'][size]:.2f}" for size in sizes)] for row in found["times"]),
    )
    yield prose.PLANS
    yield table(("statement", "indexes", "tables read whole"), (_plan(plan) for plan in found["plans"]), "---")
    pruning = found["pruning"]
    yield prose.PRUNING.format(windows=pruning["windows"], ratio=pruning["beside"] / pruning["alone"])


def _plan(plan: dict[str, Any]) -> list[str]:
    return [f"`{plan['statement']}`", listed(plan["indexes"]) or "none needed", listed(plan["whole"]) or "none"]


def memory(found: dict[str, Any]) -> Iterator[str]:
    pictures.memory(found["long"])
    first, last = found["long"][0], found["long"][-1]
    counts = {"first": first["notifications"], "last": last["notifications"], "more": round(last["MiB"] - first["MiB"])}
    yield prose.MEMORY.format(database=found["database"], **counts)
    sizes = ("body", "before", "peak", "row")
    rows = ([big["database"], *(f"{big[size]:.0f}" for size in sizes)] for big in found["big"])
    yield table(("database", "body", "before", "peak", "peak of ten in a row"), rows)


def startup(found: dict[str, Any]) -> Iterator[str]:
    yield prose.STARTUP
    rows = ([name, f"{times['shortest']:.2f}", f"{times['median']:.2f}"] for name, times in found.items())
    yield table(("", "shortest", "median"), rows)


SECTIONS: dict[str, Callable[[Any], Iterator[str]]] = {
    "beside": beside,
    "against": against,
    "stages": stages,
    "cost": cost,
    "growth": growth,
    "memory": memory,
    "startup": startup,
}


def main() -> None:
    kept = {part: figures.load(part) for part in SECTIONS}
    there = {part: each for part, each in kept.items() if each is not None}
    texts = [text for part, each in there.items() for text in SECTIONS[part](each["figures"])]
    PAGE.write_text("\n".join([prose.TOP, *texts, *machines(there), prose.REPEAT]))
    print(f"{PAGE.relative_to(ROOT)} is written; without figures: {listed(SECTIONS.keys() - there.keys()) or 'none'}")


def machines(there: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What was measured on which, the parts of one machine and day together."""
    yield "## The machine\n"
    seen: dict[str, list[str]] = {}
    for part, each in there.items():
        told = ", ".join(f"{name} {value}" for name, value in each["machine"].items())
        seen.setdefault(f"{each['measured_on']}: {told}", []).append(part)
    yield "".join(f"- {listed(parts)}: {told}\n" for told, parts in seen.items())


if __name__ == "__main__":
    main()
