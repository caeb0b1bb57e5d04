"""A table of scores: a row for each metric, a column for each run, and what they depend on once below."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dominate import tags

from util.metrics.names import OF_CLASSES, cost
from util.metrics.score import Score


class Cell(NamedTuple):
    """A score in a table."""

    score: Score
    note: str = ""  # when it was measured


Rows = Mapping[str, Mapping[str, Cell]]  # metric -> column -> what stands there


def score_table(columns: Sequence[str], groups: Mapping[str, Rows]) -> Any:
    """Return the table with its notes.

    Args:
        columns: in their order.
        groups: rows by what they have in common, which stands above them; "": nothing.
    """
    body = tags.table(tags.tr(tags.th("metric", scope="col"), (tags.th(text, scope="col") for text in columns)))
    body["class"] = "numbers scores"
    settings = list(dict.fromkeys(cell.score.settings for rows in groups.values() for cell in _cells(rows)))
    for heading, rows in groups.items():
        if heading:
            body.add(tags.tr(tags.th(heading, colspan=1 + len(columns), scope="rowgroup")))
        for name, cells in rows.items():
            row = body.add(tags.tr(tags.th(name, scope="row")))
            best = _best(list(cells.values()))
            for column in columns:
                row.add(_cell(cells.get(column), best, settings))
    notes = tags.div(cls="muted small")
    for i, text in enumerate(settings, start=1):
        notes.add(tags.p(tags.sup(i) if len(settings) > 1 else "", f" {text}"))
    return tags.div(tags.div(body, cls="scroll whole", tabindex="0"), notes)


def _cells(rows: Rows) -> list[Cell]:
    return [cell for cells in rows.values() for cell in cells.values()]


def _best(cells: list[Cell]) -> float | None:
    """Return the value that is best of several, None where they do not compare."""
    first = cells[0].score
    if len(cells) < 2 or any(c.score.settings != first.settings for c in cells) or first.metric == OF_CLASSES[1]:
        return None
    values = {c.score.value for c in cells}
    return min(values, key=lambda value: cost(first.metric, value)) if len(values) > 1 else None


def _cell(cell: Cell | None, best: float | None, settings: Sequence[str]) -> Any:
    if cell is None:
        return tags.td("–", cls="muted")  # noqa: RUF001
    mark = tags.sup(settings.index(cell.score.settings) + 1) if len(settings) > 1 else ""
    value = tags.b(cell.score.text) if cell.score.value == best else tags.span(cell.score.text)
    return tags.td(value, mark, tags.small(cell.note, cls="muted") if cell.note else "")
