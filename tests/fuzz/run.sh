#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh NAME OUTDIR SECONDS - mutate the corpus of the fuzz target NAME for so long (clang)
# Exit 1: an input fails, whose file is named; 77: this clang cannot fuzz. The committed corpus is
# only read; FUZZ_KEEP=DIR is where what was learned is left.
set -eu
name=$1 out=$2/fuzz seconds=$3
clang=${CLANG:-clang}
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$out/crashes"
out=$(cd "$out" && pwd)
cd "$root"
build() # PROGRAM SOURCE...
{
	program=$1 && shift
	"$clang" -std=gnu11 -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
		-fsanitize=fuzzer,address,undefined -Iinclude -D_GNU_SOURCE -o "$program" "$@" \
		-ljansson -lm
}
echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return !d + !n; }' >"$out/probe.c"
if ! build "$out/probe" "$out/probe.c" 2>"$out/probe.err"; then
	echo "skip: $clang cannot build a fuzzer (Debian has its runtime in libclang-rt-14-dev," \
		"LLVM's own clang brings it): $(tail -1 "$out/probe.err")"
	exit 77
fi
echo "building $name with the fuzzer" >&2
build "$out/$name" user/core/*.c "tests/fuzz/$name.c"
learned=$(mktemp -d)
trap 'rm -rf "$learned"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
dict=
[ ! -f "tests/fuzz/$name.dict" ] || dict=-dict=tests/fuzz/$name.dict
# what is new goes to the first folder
if "$out/$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=16384 \
	-print_final_stats=1 -artifact_prefix="$out/crashes/$name-" ${dict:+"$dict"} \
	"$learned" "tests/fuzz/corpus/$name" >"$out/$name.log" 2>&1; then
	sed -n "s/^stat::\(number_of_executed_units\|new_units_added\)/$name: \1/p" "$out/$name.log"
	if [ -n "${FUZZ_KEEP:-}" ]; then
		mkdir -p "$FUZZ_KEEP"
		cp "$learned"/* "$FUZZ_KEEP"
	fi
	exit 0
fi
grep -E 'SUMMARY|does not hold|runtime error' "$out/$name.log" | head -5
echo "$name: an input fails: $(sed -n 's/.*Test unit written to //p' "$out/$name.log" | head -1)"
echo "what it said is in $out/$name.log"
exit 1
