"""Walks an MCP server along plan.json and prints what it saw as one line of JSON.

What differs between the SDKs comes in as an object with the methods used below; what is the same
is here. Times, ids and ports are left out, so that two walks of one server can be compared.
"""

import asyncio
import json
import sys
from pathlib import Path

PLAN = json.loads(Path(__file__).with_name("plan.json").read_text(encoding="utf-8"))
PATIENCE_SECS = 10.0


def shown(content):
    """A content block as something short that can be compared."""
    block = content.model_dump(mode="json", by_alias=True, exclude_none=True)
    kind = block.get("type")
    if kind == "text":
        return ["text", block["text"]]
    if kind in ("image", "audio"):
        return [kind, block["mimeType"], len(block["data"])]
    if kind == "resource":
        return [kind, block["resource"]["uri"]]
    return [kind, block.get("uri")]


def read(content):
    """A resource's content, the same way."""
    block = content.model_dump(mode="json", by_alias=True, exclude_none=True)
    return [block["uri"], block.get("mimeType"), block.get("text", len(block.get("blob", "")))]


def refused(error):
    """An error as something that can be compared: its code where it has one."""
    inner = getattr(error, "error", None)
    return {"refused": getattr(inner, "code", None) or type(error).__name__}


class Seen:
    """What one walk saw."""

    def __init__(self):
        self.report = {"calls": [], "resources": {}, "prompts": {}}
        self.logs = []
        self.asked = []
        self.updates = []
        self.changed = asyncio.Event()
        self.watched = asyncio.Event()

    def hear(self, uri):
        if uri:
            self.updates.append(uri)

    def asking(self, what, answer):
        self.asked.append(what)
        return answer


async def until(holds, patience=PATIENCE_SECS):
    """Polls until something holds; says whether it did in time."""
    deadline = asyncio.get_running_loop().time() + patience
    while not holds():
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


async def walk(sdk, seen):
    """Does everything in the plan that the server offers."""
    report = seen.report
    report["version"] = sdk.version()
    names = [tool.name for tool in await sdk.tools()]
    report["tools"] = names
    if PLAN["change"]["trigger"] in names:
        report["changed"] = await told(sdk, seen.changed, PLAN["change"]["trigger"], tools=True)
    if PLAN["watch"]["trigger"] in names:
        report["watched"] = await told(
            sdk, seen.watched, PLAN["watch"]["trigger"], uri=PLAN["watch"]["uri"]
        )
    for call in PLAN["calls"]:
        if call["tool"] in names or call.get("always"):
            report["calls"].append([call["tool"], await called(sdk, call)])
    if PLAN["logging"]["tool"] in names:
        await called(sdk, {"tool": PLAN["logging"]["tool"], "arguments": {}})
        await until(lambda: len(seen.logs) >= PLAN["logging"]["messages"])
    if PLAN["cancel"]["tool"] in names:
        report["cancelled"] = await cancelled(sdk)
    await library(sdk, report)
    report["logs"] = seen.logs
    report["asked"] = seen.asked


async def called(sdk, call):
    progress = []

    async def on_progress(done, total, message=None):
        progress.append([done, total, message])

    try:
        result = await sdk.call(call["tool"], call["arguments"], on_progress)
    except Exception as error:  # Whatever the SDK raises is what its user sees.
        return refused(error)
    # The last notification may be handled just after the result.
    await asyncio.sleep(0.05)
    return {
        "error": bool(result.is_error),
        "content": [shown(block) for block in result.content],
        "structured": result.structured_content,
        "progress": progress,
    }


async def told(sdk, event, trigger, tools=False, uri=None):
    """Triggers a change until it is told: the stream it is told on may still be opening."""
    async with sdk.listening(tools=tools, uri=uri, event=event):
        for _ in range(20):
            await sdk.call(trigger, {}, None)
            try:
                await asyncio.wait_for(event.wait(), PATIENCE_SECS / 20)
                return True
            except TimeoutError:
                continue
    return False


async def cancelled(sdk):
    """Abandons a call, and asks the server whether it noticed."""
    cancel = PLAN["cancel"]

    async def count():
        return int((await sdk.call(cancel["counter"], {}, None)).content[0].text)

    before = await count()
    call = asyncio.ensure_future(sdk.call(cancel["tool"], cancel["arguments"], None))
    await asyncio.sleep(cancel["after_millis"] / 1000)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    for _ in range(50):
        if await count() > before:
            return True
        await asyncio.sleep(PATIENCE_SECS / 50)
    return False


async def library(sdk, report):
    offered = [str(resource.uri) for resource in await sdk.resources()]
    report["resources"]["listed"] = offered
    for uri in PLAN["resources"]:
        if uri in offered or ("template" in uri and "test://static-text" in offered):
            report["resources"][uri] = [read(content) for content in await sdk.read(uri)]
    offered = [prompt.name for prompt in await sdk.prompts()]
    report["prompts"]["listed"] = offered
    for prompt in PLAN["prompts"]:
        if prompt["name"] in offered:
            result = await sdk.prompt(prompt["name"], prompt["arguments"])
            report["prompts"][prompt["name"]] = [
                [message.role, shown(message.content)] for message in result.messages
            ]


def main(run):
    """Reads `URL --era ERA`, walks within two minutes, prints, and ends the process."""
    url, flag, era = sys.argv[1:4]
    if flag != "--era" or era not in ("legacy", "modern"):
        sys.exit("usage: CLIENT URL --era legacy|modern")
    seen = Seen()
    asyncio.run(asyncio.wait_for(run(url, era, seen), 120))
    print(json.dumps(seen.report, sort_keys=True))
