"""The page is well-formed, needs nothing from outside, and is safe."""

import base64
import html.parser
import re

from rrelu_tf.reporting import page, table
from rrelu_tf.reporting.groups import group
from rrelu_tf.reporting.pictures import Picture

EVIL = "<script>alert(1)</script>\"'><img src=http://x/y onerror=z>&amp;"
# Elements that have no end tag.
VOID = {"meta", "img", "br", "link", "input"}


class Reader(html.parser.HTMLParser):
    """Checks that elements nest; keeps start tags, and text by element."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append((self.open[-1] if self.open else None, text))


def rendered(results, figures=()):
    groups = group(results)
    tables = [table.of_recipes(groups), table.of_runs(results)]
    overview = [Picture("savings", b"\x89PNG overview")]
    return page.render(results, tables, overview, dict(figures))


def test_rows_and_figures_are_there(result):
    runs = [result(flops=250), result(flops=300, seed=1), result(seed=2)]
    figures = {"Slopes": [Picture("rrelu-0", b"\x89PNG slopes")]}
    read = Reader(rendered(runs, figures))
    headings = [text for tag, text in read.texts if tag == "th"]
    assert {"rrelu-0", "rrelu-1", "rrelu-2"} <= set(headings)
    assert ("small", "(-75.00 %)") in read.texts
    images = [given for tag, given in read.tags if tag == "img"]
    contents = [base64.b64decode(i["src"].split(",")[1]) for i in images]
    assert contents == [b"\x89PNG overview", b"\x89PNG slopes"]
    assert images[1]["alt"] == "Slopes: rrelu-0"


def test_links_lead_to_sections_of_the_page(result):
    read = Reader(rendered([result(flops=250)]))
    links = [given["href"] for tag, given in read.tags if tag == "a"]
    anchors = [f"#{given['id']}" for tag, given in read.tags if "id" in given]
    assert links == anchors
    assert links[:3] == ["#recipes", "#accuracy-against-savings", "#runs"]


def test_nothing_comes_from_outside(result):
    text = rendered([result(flops=250)], {"Slopes": [Picture("a", b"1")]})
    read = Reader(text)
    for tag, given in read.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed")
        assert given.get("href", "#").startswith("#")
        if "src" in given:
            assert given["src"].startswith("data:image/png;base64,")
    assert not re.search(r"https?:|url\(|@import", text)
    metas = [given for tag, given in read.tags if tag == "meta"]
    (policy,) = [m["content"] for m in metas if "http-equiv" in m]
    assert policy.startswith("default-src 'none';")
    assert any(meta.get("name") == "viewport" for meta in metas)


def test_what_a_run_says_is_never_markup(result):
    notes = {"title": EVIL, EVIL: 1}
    run = result(label=EVIL, data=EVIL, flops=250, notes=notes)
    run.recipe["dataset"] = EVIL
    plain = Reader(rendered([result(flops=250, notes={"title": "", "x": 1})]))
    read = Reader(rendered([run]))
    assert [tag for tag, _ in read.tags] == [tag for tag, _ in plain.tags]
    attributes = [set(given) for _, given in read.tags]
    assert attributes == [set(given) for _, given in plain.tags]
    for element in ("summary", "li", "dt", "dd", "th"):
        assert (element, EVIL) in read.texts
