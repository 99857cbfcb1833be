"""A scripted MCP server on stdio, of both eras, with the bad habits that tests ask for.

Arguments are habits from the start on (`crash`, `mute`, `junk`, `stuck`, `legacy`, `silent`); its
tools do the rest. With `SCRIPT_LOG` set, every line it receives is appended to that file.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

HABITS = set(sys.argv[1:])
WRITING = threading.Lock()
ANSWERS = {}
STATE = {"count": 0, "initialized": 0, "asked": 0, "uris": [], "level": None, "client": None}
MODERN = "2026-07-28"
TOOLS = [
    "echo", "sleep", "count", "state", "ask", "progress", "changed", "log", "junk", "half", "flood",
    "exit", "grandchild", "updated", "many", "ping", "env", "stderr", "deaf",
]


def raw(data):
    with WRITING:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def send(message):
    raw(json.dumps(message).encode() + b"\n")


def note(method, **params):
    send({"jsonrpc": "2.0", "method": method, "params": params})


def ask(method, params):
    """A request to the client; returns its answer."""
    STATE["asked"] += 1
    ident = f"ask-{os.getpid()}-{STATE['asked']}"
    ANSWERS[ident] = threading.Event(), []
    send({"jsonrpc": "2.0", "id": ident, "method": method, "params": params})
    event, answer = ANSWERS[ident]
    event.wait(20)
    return answer[0] if answer else None


def grandchild():
    """One that changes its session and ignores what can be ignored."""
    code = (
        "import os, signal, time; os.setsid();"
        "[signal.signal(s, signal.SIG_IGN) for s in (1, 2, 15)];"
        "print(os.getpid(), flush=True); time.sleep(600)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    return child.stdout.readline().decode().strip()


def call(params):
    name, given = params.get("name"), params.get("arguments", {})
    meta = params.get("_meta", {})
    token = meta.get("progressToken")
    if name == "echo":
        return given.get("text", "")
    if name == "sleep":
        time.sleep(given.get("seconds", 1))
        return "slept"
    if name == "count":
        STATE["count"] += 1
        return str(STATE["count"])
    if name == "state":
        return json.dumps(STATE | {"pid": os.getpid()})
    if name == "ask":
        time.sleep(given.get("after", 0))
        answer = ask(given.get("method", "elicitation/create"), {"message": "name?"})
        return json.dumps(answer)
    if name == "progress":
        for step in range(given.get("steps", 2)):
            note("notifications/progress", progressToken=token, progress=step + 1)
        time.sleep(given.get("seconds", 0))
        return "done"
    if name == "changed":
        note("notifications/tools/list_changed")
        return "changed"
    if name == "updated":
        note("notifications/resources/updated", uri=given["uri"])
        return "updated"
    if name == "log":
        for level in ("debug", "warning"):
            note("notifications/message", level=level, data=level)
        return "logged"
    if name == "junk":
        raw(b"Listening on stdio...\n\x1b[31mred\x1b[0m\n\n\xff\xfe\xfd\n[INFO] not json\n{broken\n\r\n")
        raw(b'{"neither": "request nor answer"}\n')
        sys.stderr.write("a line \x1b[31m for people\n")
        sys.stderr.flush()
        return "junk"
    if name == "half":
        raw(b'{"jsonrpc":"2.0",')
        time.sleep(0.05)
        raw(b'"method":"notifications/tools/list_changed"}\n')
        return "half"
    if name == "flood":
        block = b"x" * (1 << 20)
        raw(b"{")
        for _ in range(given.get("megabytes", 200)):
            raw(block)
        return "flooded"
    if name == "many":
        for step in range(given["messages"]):
            note("notifications/message", level="info", data="x" * given.get("bytes", 10))
        STATE["many"] = True
        return "many"
    if name == "stderr":
        for line in range(given["lines"]):
            sys.stderr.write(f"line {line} " + "y" * given.get("bytes", 10) + "\n")
        sys.stderr.flush()
        return "told"
    if name == "deaf":
        STATE["deaf"] = True
        return "deaf"
    if name == "exit":
        sys.stderr.write("fatal: told to exit\n")
        sys.stderr.flush()
        os._exit(given.get("code", 3))
    if name == "grandchild":
        return grandchild()
    if name == "ping":
        return json.dumps(ask("ping", {}))
    if name == "env":
        return json.dumps({"env": dict(os.environ), "cwd": os.getcwd()})
    return None


def result(message):
    """The result of a request, or an error."""
    method, params = message["method"], message.get("params", {})
    is_modern = "io.modelcontextprotocol/protocolVersion" in params.get("_meta", {})
    if is_modern and "silent" in HABITS:
        note("notifications/message", level="error", data="a request before initialize")
        return None
    if is_modern and "legacy" in HABITS:
        return {"error": {"code": -32600, "message": "initialize first"}}
    if method == "initialize":
        STATE["client"] = params.get("clientInfo", {}).get("name")
        STATE["initialized"] += 1
        return {
            "result": {
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {"listChanged": True}, "logging": {}},
                "serverInfo": {"name": "scripted", "version": "1"},
            }
        }
    if method == "server/discover":
        return {"result": {"resultType": "complete", "supportedVersions": [MODERN],
                           "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private"}}
    if method == "ping":
        return {"result": {}}
    if method == "tools/list":
        tools = [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]
        return {"result": {"tools": tools}}
    if method == "logging/setLevel":
        STATE["level"] = params["level"]
        return {"result": {}}
    if method == "resources/subscribe":
        STATE["uris"].append(params["uri"])
        return {"result": {}}
    if method == "resources/unsubscribe":
        STATE["uris"].remove(params["uri"])
        return {"result": {}}
    if method == "subscriptions/listen":
        meta = {"io.modelcontextprotocol/subscriptionId": message["id"]}
        note("notifications/subscriptions/acknowledged", notifications={"toolsListChanged": True}, _meta=meta)
        note("notifications/tools/list_changed", _meta=meta)
        STATE["listening"] = message["id"]
        return None
    if method == "tools/call":
        text = call(params)
        if text is None:
            return {"error": {"code": -32602, "message": "unknown tool"}}
        return {"result": {"content": [{"type": "text", "text": text}]}}
    return {"error": {"code": -32601, "message": f"no method {method}"}}


def serve(message):
    outcome = result(message)
    if outcome is not None:
        send({"jsonrpc": "2.0", "id": message["id"]} | outcome)


def main():
    if "crash" in HABITS:
        sys.stderr.write("fatal: DATABASE is not reachable\n")
        sys.exit(3)
    if "stuck" in HABITS:
        for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
    if "grandchild" in HABITS:
        grandchild()
    if "junk" in HABITS:
        raw(b"Welcome to the server!\n\xef\xbb\xbf\n")
    log = os.environ.get("SCRIPT_LOG")
    for line in sys.stdin.buffer:
        if log:
            with open(log, "ab") as file:
                file.write(line)
        if "mute" in HABITS:
            continue
        while STATE.get("deaf"):
            time.sleep(1)
        message = json.loads(line)
        if "method" not in message:
            event, answer = ANSWERS.get(message.get("id"), (None, None))
            if event:
                answer.append(message)
                event.set()
        elif "id" in message:
            threading.Thread(target=serve, args=(message,), daemon=True).start()
    while "stuck" in HABITS:
        time.sleep(1)


main()
