#!/usr/bin/env bash
# Resolves requirements/*.in into requirements/*.txt: exact versions with hashes, the same on every machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ ! -x build/tools/lock/bin/uv ]; then
  "$(bash lab/python.sh)" -m venv build/tools/lock
  build/tools/lock/bin/python -m pip install --quiet uv
fi
for input in requirements/*.in; do
  build/tools/lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.13 --generate-hashes \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$input" --output-file "${input%.in}.txt"
done
echo "lock: requirements/*.txt written; run make setup test check, then commit them"
