"""The ways to install agree, and the scripts set up what is missing, once."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from kept import ROOT

CONDA_NAMES = {"torch": "pytorch", "playwright": "playwright-python"}
TORCH = "-m pip install --no-compile --constraint constraints.txt torch"
TESTS = ["-m pytest --alone not --numprocesses 2 --dist loadfile --no-loadscope-reorder", "-m pytest --alone only"]
# Stands for every Python: it notes its calls, and makes environments in which it is the Python again.
STAND_IN = """#!{bash}
if [[ $1 == -m ]]; then echo "$@" >>"{log}"; fi
if [[ "$1 $2" == "-m venv" ]]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi
"""


def installed(extras: str) -> list[str]:
    return [TORCH, f"-m pip install --no-compile --constraint constraints.txt --editable .{extras}"]


def bounds(requirements: list[str]) -> dict[str, str]:
    """Split requirements such as `torch>=2.11` into names and lower bounds."""
    parts = [re.fullmatch(r"([a-z0-9-]+)(?:\[[a-z]+\])?>=([0-9.]+)", requirement) for requirement in requirements]
    assert all(parts), requirements
    return dict(part.groups() for part in parts)


def test_environment_yml_asks_for_the_packages_of_pyproject_toml():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = bounds(project["dependencies"] + project["optional-dependencies"]["test"])
    wanted = {CONDA_NAMES.get(name, name): bound for name, bound in wanted.items()}
    wanted["python"] = project["requires-python"].removeprefix(">=")
    *packages, pip, by_pip = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert bounds(packages) == wanted
    assert (pip, by_pip) == ("pip", {"pip": ["--editable ."]})


def test_the_pinned_torch_is_allowed_by_pyproject_toml():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [pinned] = re.findall(r"^torch==([0-9.]+)$", (ROOT / "constraints.txt").read_text(), re.M)
    lowest = bounds(project["dependencies"])["torch"]
    assert [int(n) for n in pinned.split(".")] >= [int(n) for n in lowest.split(".")]


@pytest.mark.parametrize("script", ["setup_env.sh", "run_all.sh", "run_tests.sh", ".ci/run"])
def test_scripts_are_sound_bash(script):
    subprocess.run(["bash", "-n", ROOT / script], check=True)
    assert os.access(ROOT / script, os.X_OK) == (script != "setup_env.sh")  # which is sourced


@pytest.fixture
def checkout(tmp_path):
    """The scripts in a checkout of their own."""
    checkout = tmp_path / "check out"
    (checkout / "profiles").mkdir(parents=True)
    (checkout / "srlab").mkdir()
    (checkout / "srlab" / "__init__.py").touch()
    for name in ("quick", "full"):
        (checkout / "profiles" / f"{name}.yaml").touch()
    for name in ("setup_env.sh", "run_all.sh", "run_tests.sh", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, checkout)
    return checkout


@pytest.fixture
def run(checkout, tmp_path):
    """`run(script, *arguments)` on a machine with a stand-in for `python3.11`; `calls` are its calls."""
    programs, log = tmp_path / "bin", tmp_path / "calls"
    programs.mkdir()
    for name in ("bash", "cat", "cmp", "cp", "dirname", "mkdir"):
        (programs / name).symlink_to(shutil.which(name))
    stand_in = programs / "python3.11"
    stand_in.write_text(STAND_IN.format(bash=programs / "bash", log=log))
    stand_in.chmod(0o755)

    def run(script, *arguments, failing="", script_from=checkout, **variables):
        log.write_text("")
        text = STAND_IN.format(bash=programs / "bash", log=log)
        for python in (stand_in, checkout / ".venv" / "bin" / "python"):
            if python.exists():
                python.write_text(text + failing)
        command = ["bash", f"{script_from}/{script}", *arguments]
        environment = {"PATH": str(programs), **variables}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        done.calls = log.read_text().splitlines()
        return done

    return run


def test_an_unknown_profile_is_named_and_installs_nothing(run, checkout):
    done = run("run_all.sh", "nosuchprofile")
    assert done.returncode == 2 and "nosuchprofile" in done.stderr and "full quick" in done.stderr
    assert done.stderr.count("\n") == 1 and done.calls == [] and not (checkout / ".venv").exists()


def test_each_command_installs_what_it_needs_in_either_order(run, checkout):
    snakemake = "-m snakemake --snakefile Snakefile --nolock --rerun-incomplete --cores all"
    configured = "--config profile='quick'"
    assert run("run_all.sh").calls == [
        "-m venv .venv",
        *installed(""),
        f"{snakemake} {configured}",
        "-m srlab where quick",
    ]
    first = run("run_tests.sh", "-k", "some name").calls
    tests = [f"{call} -k some name" for call in TESTS]
    assert first == ["-m pip --version", *installed("[test,onnx]"), *tests]
    assert run("run_tests.sh", "-k", "some name").calls == tests
    assert run("run_all.sh", "full", "-n").calls[0] == f"{snakemake} -n {configured.replace('quick', 'full')}"
    both = run("run_all.sh", "--config", "devices=1").calls[0]  # Snakemake takes the last --config
    assert both == f"{snakemake} {configured} devices=1"
    shutil.rmtree(checkout / ".venv")
    assert run("run_tests.sh").calls == ["-m venv .venv", *installed("[test,onnx]"), *TESTS]
    assert run("run_all.sh").calls[0] == f"{snakemake} {configured}"  # the tests' installation serves the study
    (checkout / "constraints.txt").write_text("torch==0\n")
    assert run("run_all.sh").calls[:3] == ["-m pip --version", *installed("")]


def test_a_second_call_for_a_profile_waits_and_a_killed_one_leaves_no_lock(run, checkout):
    run("run_all.sh")
    done = run("run_all.sh", failing='[[ "$*" != *flock* ]]\n')
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "quick" in done.stderr
    assert not any("snakemake" in call for call in done.calls)
    with (checkout / ".snakemake" / "quick.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        command = ["-c", "import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)"]
        assert command[1] in (checkout / "run_all.sh").read_text()
        shell = f'exec 9>"$1"; "{sys.executable}" -c "$2" 2>/dev/null'
        locking = ["bash", "-c", shell, "bash", held.name, command[1]]
        assert subprocess.run(locking).returncode == 1
    assert subprocess.run(locking).returncode == 0


@pytest.mark.parametrize(
    ("given", "seen"), [("photos", "/photos"), ("/photos", "/photos"), ("~/photos", "~/photos"), ("", "")]
)
def test_folders_are_those_of_the_caller_and_none_is_dropped(run, tmp_path, given, seen):
    run("run_all.sh")
    done = run("run_all.sh", failing='printf "<%s>" "$SRLAB_DATA" >&2\n', SRLAB_DATA=given)
    assert f"<{tmp_path if given == 'photos' else ''}{seen}>" in done.stderr


def test_a_folder_of_cdpath_is_not_entered(run, checkout, tmp_path):
    (tmp_path / "elsewhere" / checkout.name).mkdir(parents=True)
    done = run("run_all.sh", "nosuchprofile", script_from=checkout.name, CDPATH=str(tmp_path / "elsewhere"))
    assert done.returncode == 2 and "full quick" in done.stderr


def test_a_failed_installation_stops_the_script_and_is_tried_again(run):
    done = run("run_tests.sh", failing='[[ "$*" != *"--editable"* ]]\n')
    assert done.returncode == 1 and done.calls[-1] == installed("[test,onnx]")[1]
    assert run("run_tests.sh").calls == ["-m pip --version", *installed("[test,onnx]"), *TESTS]


@pytest.mark.parametrize(
    ("beside", "alone", "status"),
    [(0, 0, 0), (0, 5, 0), (5, 0, 0), (5, 5, 5), (1, 0, 1), (0, 1, 1), (5, 1, 1), (0, 3, 3)],
)
def test_the_tests_fail_if_those_beside_others_or_those_alone_do(run, beside, alone, status):
    run("run_tests.sh")  # sets up
    failing = f'case "$2 $4" in "pytest not") exit {beside};; "pytest only") exit {alone};; esac\n'
    done = run("run_tests.sh", "-x", failing=failing)
    assert done.returncode == status and done.calls[-2:] == [f"{call} -x" for call in TESTS]


def test_interrupted_tests_do_not_go_on(run):
    run("run_tests.sh")
    done = run("run_tests.sh", failing='if [[ "$2" == pytest ]]; then exit 2; fi\n')
    assert done.returncode == 2 and done.calls == TESTS[:1]


def test_without_a_new_python_the_scripts_end_in_one_sentence(run, checkout):
    done = run("run_all.sh", failing="exit 1\n")
    assert done.returncode == 1 and "3.11" in done.stderr and done.stderr.count("\n") == 1
    assert not (checkout / ".venv").exists()
