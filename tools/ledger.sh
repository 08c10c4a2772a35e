#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ledger.sh CONNLEAK TOOLS-FOLDER [CONNECTS [SEED]] - does what connleak counts add up?
#
# Churns CONNECTS connections (default 1,000,000) that end in every way there is, 1 % of them leaked,
# with kills, forks and resets; in the middle of it connleak is stopped for 3 s, so that its ring
# overflows. Then, from its own frames: opened + adopted + moved_in = closed + open + moved_out + lost,
# exactly; opened is what was opened, open is what is open, drift is 0. Exit 0 if all of it holds.
set -u

connleak=$1
tools=$2
connects=${3:-1000000}
seed=${4:-$RANDOM}
port=${PORT:-15801}
work=$(mktemp -d)

[ "$(id -u)" = 0 ] || { echo "ledger.sh: loads kernel programs: run it as root" >&2 && exit 3; }

clean_up()
{
	# shellcheck disable=SC2046
	kill -CONT $(jobs -p) 2>/dev/null
	# shellcheck disable=SC2046
	kill $(jobs -p) 2>/dev/null
	wait
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# wait_frames N - until connleak has printed N more frames
wait_frames()
{
	local have want
	have=$(wc -l <"$work/frames")
	want=$((have + $1))
	while [ "$have" -lt "$want" ]; do
		kill -0 "$watcher" 2>/dev/null || { cat "$work/talk" >&2 && exit 5; }
		sleep 0.2
		have=$(wc -l <"$work/frames")
	done
}

"$connleak" top -b --json --port "$port" >"$work/frames" 2>"$work/talk" &
watcher=$!
while [ ! -e "$work/frames" ]; do sleep 0.05; done
wait_frames 1
echo "seed $seed: churning $connects connections"
mkfifo "$work/hold"
"$tools/ledger" "$port" "$connects" "$seed" <"$work/hold" >"$work/truth" &
churner=$!
exec 9>"$work/hold"
wait_frames 3
[ "${STARVE_S:-3}" = 0 ] || kill -STOP "$watcher"
sleep "${STARVE_S:-3}"
kill -CONT "$watcher"
while [ ! -s "$work/truth" ]; do
	kill -0 "$churner" 2>/dev/null || { echo "ledger.sh: the churn failed" >&2 && exit 5; }
	sleep 0.5
done
wait_frames 40 # a comparison with the kernel's tables comes every 5 to 30 s
tail -n 1 "$work/frames" >"$work/full"
exec 9>&-
wait "$churner"
wait_frames 5
tail -n 1 "$work/frames" >"$work/empty"
kill -INT "$watcher"
wait "$watcher"

/usr/bin/python3 - "$work" <<'PY'
import json, sys
work = sys.argv[1]
truth, full, empty = (json.load(open(f"{work}/{name}")) for name in ("truth", "full", "empty"))
frames = [json.loads(line) for line in open(f"{work}/frames")]
bad = 0

def check(what, got, want):
    global bad
    ok = got == want
    bad += not ok
    print(f"{'ok  ' if ok else 'FAIL'}  {what}: {got}" + ("" if ok else f", wanted {want}"))

for name, frame in (("while leaking", full), ("at the end", empty)):
    l = frame["ledger"]
    left = l["opened"] + l["adopted"] + l["moved_in"]
    right = l["closed"] + l["open"] + l["moved_out"] + l["lost"]
    print(f"{name}: opened {l['opened']} + adopted {l['adopted']} + moved_in {l['moved_in']} = closed {l['closed']}"
          f" + open {l['open']} + moved_out {l['moved_out']} + lost {l['lost']}")
    check("adds up", left, right)
    check("opened", l["opened"] + l["adopted"], truth["opened"])
    check("drift", frame["drift"], 0)
check("open while leaking", full["ledger"]["open"], truth["open"])
check("open at the end", empty["ledger"]["open"], 0)
starved = max(f["lost"] for f in frames)
# what the ledger cannot place may only be what the ring lost, and it must have been said
check("unplaced within what was lost", empty["ledger"]["lost"] <= starved, True)
print(f"{truth['processes']} processes, {full['repaired']} repaired; the ring lost {starved} records, which was said")
sys.exit(bad > 0)
PY
