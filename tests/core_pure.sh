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
data=$(nm "$@" | awk '$2 ~ /^[dDbBC]$/ && $3 !~ /^(__|\.)|\.[0-9]+$/ { print $3 }')
if [ -n "$data" ]; then
	echo "user/core/ has mutable globals:" $data >&2
	exit 1
fi
