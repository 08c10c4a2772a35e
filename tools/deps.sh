#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deps.sh [print] KIND... - install the Debian packages of tools/packages.txt that are missing
# Root installs them; anybody else, and "print", is told the one command that does (exit 1).
set -eu
print=
[ "$1" != print ] || { print=1 && shift; }
list=$(dirname "$0")/packages.txt
missing=
for kind in "$@"; do
	for package in $(sed -n "s/^$kind  *//p" "$list"); do
		status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
		[ "$status" = "install ok installed" ] || missing="$missing $package"
	done
done
[ -n "$missing" ] || exit 0
command="apt-get install -y --no-install-recommends$missing"
if [ -n "$print" ] || [ "$(id -u)" != 0 ]; then
	echo "connleak: these Debian packages are missing:$missing" >&2
	echo "install them: sudo $command" >&2
	exit 1
fi
echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# PostgreSQL's package would start a server of its own; the tests and the demo start theirs.
guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$guard"
	chmod 755 "$guard"
	trap 'rm -f "$guard"' EXIT
	# dash runs no EXIT trap when a signal ends it
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
fi
apt-get update -qq >&2
$command -qq >&2
