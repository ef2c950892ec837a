"""BUILD agrees with the files there are and with what they import."""

import ast
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Module -> distribution, where they differ.
DISTRIBUTIONS = {
    "absl": "absl_py",
    "google": "protobuf",
    "sklearn": "scikit_learn",
}


def targets():
    """name -> the keyword arguments of each rule in BUILD."""
    tree = ast.parse((ROOT / "BUILD").read_text())
    rules = {}
    for statement in tree.body:
        call = statement.value
        if not isinstance(call, ast.Call):  # the file's docstring
            continue
        arguments = {
            keyword.arg: _value(keyword.value) for keyword in call.keywords
        }
        if "name" in arguments:
            name, kind = arguments["name"], call.func.id
            assert name not in rules, f"two rules are called {name}"
            rules[name] = {"kind": kind, **arguments}
    return rules


def _value(node):
    """Strings and lists as they are; glob([...]) as the files it matches."""
    if isinstance(node, ast.Call) and node.func.id == "glob":
        patterns = ast.literal_eval(node.args[0])
        return sorted(
            str(path.relative_to(ROOT))
            for pattern in patterns
            for path in ROOT.glob(pattern)
        )
    return ast.literal_eval(node)


def owners(rules):
    """File -> name of the library that has it."""
    return {
        file: name
        for name, rule in rules.items()
        if rule["kind"] == "py_library"
        for file in rule.get("srcs", [])
    }


def imports(file):
    """Every module that a file names in an import, also inside functions."""
    tree = ast.parse((ROOT / file).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{a.name}" for a in node.names)


def dependencies(files, owner_of):
    """The labels that files need: libraries here and packages from outside."""
    labels = set()
    for file in files:
        for module in imports(file):
            top = module.split(".")[0]
            if top == "rrelu_tf":
                labels |= {f":{owner_of[_file(module)]}", ":package"}
            elif top not in sys.stdlib_module_names:
                labels.add(f"@pypi//{DISTRIBUTIONS.get(top, top)}")
    return labels


def _file(module):
    """The file that an imported rrelu_tf name comes from."""
    parts = module.split(".")
    while parts:
        for candidate in (
            pathlib.Path(*parts).with_suffix(".py"),
            pathlib.Path(*parts, "__init__.py"),
        ):
            if (ROOT / candidate).exists():
                return str(candidate)
        parts.pop()
    raise AssertionError(f"{module} has no file")


def libraries():
    rules = targets()
    return [
        name
        for name, rule in rules.items()
        if rule["kind"] == "py_library" and name != "rrelu_tf"
    ]


def test_every_file_belongs_to_one_library():
    rules = targets()
    listed = [file for name in libraries() for file in rules[name]["srcs"]]
    there = [str(p.relative_to(ROOT)) for p in ROOT.glob("rrelu_tf/**/*.py")]
    assert sorted(listed) == sorted(there)


@pytest.mark.parametrize("name", libraries())
def test_declared_dependencies_are_the_imports(name):
    rules = targets()
    found = dependencies(rules[name]["srcs"], owners(rules)) - {f":{name}"}
    assert sorted(rules[name].get("deps", [])) == sorted(found)


def test_the_whole_package_is_all_of_its_libraries():
    whole = targets()["rrelu_tf"]["deps"]
    assert sorted(whole) == sorted(f":{name}" for name in libraries())


def test_libraries_depend_on_each_other_without_a_circle():
    rules = targets()
    waiting = {
        name: {
            label[1:]
            for label in rules[name].get("deps", [])
            if label.startswith(":")
        }
        for name in libraries()
    }
    while waiting:
        free = {name for name, deps in waiting.items() if not deps}
        assert free, f"a circle among {sorted(waiting)}"
        waiting = {
            name: deps - free
            for name, deps in waiting.items()
            if name not in free
        }


def test_every_command_has_a_binary_and_a_console_script():
    setup = (ROOT / "setup.py").read_text()
    commands = {
        path.name
        for path in (ROOT / "bin").iterdir()
        if path.is_file() and not path.suffix
    }
    binaries = {
        name: rule
        for name, rule in targets().items()
        if rule["kind"] == "py_binary"
    }
    assert set(binaries) == {f"rrelu-{command}" for command in commands}
    for command in commands:
        rule = binaries[f"rrelu-{command}"]
        assert rule["main"] == f"rrelu_tf/commands/{command}.py"
        assert rule["main"] in rule["srcs"]
        assert f'"{command}"' in setup
