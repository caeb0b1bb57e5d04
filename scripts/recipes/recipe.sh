#!/usr/bin/env bash
# Sourced by the recipes beside it: sets up, goes to the repository's root, and reads their arguments.
# --quick, if it comes first, sets `quick` to the options that make a run of minutes (QUICK, which the recipe may set
# before); all other arguments are in `more`, for train.py, their paths read from where the user stands. With
# TAKES_FOLDER, which the recipe may set before, a folder stands before them all: `folder` is its whole path.
set -euo pipefail

if [[ -n ${TAKES_FOLDER:-} ]]; then
    if [[ $# -eq 0 || $1 == -* ]]; then
        echo "usage: bash scripts/recipes/$(basename -- "$0") FOLDER [--quick] [options of train.py]" >&2
        exit 2
    fi
    folder=$(cd -- "$1" && pwd) || exit 2
    shift
fi
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." >/dev/null && pwd)
quick=()
if [[ ${1:-} == --quick ]]; then
    read -ra quick <<<"${QUICK:---n_epochs 1 --max_dataset_size 10000}"
    shift
fi
more=() flag=
for word in "$@"; do
    if [[ $flag =~ ^--(dataroot|val_list|config)$ && $word != /* && -e $word ]]; then
        more+=("$PWD/$word")
    else
        more+=("$word")
    fi
    flag=$word
done

bash "$root/scripts/setup.sh"
cd "$root"
unset PYTHONHOME PYTHONPATH
export PATH="$root/.venv/bin:$PATH"

# Print the pages of the runs that are named; fail when one is not there.
show_pages() {
    local name page
    for name in "$@"; do
        for page in "$root/checkpoints/$name/web/index.html" "$root/results/$name/test_latest/index.html"; do
            if [[ ! -f $page ]]; then
                echo "there is no $page" >&2
                return 1
            fi
            echo "$name: $page"
        done
    done
}
