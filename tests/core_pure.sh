#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# core_pure.sh ALLOW OBJECT... - what user/core/ calls outside itself must be in the list ALLOW
set -eu
allow=$1
shift
own=$(mktemp) && called=$(mktemp)
trap 'rm -f "$own" "$called"' EXIT
nm --defined-only -g "$@" | awk 'NF == 3 { print $3 }' | sort -u >"$own"
nm -u "$@" | awk '$1 == "U" { print $2 }' | sort -u >"$called"
bad=$(grep -vxF -f "$own" "$called" | grep -vxEf "$allow" || true)
if [ -n "$bad" ]; then
	echo "user/core/ is not pure, it calls:" $bad >&2
	exit 1
fi
data=$(size -A "$@" | awk '/^\.t?(data|bss)[. ]/ && $1 !~ /^\.data\.rel\.ro/ && $2 > 0 { print $1 "=" $2 }')
case " $data" in
*[!\ ]*)
	# sanitizers keep data of their own in each object
	nm "$@" | grep -q __asan_ || { echo "user/core/ has mutable data:" $data >&2 && exit 1; }
	;;
esac
