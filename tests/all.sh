#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# all.sh - every test there is: unit tests (plain, and with sanitizers), kernel, end to end
# Ends with one line of counts; exit 1 if anything failed.
set -u
cd "$(dirname "$0")/.." || exit 5
jobs=$(nproc)
counts=$(mktemp)
export COUNTS=$counts
trap 'rm -f "$counts"' EXIT

n_failed()
{
	awk '{ f += $2 } END { print f + 0 }' "$counts"
}

step() # TITLE COMMAND...
{
	local title=$1 before
	shift
	before=$(n_failed)
	echo "== $title"
	"$@" || [ "$(n_failed)" -gt "$before" ] || {
		# A build or the format: run.sh has counted nothing.
		echo "FAIL  $title"
		echo "0 1 0" >>"$counts"
	}
}

step "build" make --no-print-directory -j"$jobs" DEVELOPER=1 all tools
step "clang builds it without a warning" make --no-print-directory -j"$jobs" -s CC=clang \
	O=build-clang DEVELOPER=1 all
step "unit tests" make --no-print-directory -j"$jobs" -s check
step "unit tests with sanitizers" make --no-print-directory -j"$jobs" -s O=build-san \
	SAN=address,undefined CFLAGS="-O1 -g" check
step "documentation" tests/run.sh tests/test_docs.sh
step "recordings" tests/run.sh tests/test_recordings.sh tests/test_incident.sh
step "format" make --no-print-directory format-check
step "kernel tests" make --no-print-directory -s -j"$jobs" check-root
step "end to end" make --no-print-directory -s e2e

awk '
	{ p += $1; f += $2; s += $3 }
	END {
		printf "%d passed, %d failed, %d skipped\n", p, f, s
		exit f > 0
	}' "$counts"
