#!/usr/bin/env bash
# Unpacks a database server with all it is linked to, libc included, into a folder of its own, from Debian's packages.
# No root, no Docker, nothing of the system is touched. The machine's own Debian mirror is asked, whatever its release.
#   fetch_server.sh mysql|mariadb PREFIX
set -euo pipefail
flavor=${1:?usage: fetch_server.sh mysql|mariadb PREFIX}
prefix=${2:?usage: fetch_server.sh mysql|mariadb PREFIX}

mkdir -p "$(dirname "$prefix")"
exec 9>"$prefix.lock"
flock 9
[ -e "$prefix" ] && exit 0
work=$prefix.part
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/apt/{lists/partial,cache/archives/partial} "$work/prefix"

# Two columns: the mirror and the release that this machine takes packages from.
source=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk '$1 ~ /debian\/?$/ && $2 !~ /-/ {print; exit}')
if [ -z "$source" ]; then
  echo "this machine has no Debian package source" >&2
  exit 1
fi
mirror=${source% *}
case $flavor in
  mysql) release=sid package=mysql-server-core ;; # Debian's stable releases have no MySQL
  mariadb) release=${source#* } package=mariadb-server-core ;;
  *) echo "unknown flavor $flavor: mysql or mariadb" >&2; exit 2 ;;
esac
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" >"$work/apt/sources.list"
: >"$work/apt/status" # nothing counts as installed, so that the whole closure comes and fits together

# Dir::* would be split at blanks on the command line, not in a file.
cat >"$work/apt/apt.conf" <<END
Dir::Etc::sourcelist "$work/apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State "$work/apt";
Dir::State::lists "$work/apt/lists";
Dir::State::status "$work/apt/status";
Dir::Cache "$work/apt/cache";
APT::Sandbox::User "";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "1";
END
export APT_CONFIG=$work/apt/apt.conf
apt-get -qq update
apt-get -qq -y --download-only install "$package" >/dev/null
for deb in "$work"/apt/cache/archives/*.deb; do
  case ${deb##*/} in perl* | libperl* | libdb5* | libgdbm*) continue ;; esac # for scripts that are not run here
  dpkg-deb -x "$deb" "$work/prefix"
done
mv "$work/prefix" "$prefix"
