"""The page: tables and figures in one HTML file that needs no other."""

import base64
import re
from html import escape

from rrelu_tf.reporting.style import CSS

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{css}</style>
</head>
<body>
<header>
<h1>{title}</h1>
{summary}
<nav aria-label="Sections">{links}</nav>
</header>
<main>
{sections}
</main>
</body>
</html>
"""


def render(results, tables, overview, figures):
    """The whole page.

    Everything that comes from a run is escaped; the figures are data URIs, and
    there is no script. A content security policy forbids the rest.

    Args:
        results: list of `Result`.
        tables: list of `Table`.
        overview: list of `Picture` over all runs.
        figures: dict, kind -> list of `Picture`, one for each run that has it.

    Returns:
        HTML text.
    """
    sections = [(table.title, _table(table)) for table in tables]
    if overview:
        title = "Accuracy against savings"
        sections.insert(1, (title, _pictures(title, overview)))
    sections += [
        (kind, _pictures(kind, pictures)) for kind, pictures in figures.items()
    ]
    sections.append(("Details", _details(results)))
    data = list(dict.fromkeys(result.data for result in results))
    count = f"{len(results)} run" + "s" * (len(results) > 1)
    return _PAGE.format(
        title="Training and pruning report",
        css=CSS,
        summary=f"<p>{count}, on</p>\n<ul>{_items(data)}</ul>",
        links=" ".join(
            f'<a href="#{_anchor(title)}">{escape(title)}</a>'
            for title, _ in sections
        ),
        sections="\n".join(
            f'<section id="{_anchor(title)}">\n<h2>{escape(title)}</h2>\n'
            f"{content}\n</section>"
            for title, content in sections
        ),
    )


def _items(lines):
    return "".join(f"<li>{escape(line)}</li>" for line in lines)


def _anchor(title):
    return re.sub(r"[^a-z0-9]+", "-", title.lower())


def _table(table):
    head = "".join(
        f'<th scope="col"{_class(place, table)}>{escape(name)}</th>'
        for place, name in enumerate(table.columns)
    )
    rows = "\n".join(f"<tr>{_cells(row, table)}</tr>" for row in table.rows)
    # A region that scrolls must be reachable from the keyboard.
    return (
        f'<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(table.title)}">\n<table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n"
        f"</table>\n</div>\n<p>{escape(table.note)}</p>"
    )


def _cells(row, table):
    first, *others = row
    cells = [f'<th scope="row">{escape(first)}</th>']
    for place, text in enumerate(others, 1):
        cells.append(f"<td{_class(place, table)}>{_value(text)}</td>")
    return "".join(cells)


def _class(place, table):
    if place >= table.words:
        return ' class="number"'
    return ' class="flags"' if table.columns[place] == "flags" else ""


def _value(text):
    """A cell; `before => after (change)` has its change in a second line."""
    match = re.fullmatch(r"(.+ => .+) (\(.+\))", text)
    if match is None:
        return escape(text)
    change, share = map(escape, match.groups())
    return f"{change.replace('=&gt;', '&rarr;')} <small>{share}</small>"


def _pictures(kind, pictures):
    figures = "\n".join(
        f'<figure><img alt="{escape(f"{kind}: {picture.caption}")}" '
        f'src="data:image/png;base64,{_base64(picture.png)}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
        for picture in pictures
    )
    return f'<div class="figures">\n{figures}\n</div>'


def _base64(content):
    return base64.b64encode(content).decode("ascii")


def _details(results):
    return "\n".join(
        f"<details><summary>{escape(result.label)}</summary>\n<dl>"
        + "".join(
            f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>"
            for name, value in _facts(result).items()
        )
        + "</dl></details>"
        for result in results
    )


def _facts(result):
    """Name -> value: data, machine, flags, and what bin/prune noted."""
    facts = {"data": result.data, **(_of_run(result) if result.is_run else {})}
    if result.recipe["start"]:
        facts = {"started from": result.recipe["arch"], **facts}
    notes = result.pruned.notes if result.pruned else {}
    return facts | {
        name.replace("_", " "): note
        for name, note in notes.items()
        if name not in facts and name != "run"
    }


def _of_run(result):
    recipe = dict(result.recipe)
    if recipe["start"]:
        del recipe["arch"]
    flags = " ".join(f"--{k}={v}" for k, v in recipe.items())
    machine = ", ".join(
        [
            str(result.machine.get("system")),
            f"{result.machine.get('cpus')} CPUs",
            *map(str, result.machine.get("gpus") or []),
        ]
    )
    return {"machine": machine, "flags": flags}
