"""The house stands: rooms import only from those below, doors open fast, and README's map holds."""

import ast
import re
import subprocess
import sys

import pytest
from kept import ROOT

PACKAGE = ROOT / "srlab"
#: The longest file that needs no reason.
LONG = 350
REASONS = {
    "looking/centroids.py": "one subject: what k-means learnt, from snapshots to typical patches",
    "weights/checkpoints.py": "weights in and out, and every check of what a file says",
    "training.py": "the loop and its checkpoint, read top to bottom",
}


def floors() -> list[str]:
    """The rooms and files of README's map, from the ground up."""
    [tree] = re.findall(r"```text\nsrlab/\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    return [line.split()[0].rstrip("/").removesuffix(".py") for line in tree.splitlines()]


def modules() -> dict[str, ast.Module]:
    """Every module of the package, by its dotted name below srlab."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def imported(tree: ast.Module) -> set[str]:
    """The rooms that a module imports from, wherever in it."""
    rooms = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "srlab":
            rooms |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("srlab."):
            rooms.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            rooms |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("srlab.")}
    return rooms


def test_the_map_names_every_room():
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert set(floors()) == there - {"__init__", "__main__"}
    assert len(floors()) == len(set(floors()))


def test_rooms_import_only_from_those_above_them_in_the_map():
    order = {room: floor for floor, room in enumerate(floors())}
    wrong = [
        f"{name} imports {room}"
        for name, tree in modules().items()
        if (own := name.split(".")[0]) in order
        for room in imported(tree)
        if room not in order or order[room] > order[own]
    ]
    assert wrong == []


def test_only_what_people_see_reads_plots():
    readers = {name.split(".")[0] for name, tree in modules().items() if "plots" in imported(tree)}
    assert readers <= {"plots", "pages", "widgets", "pictures", "commands"}


def test_what_draws_knows_nothing_of_torch():
    for name, tree in modules().items():
        if name.startswith("plots."):
            names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
            names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            assert not any((each or "").split(".")[0] == "torch" for each in names), name


def test_long_files_have_a_reason():
    lines = {
        str(path.relative_to(PACKAGE)): len(path.read_text(encoding="utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert {name for name, count in lines.items() if count > LONG} == set(REASONS)


@pytest.mark.parametrize(
    "room",
    ["data", "weights", "measure", "study", "looking", "findings", "plots", "pages", "widgets", "pictures"],
)
def test_a_door_imports_nothing_heavy(room):
    code = f"import sys, srlab.{room}; print(*sorted({{'torch', 'pandas', 'matplotlib'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    "door",
    [
        "models.build",
        "weights.from_released",
        "weights.open_network",
        "study.Study",
        "analysis.trace",
        "stats.differences",
        "plots.draw",
        "widgets.Explorer",
    ],
)
def test_doors_hand_on_what_readme_says(door):
    room, name = door.split(".")
    module = __import__(f"srlab.{room}", fromlist=[name])
    assert callable(getattr(module, name)) and name in dir(module)


def test_every_name_of_a_door_is_there():
    for room in floors():
        if (PACKAGE / room / "__init__.py").is_file():
            module = __import__(f"srlab.{room}", fromlist=["x"])
            assert all(hasattr(module, name) for name in getattr(module, "__all__", ()))


def test_tests_stand_in_the_rooms_of_what_they_test():
    """Every folder of tests is a room, or drives a browser or a cluster through several."""
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    tests = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("test_*.py"))}
    assert tests - {"browser", "slurm"} <= rooms
