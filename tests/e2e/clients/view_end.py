# SPDX-License-Identifier: Apache-2.0
"""view_end.py COMMAND...: runs it on a terminal of its own until it shows the end of a recording.

Prints "end, exit CODE, N ticks": how it ended once q was pressed, and the cpu it took in the 2 s before.
"""
import os
import pty
import select
import sys
import time


def ticks(pid):
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def read_for(fd, seconds, wanted=None):
    """What is shown within this time, or until @wanted is."""
    shown, until = b"", time.monotonic() + seconds
    while time.monotonic() < until and not (wanted and wanted in shown):
        if select.select([fd], [], [], 0.1)[0]:
            try:
                shown += os.read(fd, 65536)
            except OSError:
                break
    return shown


pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(TERM="xterm", COLUMNS="100", LINES="24")
    os.execv(sys.argv[1], sys.argv[1:])
shown = read_for(terminal, 20, b"END OF THE RECORDING")
before = ticks(pid)
read_for(terminal, 2)
after = ticks(pid)
os.write(terminal, b"q")
read_for(terminal, 2)
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print("%s, exit %d, %d ticks" % ("end" if b"END OF THE RECORDING" in shown else "no end", code, after - before))
