#!/usr/bin/env bash
# Makes what the project runs in, from locked versions with hashes; does nothing when it is all there.
#   .venv                   the project and its checks
#   build/tools/sam         the SAM and AWS command lines
#   build/tools/ministack   the emulated AWS
#   build/tools/spark       Spark on this machine; only with the argument `spark`, because of its 650 MB
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

# What an environment was made from. The checkout's path counts: a virtual environment does not survive a move.
# Raise the recipe's number when make_environment changes what it makes.
key() {
  printf '%s\n' "recipe 3" "$root"
  cat "requirements/$1.txt"
}

is_current() {
  [ -x "$2/bin/python" ] && key "$1" | cmp -s - "$2/made-from"
}

retry() {
  local pause
  for pause in 2 5 10; do
    "$@" && return 0
    echo "setup: that failed, trying again in $pause s" >&2
    sleep "$pause"
  done
  "$@"
}

# make_environment NAME FOLDER: requirements/NAME.txt into FOLDER, whole or not counted as there
make_environment() {
  local name=$1 folder=$2 started=$SECONDS
  is_current "$name" "$folder" && return 0
  rm -f "$folder/made-from"
  "$python" -m venv --clear "$folder"
  # pyspark is published as source alone
  retry "$folder/bin/python" -m pip install --quiet --require-hashes --only-binary :all: --no-binary pyspark \
    -r "requirements/$name.txt"
  case $name in dev | spark) add_project "$folder" ;; esac
  key "$name" >"$folder/made-from"
  echo "setup: $folder made in $((SECONDS - started)) s"
}

# The checkout is importable as it stands: rowferry lives in functions/, because that folder is what Lambda gets.
add_project() {
  local packages
  packages=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  printf '%s\n' "$root/functions" "$root" >"$packages/rowferry-checkout.pth"
  add_command "$1/bin/ferry" ferry.cli
  add_command "$1/bin/capturer" capturer.app
}

# Read by sh up to the exec and by Python as a string before the import; so a path with blanks needs no shebang.
add_command() {
  cat >"$1" <<END
#!/bin/sh
'''exec' "\$(dirname "\$(readlink -f "\$0")")/python" "\$0" "\$@"
'''
import sys

from $2 import main

if __name__ == "__main__":  # a process that multiprocessing starts reads this file, too
    sys.exit(main())
END
  chmod +x "$1"
}

place() { if [ "$1" = dev ]; then echo .venv; else echo "build/tools/$1"; fi; }

names=(dev ministack sam "$@")
missing=()
for name in "${names[@]}"; do is_current "$name" "$(place "$name")" || missing+=("$name"); done
if [ "${#missing[@]}" = 0 ]; then exit 0; fi
mkdir -p build/tools
exec 9>build/setup.lock
flock 9
python=$(bash lab/python.sh)
echo "setup: with $python"
making=()
for name in "${missing[@]}"; do make_environment "$name" "$(place "$name")" & making+=($!); done
failed=0
for job in "${making[@]}"; do wait "$job" || failed=1; done
if [ "$failed" = 1 ]; then
  echo "setup: incomplete. The error above is pip's; PyPI or a mirror of it must be reachable. Running it again goes on from here." >&2
  exit 1
fi
echo "setup: ready after $SECONDS s"
