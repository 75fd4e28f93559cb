#!/usr/bin/env bash
# Unpacks a database server and every library that it needs, libc included, from Debian's packages into one folder.
# It needs neither root nor Docker and changes nothing else on the machine. The packages come from the Debian mirror
# that the machine is configured with, whichever release it runs.
#   fetch_server.sh mysql|mariadb PREFIX
set -euo pipefail
flavor=${1:?usage: fetch_server.sh mysql|mariadb PREFIX}
prefix=${2:?usage: fetch_server.sh mysql|mariadb PREFIX}

mkdir -p "$(dirname "$prefix")"
exec 9>"$prefix.lock"
flock 9
[ -e "$prefix" ] && exit 0 # another process may have made it while this one waited for the lock
work=$prefix.part
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/apt/{lists/partial,cache/archives/partial} "$work/prefix"

# Two words: the mirror and the release of this machine. Suites with a dash are updates to a release (-security, ...).
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
: >"$work/apt/status" # no package counts as installed, so every dependency is downloaded, in versions that fit together

# In a file, because on the command line a path with blanks would be split.
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
  case ${deb##*/} in perl* | libperl* | libdb5* | libgdbm*) continue ;; esac # for scripts that do not run here
  dpkg-deb -x "$deb" "$work/prefix"
done
# Last, and in one step: the folder exists only when it is complete.
mv "$work/prefix" "$prefix"
