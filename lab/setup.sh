#!/usr/bin/env bash
# Makes the environments that the project needs, from locked versions with hashes. Does nothing when all are up to date.
#   .venv                   the project and its checks
#   build/tools/sam         the SAM and AWS command lines
#   build/tools/ministack   the emulated AWS
#   build/tools/spark       Spark on this machine; 650 MB, so only with the argument `spark`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

# What an environment is made from; stored in it, and compared the next time. The checkout's path is a part of it,
# because a virtual environment does not work after it was moved. Raise the recipe's number with every change of
# make_environment that changes its result: otherwise existing environments stay as they are.
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

# make_environment NAME FOLDER: installs requirements/NAME.txt into FOLDER. It counts as made once made-from exists.
make_environment() {
  local name=$1 folder=$2 started=$SECONDS
  is_current "$name" "$folder" && return 0
  rm -f "$folder/made-from" # first, so that an interrupted run leaves no environment that counts
  "$python" -m venv --clear "$folder"
  # Wheels only, so that nothing is compiled; pyspark has none.
  retry "$folder/bin/python" -m pip install --quiet --require-hashes --only-binary :all: --no-binary pyspark \
    -r "requirements/$name.txt"
  case $name in dev | spark) add_project "$folder" ;; esac
  key "$name" >"$folder/made-from"
  echo "setup: $folder made in $((SECONDS - started)) s"
}

# Makes the checkout importable without an installation. rowferry is in functions/, the only folder that Lambda gets.
add_project() {
  local packages
  packages=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  printf '%s\n' "$root/functions" "$root" >"$packages/rowferry-checkout.pth"
  add_command "$1/bin/ferry" ferry.cli
  add_command "$1/bin/capturer" capturer.app
}

# A shebang cannot name an interpreter whose path has blanks. So sh runs the file and executes Python with it; Python
# reads the lines for sh as one string.
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
# Two of these at the same time would write into the same folders.
exec 9>build/setup.lock
flock 9
python=$(bash lab/python.sh)
echo "setup: with $python"
making=()
for name in "${missing[@]}"; do make_environment "$name" "$(place "$name")" & making+=($!); done
# `wait` on each: without arguments it would always succeed.
failed=0
for job in "${making[@]}"; do wait "$job" || failed=1; done
if [ "$failed" = 1 ]; then
  echo "setup: incomplete. The error above is pip's; PyPI or a mirror of it must be reachable. Running it again goes on from here." >&2
  exit 1
fi
echo "setup: ready after $SECONDS s"
