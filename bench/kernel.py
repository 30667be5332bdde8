"""Times one Jupyter kernel through jupyter_client. Arguments: kernel name, dialect (typescript | python), starts, cells.
One JSON line on stdout; milliseconds. `null` where the kernel gave no answer in time or has no such thing."""
import json
import statistics
import sys
import time

from jupyter_client import KernelManager

NAME, DIALECT, STARTS, CELLS = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
LIMIT = 30
LINES = 20_000

if DIALECT == "typescript":
    LONG = "\n".join(
        f"interface P{i} {{ x: number; y: string }}\nfunction f{i}(p: P{i}): number {{ return p.x + p.y.length }}\n"
        f"const v{i} = [1, 2, 3].map((n) => f{i}({{ x: n, y: 'a'.repeat(n) }})).filter((n) => n > {i})"
        for i in range(20)
    )
    PRINT = f"for (let i = 0; i < {LINES}; i++) console.log('line ' + i)"
    LOOP = "console.log('go'); while (true) {}"
    WAIT = "console.log('go'); await new Promise(() => {})"
    NAMES, AT = "const samples = [1, 2, 3]; samples.", None
else:
    LONG = "\n".join(
        f"class P{i}:\n    x = 1\ndef f{i}(p): return p['x'] + len(p['y'])\n"
        f"v{i} = [n for n in (f{i}(dict(x=n, y='a' * n)) for n in [1, 2, 3]) if n > {i}]\n"
        for i in range(15)
    )
    PRINT = f"for i in range({LINES}): print('line', i)"
    LOOP = "print('go', flush=True)\nwhile True: pass"
    WAIT = "print('go', flush=True)\nimport asyncio\nawait asyncio.sleep(1000)"
    NAMES, AT = "samples = [1, 2, 3]\nsamples.", None


class Session:
    def __init__(self):
        self.manager = KernelManager(kernel_name=NAME)
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def stop(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def idle(self, request, each=lambda message: None, limit=LIMIT):
        until = time.monotonic() + limit
        while time.monotonic() < until:
            try:
                message = self.client.get_iopub_msg(timeout=max(0.01, until - time.monotonic()))
            except Exception:
                return False
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return True
            each(message)
        return False

    def run(self, code, each=lambda message: None):
        begin = time.perf_counter()
        done = self.idle(self.client.execute(code), each)
        return (time.perf_counter() - begin) * 1000 if done else None

    def interrupt(self, code):
        """From the interrupt to idle, once the cell has begun to print; then whether the next cell runs."""
        asked = []

        def look(message):
            if message["msg_type"] == "stream" and not asked:
                time.sleep(0.2)
                asked.append(time.perf_counter())
                self.manager.interrupt_kernel()

        if not self.idle(self.client.execute(code), look, limit=10) or not asked:
            return None
        took = (time.perf_counter() - asked[0]) * 1000
        return took if self.run("1") is not None else None


def spread(values):
    values = sorted(v for v in values if v is not None)
    if not values:
        return None
    return {"median": statistics.median(values), "p95": values[min(len(values) - 1, int(len(values) * 0.95))], "n": len(values)}


def start():
    begin = time.perf_counter()
    session = Session()
    session.run("1")
    return session, (time.perf_counter() - begin) * 1000


def complete(session):
    begin = time.perf_counter()
    request = session.client.complete(NAMES)
    reply = session.client.get_shell_msg(timeout=LIMIT)
    while reply["parent_header"].get("msg_id") != request:
        reply = session.client.get_shell_msg(timeout=LIMIT)
    return (time.perf_counter() - begin) * 1000 if reply["content"].get("matches") else None


starts = []
for _ in range(STARTS):
    session, took = start()
    starts.append(took)
    session.stop()
session, _ = start()
short = [session.run("1") for _ in range(CELLS)]
session.run(LONG)
long = [session.run(LONG) for _ in range(max(5, CELLS // 2))]
completions = [complete(session) for _ in range(max(5, CELLS // 2))]
later = [session.run("1") for _ in range(CELLS)]
printed = []
lines_ms = session.run(PRINT, lambda m: printed.append(m["content"]["text"]) if m["msg_type"] == "stream" else None)
lines = "".join(printed).count("\n")
result = {
    "start": spread(starts),
    "short": spread(short),
    "long": spread(long),
    "later": spread(later),
    "complete": spread(completions),
    "lines": lines,
    "linesMs": lines_ms,
}
for case, code in (("loop", LOOP), ("wait", WAIT)):  # each asked of a fresh kernel: what the one leaves must not hurt the other
    session.stop()
    session, _ = start()
    result[case] = session.interrupt(code)
session.stop()
print(json.dumps(result))
