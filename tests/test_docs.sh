#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_docs.sh - the man page and the README say what the program has, no more and no less
#
# Commands, long options and JSON schemas, and that the man page renders without a warning; that the
# examples in docs/ are what the schemas promise, and that what the code cites exists.
# CONNLEAK names the program, from the top of the tree (default build/connleak).
set -u
cd "$(dirname "$0")/.." || exit 1
connleak=${CONNLEAK:-build/connleak}
page=man/connleak.8
readme=README.md
n_failed=0

failed() # WHAT
{
	echo "$1"
	n_failed=$((n_failed + 1))
}

# What `connleak --help` lists under "Commands:".
commands()
{
	"$connleak" --help | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }'
}

# options_of COMMAND - its long options, from its own help
options_of()
{
	"$connleak" "$1" --help | grep -oE '(^ +|, )--[a-z][a-z-]*' | grep -oE '\-\-[a-z-]+' | sort -u
}

# Long options that mdoc source on stdin names, in running text and in displays.
options_named()
{
	sed 's/\\-/-/g; s/Fl -\([a-z]\)/--\1/g' | grep -oE '(^|[^a-z-])--[a-z][a-z-]*' |
		grep -oE '\-\-[a-z-]+' | sort -u
}

# section TITLE - of the man page, to the next title
section()
{
	awk -v title="$1" '/^\.S[sh] / { on = substr($0, 5) == title; next } on' "$page"
}

# differ MESSAGE A B - a line for each word of list A that is not in list B
differ()
{
	local word
	for word in $(comm -23 <(sort -u <<<"$2") <(sort -u <<<"$3")); do
		failed "$1: $word"
	done
}

all="" shared=""
names=$(commands)
[ -n "$names" ] || failed "$connleak --help lists no command"
for name in $names; do
	options=$(options_of "$name")
	[ -n "$options" ] || failed "connleak $name --help lists no option"
	all=$(sort -u <<<"$all"$'\n'"$options")
	shared=$(comm -12 <(echo "${shared:-$options}") <(echo "$options"))
	[ -n "$(section "$name")" ] || failed "$page has no section .Ss $name"
	grep -q "connleak $name" "$readme" || failed "$readme does not name the command $name"
done

for name in $names; do
	own=$(comm -23 <(options_of "$name") <(echo "$shared"))
	differ "$page, section $name, lacks the option" "$own" "$(section "$name" | options_named)"
done
differ "$page lacks the option" "$all" "$(options_named <"$page")"
# The program itself has one that no command has.
"$connleak" --version >/dev/null || failed "connleak --version fails"
differ "no command has this option of $page" "$(options_named <"$page")" "$all"$'\n'--version

for schema in docs/*.schema.json; do
	grep -q "$schema" "$page" || failed "$page does not name $schema"
done

# What the code cites, and where a finding sends its reader.
while read -r doc; do
	[ -f "$doc" ] || failed "$doc is cited and does not exist"
done < <(grep -rhoE 'docs/[a-z_]+\.(md|schema\.json)' bpf include user tests tools man README.md |
	sort -u)
for kind in leak fd_leak budget rate blind; do
	grep -qx "## $kind" docs/runbook.md || failed "docs/runbook.md has no section $kind"
done

# examples FILE - the json blocks that are one of our objects, a line each
examples()
{
	awk '
		/^```json$/ { on = 1; block = ""; next }
		/^```$/ && on { on = 0; if (block ~ /^{"schema":"/) print block; next }
		on { block = block $0 }' "$1"
}

n_examples=0
if /usr/bin/python3 -c 'import jsonschema' 2>/dev/null; then
	while read -r line; do
		schema=${line#*connleak.}
		schema=docs/${schema%%/*}.schema.json
		n_examples=$((n_examples + 1))
		said=$(tests/schema_check.py "$schema" <<<"$line" 2>&1) ||
			failed "docs/json.md, example $n_examples, against $schema: $said"
	done < <(examples docs/json.md)
	[ "$n_examples" -ge 5 ] || failed "docs/json.md has $n_examples examples, a schema has none"
fi

[ "$n_failed" = 0 ] || exit 1
command -v man >/dev/null || {
	echo "skip: no man to render the page with (man-db)"
	exit 77
}
said=$(man --warnings -l "$page" 2>&1 >/dev/null)
[ -z "$said" ] || failed "man --warnings -l $page says: $said"
lines=$(MANWIDTH=80 man -l "$page" 2>/dev/null | wc -l)
[ "$lines" -gt 100 ] || failed "man -l $page renders $lines lines"
[ "$n_failed" = 0 ]
