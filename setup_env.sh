# Sourced by run_all.sh and run_tests.sh from the repository's root.

# Python starts a hundred times; compiled modules are kept.
unset PYTHONDONTWRITEBYTECODE

# Name the first Python that is new enough and can make a virtual environment.
find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3; do
        if "$name" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "srlab needs Python 3.11 or newer with its venv module; python3.13, python3.12, python3.11 and python3 on your" \
        "PATH are older or lack it." >&2
    return 1
}

# Check that the active environment holds this very checkout (-P: not merely the current folder) and modules "$@".
active_environment_has() {
    [[ -n ${VIRTUAL_ENV:-}${CONDA_PREFIX:-} ]] && python -P -c '
import sys
from importlib.util import find_spec
from pathlib import Path
srlab, *others = map(find_spec, ["srlab", *sys.argv[1:]])
sys.exit(not (all(others) and Path(srlab.origin).samefile("srlab/__init__.py")))' "$@" 2>/dev/null
}

# The files that an installation depends on; a change of any makes it anew.
installation() {
    pwd
    cat pyproject.toml constraints.txt
}

# Put a Python that has srlab and modules "${@:2}" first on PATH: the active environment's, or else .venv's. `$1` names the
# extras to install, such as "[test,onnx]"; the study itself needs none.
set_up_environment() {
    local extras=$1 stamp=.venv/srlab-installation$1 python
    shift
    if active_environment_has "$@"; then
        return
    fi
    if [[ ! -x .venv/bin/python ]] || ! installation | cmp -s - "$stamp"; then
        if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
            python=$(find_python)
            echo "Making .venv with $python and installing srlab there: some minutes, once."
            "$python" -m venv .venv
        fi
        # torch first and alone: no other package may require a newer one. What is imported is compiled then.
        .venv/bin/python -m pip install --no-compile --constraint constraints.txt torch
        .venv/bin/python -m pip install --no-compile --constraint constraints.txt --editable ".$extras"
        # An installation with extras serves the study too.
        for made in .venv/srlab-installation "$stamp"; do
            installation >"$made"
        done
    fi
    export VIRTUAL_ENV="$PWD/.venv" PATH="$PWD/.venv/bin:$PATH"
}
