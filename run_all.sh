#!/usr/bin/env bash
# Usage: ./run_all.sh [PROFILE] [SNAKEMAKE OPTIONS]
# Make every run, figure and notebook of profiles/PROFILE.yaml (default: quick), after the set-up if that is missing.
set -euo pipefail
unset CDPATH
# Relative to where this is called from, not to the repository; Python reads "~".
for folder in SRLAB_DATA SRLAB_RESULTS SRLAB_WEIGHTS SRLAB_CACHE; do
    case ${!folder:-} in
    '' | /* | '~'*) ;;
    *) export "$folder=$PWD/${!folder}" ;;
    esac
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

# Snakemake takes the last --config: the profile joins the caller's.
options=() configured=
for option in "$@"; do
    options+=("$option")
    if [[ $option == --config || $option == -C ]]; then
        options+=("profile='$profile'")
        configured=yes
    fi
done
[[ $configured ]] || options+=(--config "profile='$profile'")

set_up_environment "" snakemake
# A lock that ends with this process, however it ends; Snakemake's own would outlive it.
mkdir -p .snakemake
exec 9>".snakemake/$profile.lock"
if ! python -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null; then
    echo "Another run_all.sh makes '$profile' in this checkout; wait for its end." >&2
    exit 1
fi
python -m snakemake --snakefile Snakefile --nolock --rerun-incomplete --cores all "${options[@]}"

page=$(python -m srlab where "$profile")/index.html
if [[ -f $page ]]; then
    echo "The results are in $page"
fi
