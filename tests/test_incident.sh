#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_incident.sh - the outage replayed: when each alarm would have spoken, and that docs/incident.md
# tells it as it is
#
# tests/data/incident.trace.gz is made by `mktrace incident`, demo-incident.trace.gz is recorded from
# the demo's order service (tools/record_incident.sh). CONNLEAK names the program (default
# build/connleak). No root, no network. --table prints the tables of docs/incident.md.
set -u
cd "$(dirname "$0")/.." || exit 1
connleak=${CONNLEAK:-build/connleak}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
n_failed=0

check() # WHAT CONDITION... - an awk condition
{
	awk "BEGIN { exit !($2) }" && return
	n_failed=$((n_failed + 1))
	printf 'FAILED: %s: %s\n' "$1" "$2"
}

# timeline TRACE VERSION LIMIT [OPTION...] - a line for each alarm: NAME CLOCK SECONDS USED LEAKED, seconds
# since VERSION's first connection; LEAKED: its connections that were open then
timeline()
{
	"$connleak" replay --json "$1" "${@:4}" >"$work/findings"
	/usr/bin/python3 - "$1" "$2" "$work/findings" "$3" <<-'PY'
		import datetime, gzip, json, sys

		def stamp(text):
		    return datetime.datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00")

		trace, version, findings, limit = sys.argv[1:]
		start = zero = None
		all_open = []
		with gzip.open(trace, "rt") as lines:
		    start = stamp(json.loads(next(lines))["time"])
		    holders, open_now = {}, {}
		    for line in lines:
		        e = json.loads(line)
		        t = e["t_ns"] / 1e9
		        if e["ev"] == "holder":
		            holders[e["holder"]] = e.get("version")
		        elif e["ev"] == "open":
		            open_now[e["conn"]] = holders.get(e["holder"])
		            all_open.append((t, len(open_now), sum(v == version for v in open_now.values())))
		            if zero is None and holders.get(e["holder"]) == version:
		                zero = t
		        elif e["ev"] == "close":
		            open_now.pop(e["conn"], None)
		            all_open.append((t, len(open_now), sum(v == version for v in open_now.values())))

		def at(t):
		    known = [x for x in all_open if x[0] <= t]
		    return known[-1][1:] if known else (0, 0)

		seen = set()
		for line in open(findings):
		    f = json.loads(line)
		    t = (stamp(f["time"]) - start).total_seconds()
		    name = {"leak": "leak", "rate": "rate"}.get(f["kind"], f["evidence"]["rule"])
		    if f["kind"] == "leak" and f["holder"]["version"] != version:
		        name = "wrong"
		    if f["status"] == "resolved":
		        name += "_resolved"
		    elif f["kind"] == "rate" and f["severity"] == "critical":
		        name = "rate_critical"
		    print(name, f["time"][11:19], "%.0f" % (t - zero), *at(t))
		t = next(t for t, n, _ in all_open if n >= int(limit))
		print("full", (start + datetime.timedelta(seconds=t)).strftime("%H:%M:%S"),
		      "%.0f" % (t - zero), *at(t))
	PY
}

# value NAME FIELD - of the first alarm of that name in $work/line; FIELD 3: seconds, 4, 5; none: -1
value()
{
	awk -v name="$1" -v field="$2" '$1 == name { print $field; found = 1; exit }
		END { if (!found) print -1 }' "$work/line"
}

table() # TITLE
{
	printf '\n%s\n\n| alarm | at | after the deploy | connections in use | of these lost |\n|---|---|---|---|---|\n' "$1"
	awk 'BEGIN {
			words["leak"] = "**connleak: leak**"
			words["budget_70"] = "70 % of the budget"
			words["budget_90"] = "90 %: the rule that the team had"
			words["rate"] = "rate: gone within 15 minutes"
			words["rate_critical"] = "rate: gone within 5 minutes"
			words["full"] = "no connection is left"
		}
		!words[$1] || (seen[$1]++ && $1 != "rate") { next }
		{ printf "| %s | %s | %d min %02d s | %s | %s |\n", words[$1], $2, $3 / 60, $3 % 60, $4, $5 }' "$work/line"
}

judge() # TRACE VERSION LIMIT MOST-LEAKED [OPTION...]
{
	local full
	timeline "$1" "$2" "$3" "${@:5}" >"$work/line"
	full=$(value full 3)
	check "$1: the leak is named" "$(value leak 3) > 0"
	check "$1: lost by then" "$(value leak 5) <= $4"
	check "$1: nobody else is blamed" "$(value wrong 3) == -1"
	check "$1: 70 % comes after it" "$(value budget_70 3) > $(value leak 3)"
	check "$1: 90 % comes after that" "$(value budget_90 3) > $(value budget_70 3)"
	check "$1: the end" "$full > $(value budget_90 3)"
	check "$1: the finding does not resolve before the end" \
		"$(value leak_resolved 3) == -1 || $(value leak_resolved 3) > $full"
}

judge tests/data/incident.trace.gz v2.3.9 100 15
check "rate speaks inside the spike" \
	"$(awk '$1 ~ /^rate/ && $1 !~ /resolved/ { t = $3 } END { print t }' "$work/line") >= 75 * 60"
table "The shape of the outage (\`mktrace incident\`):" >"$work/tables"
judge tests/data/demo-incident.trace.gz v2.3.9 57 40 --budget 57
table "Recorded from the demo's order service at 10 requests a minute:" >>"$work/tables"

if [ "${1:-}" = --table ]; then
	cat "$work/tables"
	exit 0
fi
while read -r line; do
	grep -qxF -- "$line" docs/incident.md || {
		n_failed=$((n_failed + 1))
		echo "FAILED: docs/incident.md lacks the line: $line"
	}
done < <(grep '^| [*a-z0-9]' "$work/tables" | grep -v '^| alarm')
[ "$n_failed" = 0 ]
