#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_ledger.sh - `make ledger`, short: 60,000 connections that end in every way, all accounted for
. "$(dirname "$0")/lib.sh"
need "$TOOLS/ledger"

PORT=$(pg_free_port) timeout 150 "$root/tools/ledger.sh" "$CONNLEAK" "$TOOLS" 60000 \
	>"$work/ledger.out" 2>&1
check_equal "exit code of ledger.sh" 0 $?
check_equal "what does not add up" "" "$(grep FAIL "$work/ledger.out")"
check_match "it has compared" '^ok +adds up' "$(cat "$work/ledger.out")"
check_match "drift" '^ok +drift: 0$' "$(cat "$work/ledger.out")"
cat "$work/ledger.out"
finish
