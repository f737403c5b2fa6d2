#!/usr/bin/env bash
# Usage: ./run_all.sh [PROFILE] [SNAKEMAKE OPTIONS]
# Make every run, figure and notebook of profiles/PROFILE.yaml (default: quick), after the set-up if that is missing.
set -euo pipefail
# Relative to where this is called from, not to the repository.
for folder in SRLAB_DATA SRLAB_RESULTS; do
    if [[ -n ${!folder:-} ]]; then
        export "$folder=$(realpath -m "${!folder}")"
    fi
done
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./setup_env.sh

profile=quick
if [[ $# -gt 0 && $1 != -* ]]; then
    profile=$1
    shift
fi
if [[ ! -f profiles/$profile.yaml ]]; then
    known=(profiles/*.yaml)
    known=("${known[@]#profiles/}")
    echo "There is no profile '$profile'; there are: ${known[*]%.yaml}." >&2
    exit 2
fi

set_up_environment "" snakemake
python -m snakemake --snakefile Snakefile --config "profile=$profile" --cores all "$@"

page=$(python -m srlab where "$profile")/index.html
if [[ -f $page ]]; then
    echo "The results are in $page"
fi
