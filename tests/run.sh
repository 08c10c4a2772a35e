#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh TEST... - run each, count passed, failed and skipped (exit 77), print why
# A test is a program: a cmocka binary or a script. Its output is shown when it fails (or with V=1).
set -u
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for t in "$@"; do
	start=$(date +%s)
	if [ -n "${V:-}" ]; then
		"$t" 2>&1 | tee "$log"
		status=${PIPESTATUS[0]}
	else
		"$t" >"$log" 2>&1
		status=$?
	fi
	took=$(($(date +%s) - start))
	name=$(basename "$t")
	case $status in
	0)
		passed=$((passed + 1))
		n=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log" | tail -1)
		echo "ok    $name ${n:+($n tests) }${took}s"
		;;
	77)
		skipped=$((skipped + 1))
		echo "skip  $name: $(grep -i 'skip' "$log" | tail -1)"
		;;
	*)
		failed=$((failed + 1))
		echo "FAIL  $name (exit $status) ${took}s"
		[ -n "${V:-}" ] || sed 's/^/    /' "$log" | tail -80
		;;
	esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ -z "${COUNTS:-}" ] || echo "$passed $failed $skipped" >>"$COUNTS"
[ "$failed" = 0 ]
