#!/usr/bin/env bash
# Usage: ./run_tests.sh [PYTEST OPTIONS]
# Run every test, slow ones included, and first whatever set-up is missing;
# `-m "not slow"` leaves the slow ones out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./setup_env.sh

set_up_environment pytest hypothesis beartype playwright
exec python -m pytest "$@"
