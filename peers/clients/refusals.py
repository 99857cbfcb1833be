"""Meets a denial and a limit as an SDK's user does, and prints what was said.

Reads `--refusals JSON`: `url`, `era`, `allowed` and `denied` (tool, arguments), `turns`.
"""

import asyncio
import json
import re
import sys
import time

from walk import PLAN, Seen

LIMIT_SECS = 100


def shown(error):
    """All that an exception says, as its user could print it."""
    inner = getattr(error, "error", None)
    said = [str(error), str(getattr(inner, "message", "")), str(getattr(inner, "data", ""))]
    for other in getattr(error, "exceptions", []):
        said.append(shown(other))
    return " | ".join(text for text in said if text)


async def tried(sdk, call):
    try:
        result = await sdk.call(call["tool"], call["arguments"], None)
    except Exception as error:  # Whatever the SDK raises is what its user sees.
        return {"refused": shown(error)}
    texts = [getattr(block, "text", "") for block in result.content]
    failed = getattr(result, "isError", getattr(result, "is_error", False))
    return {"refused": " ".join(texts)} if failed else {"said": " ".join(texts)}


async def meet(connect, wanted):
    async with connect(wanted["url"], wanted["era"], Seen(), PLAN["answers"]) as sdk:
        report = {"tools": sorted(tool.name for tool in await sdk.tools())}
        report["denied"] = await tried(sdk, wanted["denied"])
        report["unknown"] = await tried(sdk, {**wanted["denied"], "tool": wanted["unknown"]})
        for turn in range(wanted["turns"]):
            answer = await tried(sdk, wanted["allowed"])
            if "refused" in answer:
                report["limited"], report["turns"] = answer["refused"], turn
                break
        wait = re.search(r"wait (\d+) s", report.get("limited", ""))
        if wait:
            began = time.monotonic()
            await asyncio.sleep(int(wait.group(1)))
            report["after"] = await tried(sdk, wanted["allowed"])
            report["waited"] = round(time.monotonic() - began)
    return report


def main(connect):
    wanted = json.loads(sys.argv[2])
    report = asyncio.run(asyncio.wait_for(meet(connect, wanted), LIMIT_SECS))
    print(json.dumps(report, sort_keys=True))
