#!/usr/bin/env bash
# Prints the path of a Python 3.13 that can make virtual environments; as root it installs Debian's when there is one.
set -euo pipefail

works() {
  "$1" -I -c 'import ensurepip, ssl, sys, venv; sys.exit(sys.version_info[:2] != (3, 13))' >/dev/null 2>&1
}

# Each candidate is run, because a shim of pyenv is on PATH even where pyenv has no 3.13. What is printed is the base
# executable: the target of a shim, and never the .venv itself, which is about to be replaced.
find_python() {
  local candidate
  { type -ap python3.13 || true
    printf '%s\n' "${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}"/versions/3.13.*/bin/python3.13
  } | while IFS= read -r candidate; do
    if works "$candidate"; then
      "$candidate" -I -c 'import sys; print(sys._base_executable)'
      exit 0
    fi
  done | grep .
}

install_python() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  export DEBIAN_FRONTEND=noninteractive
  apt-cache show python3.13-venv >/dev/null 2>&1 || apt-get -qq update >&2 || return 1
  apt-cache show python3.13-venv >/dev/null 2>&1 || return 1
  echo "setup: installing Debian's python3.13" >&2
  apt-get -qq -y --no-install-recommends install python3.13 python3.13-venv </dev/null >&2
}

find_python && exit 0
install_python && find_python && exit 0
cat >&2 <<'END'
setup: Python 3.13 with its venv module was not found; it is the version that the Lambda functions run on. One of these brings it:
  Debian 13 or later:  sudo apt-get install python3.13 python3.13-venv
  any system, pyenv:   pyenv install 3.13
  any system, uv:      uv python install 3.13
then run the same command again.
END
exit 1
