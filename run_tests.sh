#!/usr/bin/env bash
# Usage: ./run_tests.sh [PYTEST OPTIONS]
# Run every test, slow ones included, and first whatever set-up is missing;
# `-m "not slow"` leaves the slow ones out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./setup_env.sh

# Python starts a hundred times in tests, and should not compile every module each time.
unset PYTHONDONTWRITEBYTECODE
set_up_environment pytest hypothesis beartype playwright xdist

# Two at a time, one thread each; then, alone on the machine, those that measure time. Options reach both.
status=0 alone=0
OMP_NUM_THREADS=1 python -m pytest --alone not --numprocesses 2 --dist loadfile "$@" || status=$?
case $status in
0 | 1 | 5) ;;             # 5: none of the tests asked for are here
*) exit "$status" ;;      # interrupted, or asked for what cannot be
esac
python -m pytest --alone only "$@" || alone=$?
case $status:$alone in
*:5 | 1:*) exit "$status" ;;
*) exit "$alone" ;;
esac
