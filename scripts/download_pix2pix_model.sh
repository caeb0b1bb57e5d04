#!/usr/bin/env bash
# The name that pytorch-CycleGAN-and-pix2pix has for: python scripts/download_model.py --of pix2pix NAME
set -euo pipefail
exec python "$(dirname -- "${BASH_SOURCE[0]}")/download_model.py" --of pix2pix "$@"
