"""Times Jupyter kernels through jupyter_client, side by side. Arguments: starts, cells, then NAME=DIALECT (typescript | python) each.
One JSON line on stdout, {name: {row: ...}}; milliseconds. `null`: no answer in time, or the next cell did not run."""
import json
import statistics
import sys
import time

from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpecManager

STARTS, CELLS = int(sys.argv[1]), int(sys.argv[2])
KERNELS = dict(word.split("=") for word in sys.argv[3:])
LIMIT = 30
LINES = 20_000
AGED = 500
ROUNDS = 3
FIRST = 30

CODE = {
    "typescript": {
        "long": "\n".join(
            f"interface P{i} {{ x: number; y: string }}\nfunction f{i}(p: P{i}): number {{ return p.x + p.y.length }}\n"
            f"const v{i} = [1, 2, 3].map((n) => f{i}({{ x: n, y: 'a'.repeat(n) }})).filter((n) => n > {i})"
            for i in range(20)
        ),
        "age": "const a{0} = [{1}, 2, 3].map((x) => x + 1)\na{0}",
        "print": f"for (let i = 0; i < {LINES}; i++) console.log('line ' + i)",
        "names": "const samples = [1, 2, 3]; samples.",
        "busy": "console.log('go'); const until = Date.now() + 3000; while (Date.now() < until) {}",
        "interrupts": {
            "a synchronous loop": "console.log('go'); while (true) {}",
            "a loop after an await": "console.log('go'); await 1; while (true) {}",
            "a pending await": "console.log('go'); await new Promise(() => {})",
            "a sleeping child": "console.log('go'); require('node:child_process').execSync('sleep 60')",
            "input": "console.log('go'); await input('?')",
        },
    },
    "python": {
        "long": "\n".join(
            f"class P{i}:\n    x = 1\ndef f{i}(p): return p['x'] + len(p['y'])\n"
            f"v{i} = [n for n in (f{i}(dict(x=n, y='a' * n)) for n in [1, 2, 3]) if n > {i}]\n"
            for i in range(15)
        ),
        "age": "a{0} = [x + 1 for x in [{1}, 2, 3]]\na{0}",
        "print": f"for i in range({LINES}): print('line', i)",
        "names": "samples = [1, 2, 3]\nsamples.",
        "busy": "import time\nprint('go', flush=True)\nuntil = time.time() + 3\nwhile time.time() < until: pass",
        "interrupts": {
            "a synchronous loop": "print('go', flush=True)\nwhile True: pass",
            "a loop after an await": "import asyncio\nprint('go', flush=True)\nawait asyncio.sleep(0)\nwhile True: pass",
            "a pending await": "import asyncio\nprint('go', flush=True)\nawait asyncio.sleep(1000)",
            "a sleeping child": "import subprocess\nprint('go', flush=True)\nsubprocess.run(['sleep', '60'])",
            "input": "print('go', flush=True)\ninput('?')",
        },
    },
}


class Session:
    def __init__(self, name, encryption="disabled"):
        self.manager = KernelManager(kernel_name=name, transport_encryption=encryption)
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.code = CODE[KERNELS[name]]

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
        done = self.idle(self.client.execute(code, allow_stdin=False), each)
        return elapsed(begin) if done else None

    def interrupt(self, code):
        """From the interrupt to idle, once the cell has begun to print; None unless the next cell runs."""
        asked = []

        def look(message):
            if message["msg_type"] == "stream" and not asked:
                time.sleep(0.2)
                asked.append(time.perf_counter())
                self.manager.interrupt_kernel()

        if not self.idle(self.client.execute(code, allow_stdin=True), look, limit=10) or not asked:
            return None
        took = elapsed(asked[0])
        return took if self.run("1") is not None else None

    def ask(self, method, limit=LIMIT):
        """A question about code, on the shell channel."""
        begin = time.perf_counter()
        request = getattr(self.client, method)(self.code["names"] if method == "complete" else "samples")
        until = time.monotonic() + limit
        while time.monotonic() < until:
            try:
                reply = self.client.get_shell_msg(timeout=0.5)
            except Exception:
                continue
            if reply["parent_header"].get("msg_id") == request:
                content = reply["content"]
                return elapsed(begin) if content.get("matches") or content.get("found") else None
        return None

    def ask_busy(self, method, times):
        """The same through a subshell while a cell spins, or on the shell where there are none."""
        subshell = self.control("create_subshell_request").get("subshell_id")
        values = []
        running = self.client.execute(self.code["busy"])
        self.idle(running, lambda message: None, limit=0.3)
        begin = time.monotonic()
        while len(values) < times and time.monotonic() - begin < 2.4:
            content = (
                {"code": self.code["names"], "cursor_pos": len(self.code["names"])}
                if method == "complete"
                else {"code": "samples", "cursor_pos": 7, "detail_level": 0}
            )
            message = self.client.session.msg(f"{method}_request", content)
            if subshell:
                message["header"]["subshell_id"] = subshell
            start = time.perf_counter()
            self.client.shell_channel.send(message)
            answered = False
            while time.monotonic() - begin < 2.4:
                try:
                    reply = self.client.get_shell_msg(timeout=0.05)
                except Exception:
                    continue
                if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                    answered = True
                    break
            values.append(elapsed(start) if answered else None)
        while self.run("1") is None:
            pass
        return spread(values)

    def control(self, kind):
        message = self.client.session.msg(kind, {})
        self.client.control_channel.send(message)
        try:
            return self.client.get_control_msg(timeout=5)["content"]
        except Exception:
            return {}


def elapsed(begin):
    return (time.perf_counter() - begin) * 1000


def spread(values):
    values = sorted(v for v in values if v is not None)
    if not values:
        return None
    return {"median": statistics.median(values), "p95": values[min(len(values) - 1, int(len(values) * 0.95))], "n": len(values)}


def whole(measure, name):
    """What a kernel that dies or falls silent leaves unmeasured is no answer."""
    try:
        return measure(name)
    except Exception as error:
        print(f"{name}: {error}", file=sys.stderr)
        return {}


def start(name, encryption="disabled"):
    begin = time.perf_counter()
    session = Session(name, encryption)
    session.run("1")
    return session, elapsed(begin)


def turns():
    """Cells of all kernels in turns, each kernel started anew ROUNDS times: the first after a start, warm ones, long ones."""
    taken = {name: {"first": [], "short": [], "long": []} for name in KERNELS}
    for _ in range(ROUNDS):
        sessions = {name: start(name)[0] for name in KERNELS}
        each = CELLS // ROUNDS + 1
        for kind, times in (("first", FIRST), ("short", each), (None, 2), ("long", each)):
            for _ in range(times):
                for name, session in sessions.items():
                    took = session.run("1" if kind in ("first", "short") else session.code["long"])
                    if kind:
                        taken[name][kind].append(took)
        for session in sessions.values():
            session.stop()
    own = taken[next(iter(KERNELS))]
    rows = {}
    for name, kinds in taken.items():
        rows[name] = {kind: spread(values) for kind, values in kinds.items()}
        rows[name]["ratios"] = {
            kind: spread([a / b for a, b in zip(own[kind], values) if a and b]) for kind, values in kinds.items()
        }
    return rows


def cells(name):
    young, _ = start(name)
    old, _ = start(name)
    code = old.code
    for i in range(AGED):
        old.run(code["age"].format(i % 50, i))
    young.run(code["long"])
    pairs = [(young.run("1"), old.run("1")) for _ in range(CELLS)]
    ratios = [b / a for a, b in pairs if a and b]
    young.run(code["names"].rstrip(".") if KERNELS[name] == "python" else "const samples = [1, 2, 3]")
    row = {
        "aged": spread([b for _, b in pairs]),
        "growth": spread(ratios),
        "complete": spread([young.ask("complete") for _ in range(max(5, CELLS // 2))]),
        "inspect": spread([young.ask("inspect") for _ in range(max(5, CELLS // 2))]),
        "completeBusy": young.ask_busy("complete", 25),
        "inspectBusy": young.ask_busy("inspect", 25),
    }
    young.stop()
    printed = []
    row["linesMs"] = old.run(code["print"], lambda m: printed.append(m["content"]["text"]) if m["msg_type"] == "stream" else None)
    row["lines"] = "".join(printed).count("\n")
    old.stop()
    return row


def encrypted(name):
    """A cell through a connection that is encrypted, and through one that is not, in turns. For kernels that can."""
    if "curve" not in KernelSpecManager().get_kernel_spec(name).metadata.get("supported_encryption", []):
        return {}
    plain, _ = start(name)
    secret, _ = start(name, "required")
    plain.run("1"), secret.run("1")
    pairs = [(plain.run("1"), secret.run("1")) for _ in range(CELLS)]
    plain.stop()
    secret.stop()
    return {"encrypted": spread([b for _, b in pairs]), "encryption": spread([b / a for a, b in pairs if a and b])}


def interrupts(name):
    """Each asked of a fresh kernel: what one case leaves must not hurt another."""
    row = {}
    for case, code in CODE[KERNELS[name]]["interrupts"].items():
        session, _ = start(name)
        values = []
        for _ in range(5):
            values.append(session.interrupt(code))
            if values[-1] is None:
                break
        row[case] = spread(values) if None not in values else None
        session.stop()
    return row


starts = {name: [] for name in KERNELS}
for _ in range(STARTS):  # in turns: what else the machine does meets all of them
    for name in KERNELS:
        session, took = start(name)
        starts[name].append(took)
        session.stop()
in_turns = turns()
result = {}
for name in KERNELS:
    measured = {**in_turns[name], **whole(cells, name), **whole(encrypted, name)}
    result[name] = {"start": spread(starts[name]), **measured, "interrupts": whole(interrupts, name)}
print(json.dumps(result))
