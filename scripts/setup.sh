#!/usr/bin/env bash
# Make .venv in the project's root and install what Ganvas needs into it; when nothing changed, do nothing, quickly.
#
#   bash scripts/setup.sh          what train.py and test.py need
#   bash scripts/setup.sh --dev    what scripts/test.sh needs as well
#
# Environment variables; .venv remembers each of them until another value is given:
#   PYTHON=python3.12      the Python (3.11 or newer) of .venv; python3 if never given
#   TORCH_INDEX_URL=URL    take torch and torchvision from there, e.g. the much smaller builds without CUDA:
#                          https://download.pytorch.org/whl/cpu
#   CONSTRAINTS=FILE       instead of constraints.txt; /dev/null takes the newest releases that requirements.txt allows
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)
venv=$root/.venv
state=$venv/ganvas # the stamps, what .venv remembers, visdom's log
run_requirements=("$root/requirements.txt" "$root/requirements-visdom-py311.txt")
dev_requirements=("${run_requirements[@]}" "$root/requirements-dev.txt")

say() { echo "set-up: $*"; }

fail() {
    echo "set-up: $*" >&2
    exit 1
}

# identity PYTHON: print its version and where its standard library really is; fails if it does not run.
identity() {
    local code='import os, sys
library = os.path.dirname(os.path.realpath(os.__file__))
print("%d.%d of %s" % (sys.version_info[0], sys.version_info[1], library))'
    "$1" -I -S -c "$code" 2>/dev/null || "$1" -c "$code" 2>/dev/null # Python 2 knows no -I
}

# remembered NAME: print what an earlier call kept in .venv under this name, if anything.
remembered() { cat -- "$state/$1" 2>/dev/null || true; }

# stamp FILE...: print what the stamp of these requirement files must hold.
stamp() { echo "$have $(cat -- "$@" "$constraints" | cksum)"; }

# Look at .venv. Sets have, the identity of its Python, and obsolete, why it cannot stay (empty: it can).
look() {
    have=$(identity "$venv/bin/python" || true)
    obsolete=
    if [[ -z $have || ! -e $venv/bin/activate ]]; then # venv writes activate last
        obsolete="it is not complete"
    elif [[ -n $wanted && $wanted != "$have" ]]; then
        obsolete="it has Python $have, PYTHON=$PYTHON is Python $wanted"
    elif [[ -n ${TORCH_INDEX_URL:-} && $TORCH_INDEX_URL != "$(remembered torch_index_url)" ]]; then
        obsolete="its torch did not come from TORCH_INDEX_URL"
    fi
}

# Is everything there that was asked for?
ready() {
    look
    [[ -z $obsolete && $(remembered run.stamp) == "$(stamp "${run_requirements[@]}")" ]] || return 1
    [[ -z $dev || $(remembered dev.stamp) == "$(stamp "${dev_requirements[@]}")" ]]
}

# Make an empty .venv, or fail in one line before anything is touched.
make_venv() {
    local found version package=python3-venv
    command -v "$python" >/dev/null || fail "there is no $python here; Ganvas needs Python 3.11 or newer (PYTHON=...)"
    found=$(identity "$python") || fail "$python does not run; Ganvas needs Python 3.11 or newer (PYTHON=...)"
    version=${found%% *}
    if ((${version%.*} < 3 || (${version%.*} == 3 && ${version#*.} < 11))); then
        fail "Python $version ($python) is too old; Ganvas needs 3.11 or newer (PYTHON=...)"
    fi
    [[ $python != *python3.* ]] || package=python$version-venv
    "$python" -I -c "import ensurepip, venv; ensurepip.version()" >/dev/null 2>&1 ||
        fail "Python $version ($python) cannot make a virtual environment: apt install $package"

    [[ ! -d $venv ]] || say "making .venv anew: $obsolete"
    if ! "$python" -I -m venv --clear "$venv"; then # --clear, not rm: .venv may be a link to a larger disk
        [[ -L $venv ]] || rm -rf "$venv"
        fail "$python could not make .venv"
    fi
}

# Run pip in .venv, deaf to settings that would install elsewhere. Its progress bars are for a terminal.
pip() {
    local quiet=--quiet
    [[ ! -t 1 ]] || quiet=
    PIP_USER=0 "$venv/bin/python" -I -m pip --disable-pip-version-check --no-input "$1" ${quiet:+"$quiet"} "${@:2}"
}

install() {
    pip install -c "$constraints" "$@" || fail "pip failed, see above; the same command goes on from here"
}

# A pip that was killed leaves packages without a RECORD, which the next pip takes for installed: drop their metadata.
forget_half_installed() {
    local info
    for info in "$venv"/lib/python*/site-packages/*.dist-info; do
        [[ ! -d $info || -e $info/RECORD ]] || rm -rf "$info"
    done
}

# visdom comes as source only and does not build everywhere: the one package whose failure stops nothing.
install_visdom() {
    if [[ $have == "3.11 "* ]]; then
        # visdom 0.2.4, the last release for 3.11, is built with pkg_resources, which setuptools 82 dropped. No line
        # in a requirements file can say so.
        pip install "setuptools<81" wheel &&
            pip install -c "$constraints" --no-build-isolation -r "$root/requirements-visdom-py311.txt"
    else
        pip install -c "$constraints" -r "$root/requirements.txt"
    fi
}

install_run() {
    local size=
    [[ -n $torch_index_url || $(uname -s) != Linux ]] || size=", about 6 GB"
    if [[ -e $state/run.stamp ]]; then
        say "the requirements changed, bringing .venv up to date"
    else
        say "installing torch and the rest into .venv$size, once"
    fi
    rm -f "$state"/*.stamp
    [[ -z $torch_index_url ]] || install torch torchvision --index-url "$torch_index_url"
    grep -vE '^(visdom|tornado)[^a-z]' "$root/requirements.txt" >"$state/requirements.txt"
    install -r "$state/requirements.txt"
    install_visdom >"$state/visdom.log" 2>&1 ||
        say "visdom did not install (.venv/ganvas/visdom.log says why): all but its dashboard works without it"
    stamp "${run_requirements[@]}" >"$state/run.stamp"
}

install_dev() {
    say "installing the tools for lint, types and tests"
    install -r "$root/requirements-dev.txt"
    stamp "${dev_requirements[@]}" >"$state/dev.stamp"
}

dev=
if [[ $* == --dev ]]; then
    dev=yes
elif (($#)); then
    fail "usage: bash scripts/setup.sh [--dev], not: $*"
fi

unset PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX PIP_ROOT
wanted=
if [[ -n ${PYTHON:-} ]]; then wanted=$(identity "$PYTHON" || echo unknown); fi
python=${PYTHON:-$(remembered python)}
python=${python:-python3}
torch_index_url=${TORCH_INDEX_URL:-$(remembered torch_index_url)}
constraints=${CONSTRAINTS:-$(remembered constraints)}
constraints=${constraints:-$root/constraints.txt}
[[ $constraints == /* ]] || constraints=$PWD/$constraints
[[ -r $constraints ]] || fail "there is no constraints file $constraints (CONSTRAINTS=...)"

if ready; then exit 0; fi

if command -v flock >/dev/null; then # one set-up of a checkout at a time; a pip left running holds the lock too
    exec 9>"$root/.venv.lock"
    flock -n 9 || { say "waiting for another set-up of this checkout" && flock 9; }
    if ready; then exit 0; fi
fi

start=$SECONDS
if [[ -z $obsolete ]]; then
    "$venv/bin/python" -I -m pip --version >/dev/null 2>&1 || obsolete="it has no working pip"
fi
if [[ -n $obsolete ]]; then
    make_venv
    have=$(identity "$venv/bin/python")
fi
mkdir -p "$state"
echo "$torch_index_url" >"$state/torch_index_url"
if [[ $constraints == "$root/constraints.txt" ]]; then
    rm -f "$state/constraints"
else
    echo "$constraints" >"$state/constraints"
fi
if [[ $(command -v "$python") != "$venv"/* ]]; then command -v "$python" >"$state/python"; fi

if [[ -z ${TMPDIR:-} ]]; then # 3 GB of wheels do not fit into every /tmp
    export TMPDIR=$state/tmp
    rm -rf "$TMPDIR"
    mkdir "$TMPDIR"
    trap 'rm -rf "$state/tmp"' EXIT
fi
forget_half_installed
[[ $(remembered run.stamp) == "$(stamp "${run_requirements[@]}")" ]] || install_run
[[ -z $dev ]] || install_dev
say "done in $((SECONDS - start)) s"
