#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# schema_lines.sh TEST_JSON_OUT - what the encoders write is what docs/*.schema.json promise
# Takes the built test_json_out, which writes a file of lines a schema; each must be valid, each
# spoilt copy must be refused, and so must lines that are no JSON to begin with.
set -u
here=$(cd "$(dirname "$0")" && pwd)
lines=$(mktemp -d)
trap 'rm -rf "$lines"' EXIT
/usr/bin/python3 -c 'import jsonschema' 2>/dev/null || {
	echo "skip: needs python3-jsonschema"
	exit 77
}
"$1" "$lines" >"$lines/log" 2>&1 || {
	cat "$lines/log"
	exit 1
}
failed=0
for name in finding connection verdict snapshot doctor; do
	"$here/schema_check.py" "$here/../docs/$name.schema.json" --mutate <"$lines/$name.jsonl" ||
		failed=1
done
refuse() {
	if "$here/schema_check.py" "$here/../docs/doctor.schema.json" 2>/dev/null; then
		echo "accepted: $1"
		failed=1
	fi
}
doctor=$(head -1 "$lines/doctor.jsonl")
refuse "nothing at all" </dev/null
echo "[$doctor]" | refuse "a list"
echo "${doctor%\}},\"ready\":true}" | refuse "a duplicate key"
echo "${doctor/false/NaN}" | refuse "NaN"
printf '%s\n' "${doctor/x86_64/$'\xff'}" | refuse "invalid UTF-8"
printf '%s\n\n' "$doctor" | refuse "an empty line"
exit $failed
