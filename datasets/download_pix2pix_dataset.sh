#!/usr/bin/env bash
# The name that pytorch-CycleGAN-and-pix2pix has for: python datasets/download.py NAME
set -euo pipefail
exec python "$(dirname -- "${BASH_SOURCE[0]}")/download.py" "$@"
