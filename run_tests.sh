#!/usr/bin/env bash
# Usage: ./run_tests.sh [PYTEST OPTIONS]
# Run every test, slow ones included, after the set-up if that is missing; `-m "not slow"` excludes the slow ones.
set -euo pipefail
unset CDPATH
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./setup_env.sh

set_up_environment "[test,onnx]" pytest hypothesis beartype playwright xdist onnxruntime

# Two at a time, one thread each; then those that measure time, alone on the machine. Options reach both.
status=0 alone=0
OMP_NUM_THREADS=1 python -m pytest --alone not --numprocesses 2 --dist loadfile --no-loadscope-reorder "$@" || status=$?
case $status in
0 | 1 | 5) ;;             # 5: none of the tests asked for are here
*) exit "$status" ;;      # interrupted, or asked for what cannot be
esac
python -m pytest --alone only "$@" || alone=$?
case $status:$alone in
*:5 | 1:*) exit "$status" ;;
*) exit "$alone" ;;
esac
