"""The two ways to install agree, and the scripts set up what is missing, once, and nothing besides."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from kept import ROOT

REPOSITORY = ROOT
CONDA_NAMES = {"torch": "pytorch", "playwright": "playwright-python"}
INSTALLATION = [
    "-m pip install --constraint constraints.txt torch",
    "-m pip install --constraint constraints.txt --editable .[test,onnx]",
]
TESTS = ["-m pytest --alone not --numprocesses 2 --dist loadfile", "-m pytest --alone only"]
# Stands for every Python: it notes how it is called, and makes environments in which it is the Python again.
STAND_IN = """#!{bash}
if [[ $1 == -m ]]; then echo "$@" >>"{log}"; fi
if [[ "$1 $2" == "-m venv" ]]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi
"""


def bounds(requirements: list[str]) -> dict[str, str]:
    """Split requirements such as `torch>=2.11` into names and lower bounds."""
    parts = [re.fullmatch(r"([a-z0-9-]+)(?:\[[a-z]+\])?>=([0-9.]+)", requirement) for requirement in requirements]
    assert all(parts), requirements
    return dict(part.groups() for part in parts)


def test_environment_yml_asks_for_what_pyproject_toml_asks_for():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = bounds(project["dependencies"] + project["optional-dependencies"]["test"])
    wanted = {CONDA_NAMES.get(name, name): bound for name, bound in wanted.items()}
    wanted["python"] = project["requires-python"].removeprefix(">=")
    *packages, pip, by_pip = yaml.safe_load((REPOSITORY / "environment.yml").read_text())["dependencies"]
    assert bounds(packages) == wanted
    assert (pip, by_pip) == ("pip", {"pip": ["--editable ."]})


def test_the_pinned_torch_is_one_that_pyproject_toml_allows():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    [pinned] = re.findall(r"^torch==([0-9.]+)$", (REPOSITORY / "constraints.txt").read_text(), re.M)
    lowest = bounds(project["dependencies"])["torch"]
    assert [int(n) for n in pinned.split(".")] >= [int(n) for n in lowest.split(".")]


@pytest.mark.parametrize("script", ["setup_env.sh", "run_all.sh", "run_tests.sh", ".ci/run"])
def test_scripts_are_sound_bash(script):
    subprocess.run(["bash", "-n", REPOSITORY / script], check=True)
    assert os.access(REPOSITORY / script, os.X_OK) == (script != "setup_env.sh")  # which is sourced


class TestSetUp:
    """The scripts in a checkout of their own, on a machine with little more than `python3.11`, a stand-in."""

    @pytest.fixture
    def checkout(self, tmp_path):
        checkout = tmp_path / "check out"
        (checkout / "profiles").mkdir(parents=True)
        (checkout / "srlab").mkdir()
        (checkout / "srlab" / "__init__.py").touch()
        for name in ("quick", "full"):
            (checkout / "profiles" / f"{name}.yaml").touch()
        for name in ("setup_env.sh", "run_all.sh", "run_tests.sh", "pyproject.toml", "constraints.txt"):
            shutil.copy(REPOSITORY / name, checkout)
        shutil.copytree(REPOSITORY / ".ci", checkout / ".ci")
        return checkout

    @pytest.fixture
    def programs(self, tmp_path):
        programs = tmp_path / "bin"
        programs.mkdir()
        for name in ("bash", "cat", "cmp", "cp", "dirname", "mkdir"):
            (programs / name).symlink_to(shutil.which(name))
        return programs

    @pytest.fixture
    def run(self, checkout, programs, tmp_path):
        """`run(script, *arguments)` gives what the script did, and the calls of the stand-in in `calls`."""
        log = tmp_path / "calls"
        self.write(programs / "python3.11", STAND_IN.format(bash=programs / "bash", log=log))

        def run(script, *arguments, **variables):
            log.write_text("")
            process = subprocess.run(
                ["bash", str(checkout / script), *arguments],
                cwd=tmp_path,
                env={"PATH": str(programs), **variables},
                capture_output=True,
                text=True,
                timeout=60,
            )
            process.calls = log.read_text().splitlines()
            return process

        return run

    @staticmethod
    def write(program, text):
        program.write_text(text)
        program.chmod(0o755)

    def test_an_unknown_profile_is_one_sentence_and_installs_nothing(self, run, checkout):
        process = run("run_all.sh", "nosuchprofile")
        assert process.returncode == 2
        assert process.stderr == "There is no profile 'nosuchprofile'; there are: full quick.\n"
        assert process.stdout == ""
        assert process.calls == []
        assert not (checkout / ".venv").exists()

    def test_set_up_is_made_once_and_again_when_what_it_depends_on_changes(self, run, checkout):
        tests = [f"{call} -k some name" for call in TESTS]
        assert run("run_tests.sh", "-k", "some name").calls == ["-m venv .venv", *INSTALLATION, *tests]
        assert run("run_tests.sh", "-k", "some name").calls == tests
        (checkout / "constraints.txt").write_text("torch==0\n")
        assert run("run_tests.sh").calls == ["-m pip --version", *INSTALLATION, *TESTS]
        assert run("run_tests.sh").calls == TESTS
        shutil.rmtree(checkout / ".venv" / "bin")
        assert run("run_tests.sh").calls == ["-m venv .venv", *INSTALLATION, *TESTS]

    def test_a_failed_installation_stops_the_script_and_is_tried_again(self, run, programs):
        working = (programs / "python3.11").read_text()
        failing = working + '[[ "$*" != *"--editable"* ]]\n'
        self.write(programs / "python3.11", failing)
        process = run("run_tests.sh")
        assert process.returncode == 1
        assert process.calls == ["-m venv .venv", *INSTALLATION]
        assert run("run_tests.sh").calls == ["-m pip --version", *INSTALLATION]

    @pytest.mark.parametrize(
        ("beside", "alone", "status"),
        [(0, 0, 0), (0, 5, 0), (5, 0, 0), (5, 5, 5), (1, 0, 1), (0, 1, 1), (5, 1, 1), (1, 5, 1), (0, 3, 3)],
    )
    def test_the_tests_fail_if_those_beside_others_or_those_alone_do(self, run, programs, beside, alone, status):
        with (programs / "python3.11").open("a") as stand_in:
            stand_in.write(f'case "$2 $4" in "pytest not") exit {beside};; "pytest only") exit {alone};; esac\n')
        process = run("run_tests.sh", "-x")
        assert process.returncode == status and process.calls[-2:] == [f"{call} -x" for call in TESTS]

    def test_interrupted_tests_do_not_go_on(self, run, programs):
        with (programs / "python3.11").open("a") as stand_in:
            stand_in.write('if [[ "$2" == pytest ]]; then exit 2; fi\n')
        process = run("run_tests.sh")
        assert process.returncode == 2 and process.calls[-1] == TESTS[0]

    def test_arguments_go_to_snakemake(self, run):
        def snakemake(profile):
            return f"-m snakemake --snakefile Snakefile --config profile={profile} --cores all"

        assert run("run_tests.sh").returncode == 0  # sets up
        assert run("run_all.sh").calls == [snakemake("quick"), "-m srlab where quick"]
        assert run("run_all.sh", "full", "-n").calls == [snakemake("full") + " -n", "-m srlab where full"]
        assert run("run_all.sh", "--cores", "1").calls[0] == snakemake("quick") + " --cores 1"

    def test_run_all_says_where_the_results_are(self, run, checkout, programs):
        results = checkout / "results"
        results.mkdir()
        with (programs / "python3.11").open("a") as stand_in:
            stand_in.write(f'if [[ $3 == where ]]; then echo "{results}"; fi\n')
        assert "index.html" not in run("run_all.sh").stdout
        (results / "index.html").touch()
        assert run("run_all.sh").stdout == f"The results are in {results}/index.html\n"

    def test_an_active_environment_with_this_checkout_is_used(self, run, checkout, programs):
        # `python` notes calls as the stand-in does, but looks for modules as the Python of these tests does.
        look = f'if [[ $1 == -P ]]; then exec "{sys.executable}" "$@"; fi\n'
        self.write(programs / "python", (programs / "python3.11").read_text() + look)
        active = {"VIRTUAL_ENV": "/some/environment"}
        here, elsewhere = {"PYTHONPATH": str(checkout)}, {"PYTHONPATH": str(REPOSITORY)}
        assert run("run_tests.sh", **active, **here).calls == TESTS
        assert run("run_tests.sh", CONDA_PREFIX="/some/environment", **here).calls == TESTS
        assert not (checkout / ".venv").exists()
        assert run("run_tests.sh", **active, **elsewhere).calls == [
            "-m venv .venv",
            *INSTALLATION,
            *TESTS,
        ]
        shutil.rmtree(checkout / ".venv")
        assert run("run_tests.sh", **here).calls == ["-m venv .venv", *INSTALLATION, *TESTS]

    @pytest.mark.parametrize("user", ["root", "another"])
    def test_continuous_integration_installs_chromium_once(self, run, programs, tmp_path, user):
        calls = tmp_path / "apt-get calls"
        (programs / "env").symlink_to(shutil.which("env"))
        self.write(programs / "id", f"#!{programs / 'bash'}\necho {0 if user == 'root' else 1000}\n")
        if user == "another":
            self.write(programs / "sudo", f'#!{programs / "bash"}\nexec "$@"\n')
        self.write(
            programs / "apt-get",
            f'#!{programs / "bash"}\necho "$@" >>"{calls}"\n'
            f'if [[ $1 == install ]]; then cp "$0" "{programs}/chromium"; fi\n',
        )
        run("run_tests.sh")  # sets up
        for _ in range(2):
            assert run(".ci/run").calls == ["-m pip install snakemake-executor-plugin-slurm", *TESTS]
        install = "install --yes --no-install-recommends"
        slurm = ["update", f"{install} slurm-wlm munge"]  # asked for anew: this stand-in installs chromium alone
        assert calls.read_text().splitlines() == ["update", f"{install} chromium fonts-dejavu-core", *slurm, *slurm]

    def test_continuous_integration_without_chromium_leaves_it_to_the_tests(self, run, programs):
        self.write(programs / "id", f"#!{programs / 'bash'}\necho 1000\n")  # and there is no sudo
        run("run_tests.sh")  # sets up
        with (programs / "python3.11").open("a") as stand_in:
            stand_in.write('[[ "$CI $1 $2" == "1 -m pytest" ]]\n')
        shutil.copy(programs / "python3.11", programs.parent / "check out" / ".venv" / "bin" / "python")
        process = run(".ci/run")
        assert process.calls == TESTS and process.returncode == 0

    def test_no_python_that_is_new_enough_is_one_sentence(self, run, checkout, programs):
        self.write(programs / "python3.11", f"#!{programs / 'bash'}\nexit 1\n")  # as an older Python would answer
        process = run("run_all.sh")
        assert process.returncode == 1
        assert process.stderr.startswith("srlab needs Python 3.11 or newer")
        assert process.stderr.count("\n") == 1
        assert not (checkout / ".venv").exists()
