# Sourced by run_all.sh and run_tests.sh from the repository's root.

# Name the first Python that is new enough and can make a virtual environment.
find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3; do
        if "$name" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "srlab needs Python 3.11 or newer with its venv module, and none of python3.13, python3.12," \
        "python3.11 and python3 on your PATH is that." >&2
    return 1
}

# Whether the active environment holds this very checkout (-P: not merely the current folder) and modules "$@".
active_environment_has() {
    [[ -n ${VIRTUAL_ENV:-}${CONDA_PREFIX:-} ]] && python -P -c '
import sys
from importlib.util import find_spec
from pathlib import Path
srlab, *others = map(find_spec, ["srlab", *sys.argv[1:]])
sys.exit(not (all(others) and Path(srlab.origin).samefile("srlab/__init__.py")))' "$@" 2>/dev/null
}

# What an installation depends on; it is made anew when any of it changes.
installation() {
    pwd
    cat pyproject.toml constraints.txt
}

# Put a Python that has srlab and modules "$@" first on PATH: the active environment's, or else .venv's.
set_up_environment() {
    if active_environment_has "$@"; then
        return
    fi
    local python stamp=.venv/srlab-installation
    if [[ ! -x .venv/bin/python ]] || ! installation | cmp -s - "$stamp"; then
        if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
            python=$(find_python)
            echo "Making .venv with $python and installing srlab there: some minutes, once."
            "$python" -m venv .venv
        fi
        # torch first and alone: nothing that follows may ask for a newer one.
        .venv/bin/python -m pip install --constraint constraints.txt torch
        .venv/bin/python -m pip install --constraint constraints.txt --editable '.[test,onnx]'
        installation >"$stamp"
    fi
    export VIRTUAL_ENV="$PWD/.venv" PATH="$PWD/.venv/bin:$PATH"
}
