"""Lays runs side by side: one page, and a table.

    bin/report runs/cifar10-resnet20-relu-seed0 --runs='runs/*rrelu*' \\
        --out=report.html

writes a page that needs no other file, with tables, accuracy against savings
and the runs' figures, and the tables as Markdown beside it (report.md). Runs
that differ in the seed alone are one recipe: mean and spread. Folders that
`bin/prune --model=FILE` wrote are reported, too. Exit codes: 0 done; 2 a
mistake in what was given.
"""

import glob
import pathlib

from absl import flags

from rrelu_tf import atomic
from rrelu_tf.commands import entry, quiet
from rrelu_tf.errors import UserError
from rrelu_tf.reporting import table


class _Flags(flags.FlagValues):
    """Flags among which run folders may stand without a name."""

    def __call__(self, argv, known_only=False):
        program, *folders = super().__call__(argv, known_only)
        self["run"].value = [*self["run"].value, *folders]
        return [program]


FLAGS = _Flags()

flags.DEFINE_multi_string(
    "run",
    [],
    "Run folder of bin/train, pruned or not, or a pruned model's of bin/prune; "
    "plain arguments are the same.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "runs",
    None,
    "Pattern of such folders, as runs/*; others that fit it are skipped.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "out", "report.html", "The page, an .html file.", flag_values=FLAGS
)


def main(argv=None):
    """Runs the command; returns its exit code."""
    return entry.run(FLAGS, _call, argv)


def _call(values):
    out, beside = _outputs(values.out)
    folders = _folders(values)
    quiet.import_tensorflow()
    from rrelu_tf.reporting import groups, page, pictures, runs

    results = runs.collect(folders)
    grouped = groups.group(results)
    tables = [
        table.of_recipes(grouped),
        table.of_tolerances(grouped),
        table.of_runs(results),
    ]
    tables = [one for one in tables if one is not None]
    overview = pictures.of_groups(grouped)
    figures = pictures.of_runs(results)
    paths = pictures.of_paths(results)
    if paths:
        figures["Active path lengths"] = paths
    text = page.render(results, tables, overview, figures)
    atomic.write_text(out, text)
    atomic.write_text(beside, table.markdown(tables))
    print(f"page: {out}\ntable: {beside}")


def _outputs(out):
    """Paths of the page and of the Markdown beside it, if both are free."""
    page = pathlib.Path(out)
    if page.suffix not in (".html", ".htm"):
        raise UserError(f"out must be an .html file. Received: out={out}")
    if (page.parent / "run.json").exists():
        raise UserError(
            "out must not lie in a run's folder, whose own report.md the table "
            f"would replace. Received: out={out}"
        )
    beside = page.with_suffix(".md")
    if beside.exists() and not _is_ours(beside):
        raise UserError(
            f"The table goes to {beside.name} beside the page, which is there "
            f"and which bin/report did not write. Received: out={out}"
        )
    return page, beside


def _is_ours(file):
    """Whether bin/report wrote a Markdown file: it begins as that does."""
    try:
        return file.read_bytes().startswith(table.START.encode())
    except OSError:
        return False


def _folders(values):
    """The run folders that the flags name, one at least."""
    folders = list(values.run)
    if values.runs is not None:
        found = sorted(glob.glob(values.runs))
        found = [folder for folder in found if pathlib.Path(folder).is_dir()]
        ours = [folder for folder in found if _is_reportable(folder)]
        for folder in found:
            if folder not in ours:
                print(f"skipped, neither a run nor a pruned model: {folder}")
        if not ours:
            raise UserError(
                "runs must be a pattern that some run's folder fits. "
                f"Received: runs={values.runs}"
            )
        folders += ours
    if not folders:
        raise UserError(
            "bin/report needs at least one run folder. Received: run=none"
        )
    return folders


def _is_reportable(folder):
    """Whether bin/train or bin/prune wrote a folder, whole or not."""
    names = ("run.json", "manifest.json")
    return any(pathlib.Path(folder, name).is_file() for name in names)
