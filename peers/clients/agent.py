"""An agent that calls one tool of every upstream of a route, again and again, until it is killed.

Usage: agent.py URL TOOL=JSON ... Prints `ready` once every tool has answered; ends with an error as
soon as one does not. Nothing but the standard library, so that many start quickly.
"""

import http.client
import json
import sys
import threading
import time
from urllib.parse import urlsplit

PATIENCE_SECS = 90
PAUSE_SECS = 0.3


class Agent:
    def __init__(self, url):
        self.url = urlsplit(url)
        self.headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        self.next = 0

    def send(self, verb, body=None):
        connection = http.client.HTTPConnection(self.url.netloc, timeout=PATIENCE_SECS)
        connection.request(verb, self.url.path, body and json.dumps(body), self.headers)
        return connection.getresponse()

    def ask(self, method, params):
        self.next += 1
        body = {"jsonrpc": "2.0", "id": self.next, "method": method, "params": params}
        reply = self.send("POST", body)
        session = reply.getheader("Mcp-Session-Id")
        if session:
            self.headers["Mcp-Session-Id"] = session
        answer = None
        if (reply.getheader("Content-Type") or "").startswith("text/event-stream"):
            for line in reply:
                if line.startswith(b"data:") and len(line) > 7:
                    message = json.loads(line[5:])
                    if message.get("id") == body["id"]:
                        answer = message
                        break
        else:
            text = reply.read()
            answer = json.loads(text) if text else None
        if reply.status != 200 or not answer or "result" not in answer:
            sys.exit(f"{method} {params.get('name', '')}: {reply.status} {answer}")
        return answer["result"]

    def begin(self):
        self.ask(
            "initialize",
            {
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": {"name": "agent", "version": "1"},
            },
        )
        self.headers["MCP-Protocol-Version"] = "2025-11-25"
        self.send("POST", {"jsonrpc": "2.0", "method": "notifications/initialized"}).read()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        connection = http.client.HTTPConnection(self.url.netloc)
        connection.request("GET", self.url.path, None, {**self.headers, "Accept": "text/event-stream"})
        for _ in connection.getresponse():
            pass


def main(url, calls):
    agent = Agent(url)
    agent.begin()
    ready = False
    while True:
        for call in calls:
            name, arguments = call.split("=", 1)
            agent.ask("tools/call", {"name": name, "arguments": json.loads(arguments)})
        if not ready:
            print("ready", flush=True)
            ready = True
        time.sleep(PAUSE_SECS)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
