#!/usr/bin/env bash
# The name that contrastive-unpaired-translation has for: python datasets/download.py --unpaired NAME
set -euo pipefail
exec python "$(dirname -- "${BASH_SOURCE[0]}")/download.py" --unpaired "$@"
