#!/usr/bin/env bash
# What `make check` runs: every check, then the list of those that failed. Arguments: the folders that mypy reads.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
failed=()

check() {
  local name=$1 started=$SECONDS
  shift
  # As a condition of `if` a failed command does not end the script (set -e), so that every check runs.
  if "$@"; then echo "check: $name ok, $((SECONDS - started)) s"; else failed+=("$name"); fi
}

check format ruff format --check --quiet .
check lint ruff check --quiet .
check types mypy --no-error-summary "$@"
check imports env PYTHONPATH=functions:. lint-imports --no-cache --no-logo
check locks python -m lab.check_locks
if [ -f lab/check_docs.py ]; then check docs python -m lab.check_docs; fi
if [ -f template.yaml ]; then check template sam validate --lint --region us-east-1; fi

if [ "${#failed[@]}" -gt 0 ]; then
  echo "check: failed: ${failed[*]}" >&2
  exit 1
fi
