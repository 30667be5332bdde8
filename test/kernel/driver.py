"""A Jupyter client for the tests: starts the kernel through jupyter_client, passes messages on as JSON lines, and checks
each one that the kernel sends against the messaging specification.

Lines in:  {"op": "send", "channel", "type", "content", "metadata", "buffers"} · {"op": "raw", "channel", "frames"} ·
           {"op": "beat"} · {"op": "signal", "name"} · {"op": "restart"} · {"op": "stop"}      (buffers, frames: base64)
Lines out: {"op": "started", "pid", "connection"} · {"op": "sent", "id"} · {"op": "message", ...} · {"op": "done"}
"""
import base64
import json
import os
import signal
import sys

import zmq
from jsonschema import ValidationError
from jupyter_client import KernelManager
from jupyter_kernel_test.msgspec_v5 import schema_fragments, validate_message

CHANNELS = ["shell", "control", "stdin", "iopub"]
AT_ONCE = 100


def say(**line):
    sys.stdout.write(json.dumps(line, default=str) + "\n")
    sys.stdout.flush()


def complaint(message):
    kind = message["header"]["msg_type"]
    if kind == "input_request":  # this list wants a number for "password", the specification a boolean
        return None if isinstance(message["content"].get("password"), bool) else "input_request: password is no boolean"
    if kind in schema_fragments and not (message["content"].get("status") == "aborted"):
        try:
            validate_message(message, kind)
        except (ValidationError, AssertionError) as error:
            return f"{kind}: {error}"[:500]
    return None


def connect(manager):
    client = manager.client()
    client.session.check_pid = False
    sockets = {name: getattr(client, f"{name}_channel").socket for name in CHANNELS}
    connection = dict(manager.get_connection_info(), key=client.session.key.decode())
    say(op="started", pid=manager.provisioner.process.pid, connection=connection)
    return client, sockets


def receive(client, channel, socket):
    """What has come, but not for ever: a kernel that prints without end must not keep orders from being heard."""
    for _ in range(AT_ONCE):
        try:
            _, message = client.session.recv(socket, mode=zmq.NOBLOCK)
        except Exception as error:  # a wrongly signed message of the kernel
            say(op="message", channel=channel, invalid=str(error), type="?", parent=None, content={}, metadata={}, buffers=[])
            return
        if message is None:
            return
        say(
            op="message",
            channel=channel,
            type=message["header"]["msg_type"],
            version=message["header"]["version"],
            id=message["header"]["msg_id"],
            parent=message["parent_header"].get("msg_id"),
            content=message["content"],
            metadata=message["metadata"],
            buffers=[base64.b64encode(bytes(b)).decode() for b in message["buffers"]],
            invalid=complaint(message),
        )


def main():
    encryption = os.environ.get("TRANSPORT_ENCRYPTION", "disabled")
    manager = KernelManager(kernel_name=sys.argv[1], transport_encryption=encryption)
    manager.start_kernel(cwd=sys.argv[2])
    client, sockets = connect(manager)
    rest = b""
    while True:
        poller = zmq.Poller()
        poller.register(0, zmq.POLLIN)
        for socket in sockets.values():
            poller.register(socket, zmq.POLLIN)
        ready = dict(poller.poll())
        for name, socket in sockets.items():
            if socket in ready:
                receive(client, name, socket)
        if 0 not in ready:
            continue
        chunk = os.read(0, 1 << 20)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            order = json.loads(line)
            op = order["op"]
            if op == "send":
                message = client.session.msg(order["type"], order["content"], metadata=order.get("metadata"))
                if order.get("parent"):
                    message["parent_header"] = {"msg_id": order["parent"]}
                if order.get("subshell"):
                    message["header"]["subshell_id"] = order["subshell"]
                buffers = [base64.b64decode(b) for b in order.get("buffers", [])]
                client.session.send(sockets[order["channel"]], message, buffers=buffers)
                say(op="sent", id=message["header"]["msg_id"])
            elif op == "beat":
                heart = manager.connect_hb()
                heart.linger = 0
                heart.send(b"beat")
                say(op="done", answered=bool(heart.poll(5000)) and heart.recv() == b"beat")
                heart.close()
            elif op == "raw":
                sockets[order["channel"]].send_multipart([base64.b64decode(f) for f in order["frames"]])
                say(op="done")
            elif op == "signal":
                os.kill(manager.provisioner.process.pid, getattr(signal, order["name"]))
                say(op="done")
            elif op == "alive":
                say(op="done", alive=manager.is_alive())
            elif op == "restart":
                manager.restart_kernel()
                client, sockets = connect(manager)
                say(op="done")
        if not chunk or any(json.loads(line)["op"] == "stop" for line in lines):
            manager.shutdown_kernel()
            say(op="done")
            return


main()
