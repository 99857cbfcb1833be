"""A legacy MCP server on standard input and output that behaves as its argument says: `plain`,
`noisy` (writes to stderr without end), `stuck` (ends for nothing but SIGKILL), `family` (leaves a
process of a session of its own, which holds the pipes).

For the hygiene of child processes: nothing but the standard library, so that many start quickly.
"""

import json
import os
import signal
import subprocess
import sys
import time

TOOLS = [
    {"name": "whoami", "inputSchema": {"type": "object"}},
    {"name": "sleep", "inputSchema": {"type": "object"}},
]


def answer(message):
    method, params = message["method"], message.get("params", {})
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "scripted", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        if params["name"] == "sleep":
            time.sleep(float(params["arguments"]["seconds"]))
        return {"content": [{"type": "text", "text": str(os.getpid())}]}
    return {} if method == "ping" else None


def main(manner):
    if manner == "stuck":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if manner == "family":
        napping = [sys.executable, "-S", "-E", "-c", "import time; time.sleep(600)"]
        subprocess.Popen(napping, start_new_session=True)
    for line in sys.stdin:
        message = json.loads(line)
        if manner == "noisy":
            print("a line that nobody needs " * 40, file=sys.stderr, flush=True)
        if "id" not in message or "method" not in message:
            continue
        result = answer(message)
        reply = {"jsonrpc": "2.0", "id": message["id"]}
        if result is None:
            reply["error"] = {"code": -32601, "message": "unknown"}
        else:
            reply["result"] = result
        print(json.dumps(reply), flush=True)
    while manner == "stuck":
        time.sleep(60)


if __name__ == "__main__":
    main(sys.argv[1])
