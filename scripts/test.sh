#!/usr/bin/env bash
# Set up, then lint, types and tests. With arguments only pytest runs and gets them: bash scripts/test.sh -k resume
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)
bash "$root/scripts/setup.sh" --dev
cd "$root"
unset PYTHONHOME PYTHONPATH
export PATH="$root/.venv/bin:$PATH"
export OMP_NUM_THREADS=1 # torch on one core of two: small nets gain nothing from more threads, and two pytests run

if (($#)); then
    exec python -m pytest "$@"
fi
python -m ruff check
python -m ruff format --check
python -m mypy
python -m pytest -n 2
