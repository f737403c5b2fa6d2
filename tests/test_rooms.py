"""The house: rooms import only from those below, chapters stay apart, and everything stays within its budget."""

import ast
import subprocess
import sys

from kept import ROOT

PACKAGE = ROOT / "srlab"
#: The rooms of the library, from the ground up: each imports from those before it. Chapters may import all of them.
ROOMS = (
    *("errors", "files", "attention", "models", "data", "weights", "measure", "training", "stats", "study"),
    *("analysis", "plots", "report", "widgets", "upscale", "commands", "cli"),
)
#: Imports upwards: a chapter is where a study's tables become figures.
JOINTS = {("study.chapter", "plots"), ("study.chapter", "chapters")}
#: Lines, docstrings included. A later budget needs a reason here. The library began with 13,000, the chapters with
#: 6,000, the tests with 12,000. Since then: rules that hash the code that judges, kept memory, what people's files do
#: (library), and the chapters context, ceiling and frozen with their tests. Then CATANet, ATD and PFT with their
#: arms on the trunk, and the study as one page (library and tests). Then views of these three, their family's table,
#: and ATD on the trunk; recall of unfinished studies on the page, a preview of links and the hero's drawing (library
#: and tests). Then intervals on the page's charts (tests), faster paths of PFT and ATD (library), and the ablation of
#: released networks (chapters and tests). Then finished features on the page (library).
BUDGETS = {"library": 15_770, "chapters": 8_420, "tests": 14_320}
#: The longest file that needs no reason.
LONG = 350
REASONS: dict[str, str] = {}
#: Methods of matplotlib's axes that draw data (but `step`, which optimisers have too); only srlab/plots calls them.
DRAWING = {
    *("axhline", "axhspan", "axvline", "axvspan", "bar", "barh", "boxplot", "errorbar", "fill_between"),
    *("fill_betweenx", "hist", "hlines", "imshow", "pcolormesh", "plot", "scatter", "stem", "vlines"),
}


def modules() -> dict[str, ast.Module]:
    """Parse every module of the package, by its dotted name below srlab."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


MODULES = modules()


def imported(tree: ast.Module) -> set[str]:
    """List the modules of srlab that a module imports from, anywhere but for type checking."""
    names = set()
    skipped = {
        node
        for each in ast.walk(tree)
        if isinstance(each, ast.If) and getattr(each.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(each)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "srlab":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("srlab."):
            names |= {node.module.removeprefix("srlab.")}
        elif isinstance(node, ast.Import):
            names |= {alias.name.removeprefix("srlab.") for alias in node.names if alias.name.startswith("srlab.")}
    return names


def room(module: str) -> str:
    return module.split(".")[0]


def lines(folder, without=()) -> int:
    files = [path for path in folder.rglob("*.py") if not set(without) & set(path.relative_to(folder).parts)]
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)


def test_the_list_names_every_room():
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert {*ROOMS, "chapters", "__init__", "__main__"} == there


def test_rooms_import_only_from_those_below():
    wrong = [
        f"{name} imports {other}"
        for name, tree in MODULES.items()
        if room(name) in ROOMS
        for other in imported(tree)
        if (name, room(other)) not in JOINTS
        and (room(other) not in ROOMS or ROOMS.index(room(other)) > ROOMS.index(room(name)))
    ]
    assert wrong == []


def test_chapters_import_the_library_and_never_each_other():
    wrong = [
        f"{name} imports {other}"
        for name, tree in MODULES.items()
        if room(name) == "chapters"
        for other in imported(tree)
        if room(other) in ("commands", "cli")
        or (room(other) == "chapters" and other.split(".")[:2] != name.split(".")[:2])
    ]
    assert wrong == []


def test_only_plots_draws_on_axes():
    wrong = {
        f"{name}: {node.func.attr}"
        for name, tree in MODULES.items()
        if room(name) in ("analysis", "chapters", "commands", "report", "stats", "study", "widgets")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in DRAWING
        if node.args or node.func.attr != "step"  # an optimiser's step has no arguments
    }
    assert wrong == set()


def test_drawing_needs_no_torch_of_its_own():
    wrong = {
        name
        for name, tree in MODULES.items()
        if room(name) == "plots"
        for node in ast.walk(tree)
        if isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "torch" for alias in node.names)
    }
    assert wrong == set()


def test_the_house_stays_within_its_budgets():
    found = {
        "library": lines(PACKAGE, without=["chapters"]),
        "chapters": lines(PACKAGE / "chapters"),
        "tests": lines(ROOT / "tests"),
    }
    assert {name: count for name, count in found.items() if count > BUDGETS[name]} == {}
    chapter = PACKAGE / "study" / "chapter.py"
    assert len(chapter.read_text(encoding="utf-8").splitlines()) < 200


def test_long_files_have_a_reason():
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > LONG
    }
    assert found <= set(REASONS)


def test_doors_import_nothing_heavy():
    doors = ("data", "weights", "measure", "study", "analysis", "stats", "plots", "report", "widgets")
    names = ", ".join(f"srlab.{door}" for door in doors)
    code = f"import sys, {names}; print(*sorted({{'torch', 'pandas', 'matplotlib'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_name_of_a_door_is_there():
    for name in ROOMS:
        if (PACKAGE / name / "__init__.py").is_file():
            module = __import__(f"srlab.{name}", fromlist=["x"])
            assert all(hasattr(module, public) for public in getattr(module, "__all__", ()))


def test_tests_stand_in_the_rooms_of_what_they_test():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    tests = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("test_*.py"))}
    assert tests - {"browser", "slurm"} <= rooms
