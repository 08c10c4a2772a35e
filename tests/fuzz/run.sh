#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh NAME OUTDIR SECONDS - mutate the corpus of the fuzz target NAME for so long (clang)
# Exit 1: it found an input that fails, whose file is named; 77: this clang cannot fuzz.
set -eu
name=$1 out=$2/fuzz seconds=$3
clang=${CLANG:-clang}
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$out/crashes"
out=$(cd "$out" && pwd)
cd "$root"
if ! echo 'int LLVMFuzzerTestOneInput(const char *d, long n); int LLVMFuzzerTestOneInput(const char *d, long n)
{ return !d + !n; }' | "$clang" -x c -fsanitize=fuzzer,address,undefined - -o "$out/probe" 2>"$out/probe.err"; then
	echo "skip: $clang has no fuzzer runtime (Debian: libclang-rt-14-dev or clang of LLVM): $(tail -1 "$out/probe.err")"
	exit 77
fi
rm -f "$out/probe" "$out/probe.err"
echo "building $name with the fuzzer" >&2
"$clang" -std=gnu11 -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
	-fsanitize=fuzzer,address,undefined -Iinclude -D_GNU_SOURCE -DCONNLEAK_VERSION='"fuzz"' \
	user/core/*.c "tests/fuzz/$name.c" -ljansson -lm -o "$out/$name"
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
cp "tests/fuzz/corpus/$name"/* "$corpus"
dict=tests/fuzz/$name.dict
# shellcheck disable=SC2086
if "$out/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
	-print_final_stats=1 -artifact_prefix="$out/crashes/$name-" \
	${FUZZ_ARGS:-} $([ ! -f "$dict" ] || echo "-dict=$dict") "$corpus" >"$out/$name.log" 2>&1; then
	grep -E 'number_of_executed_units|new_units_added' "$out/$name.log" | sed "s/^stat::/$name: /"
	# what it learned, smallest first, for whoever wants to keep some of it
	[ -z "${FUZZ_KEEP:-}" ] || cp -r "$corpus" "$FUZZ_KEEP"
	exit 0
fi
grep -E 'SUMMARY|does not hold|runtime error' "$out/$name.log" | head -5
echo "$name: an input fails: $(sed -n 's/.*Test unit written to //p' "$out/$name.log" | head -1)"
echo "what it said is in $out/$name.log"
exit 1
