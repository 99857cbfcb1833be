"""Tours the members of an aggregate along tour.json, or each of them directly, and prints what it saw.

The names are those an agent would use: `MEMBER__tool` and `tollgate+MEMBER:uri` on the aggregate.
Results are reported whole, so that the two tours can be compared to the last member.
"""

import asyncio
import json
import sys
from pathlib import Path

import mcp_types as types
from walk import Seen, until

TOUR = json.loads(Path(__file__).with_name("tour.json").read_text(encoding="utf-8"))
LIMIT_SECS = 140
PAGES_MAX = 100
KINDS = ("tools", "resources", "resourceTemplates", "prompts")


def dumped(value):
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


def refused(error):
    inner = getattr(error, "error", error)
    code = getattr(inner, "code", None)
    return {"refused": code or f"{type(error).__name__}: {error}", "data": getattr(inner, "data", None)}


def reference(ref):
    if ref["type"] == "ref/prompt":
        return types.PromptReference(**ref)
    return types.ResourceTemplateReference(**ref)


async def tried(work):
    try:
        return dumped(await work)
    except Exception as error:  # Whatever the SDK raises is what its user sees.
        return refused(error)


class Member:
    """One server, as it is called on this connection."""

    def __init__(self, name, hub):
        self.name, self.hub = name, hub
        self.plan = TOUR["members"][name]

    def named(self, name):
        return f"{self.name}__{name}" if self.hub else name

    def uri(self, uri):
        return f"tollgate+{self.name}:{uri}" if self.hub else uri


async def lists(sdk):
    """Every list, page by page."""
    seen = {}
    for kind in KINDS:
        items, cursor, pages = [], None, 0
        try:
            while pages == 0 or (cursor and pages < PAGES_MAX):
                page = dumped(await sdk.page(kind, cursor))
                items += page[kind]
                cursor, pages = page.get("nextCursor"), pages + 1
            seen[kind] = items
        except Exception as error:
            seen[kind] = refused(error)
        seen.setdefault("pages", {})[kind] = pages
    return seen


async def call(sdk, seen, member, plan):
    progress = []

    async def on_progress(done, total, message=None):
        progress.append([done, total, message])

    asked = len(seen.asked)
    result = await tried(sdk.call(member.named(plan["tool"]), plan["arguments"], on_progress))
    # The last notification may be handled just after the result.
    await asyncio.sleep(0.05)
    return [plan["tool"], result, progress, sorted(seen.asked[asked:])]


async def visit(sdk, seen, member, era):
    """Everything of the plan with one member, by feature."""
    plan, saw = member.plan, {}
    for it in plan.get("calls", []):
        if era in it.get("eras", [era]):
            saw.setdefault(it.get("feature", "calls"), []).append(await call(sdk, seen, member, it))
    for uri in plan.get("reads", []):
        read = await tried(sdk.read_whole(member.uri(uri)))
        saw.setdefault("reads", []).append([uri, read])
    for it in plan.get("prompts", []):
        got = await tried(sdk.prompt(member.named(it["name"]), it["arguments"]))
        saw.setdefault("prompts", []).append([it["name"], got])
    for it in plan.get("completions", []):
        if "prompt" in it:
            ref = {"type": "ref/prompt", "name": member.named(it["prompt"])}
        else:
            ref = {"type": "ref/resource", "uri": member.uri(it["template"])}
        got = await tried(sdk.complete(ref, it["argument"]))
        saw.setdefault("completion", []).append([it, got])
    if "watch" in plan:
        saw["updates"] = await told(sdk, seen, member, plan["watch"], uri=member.uri(plan["watch"]["uri"]))
    if "change" in plan:
        saw["changed"] = await told(sdk, seen, member, plan["change"], tools=True)
    if "log" in plan:
        seen.logs.clear()
        await call(sdk, seen, member, plan["log"])
        await until(lambda: len(seen.logs) >= plan["log"]["messages"])
        saw["logging"] = list(seen.logs)
    return saw


async def told(sdk, seen, member, plan, tools=False, uri=None):
    """Triggers a change until it is told; says what was told."""
    heard = seen.changed if tools else seen.watched
    heard.clear()
    seen.updates.clear()
    try:
        async with sdk.listening(tools=tools, uri=uri, event=heard):
            for turn in range(20):
                arguments = json.loads(json.dumps(plan["arguments"]).replace("{n}", str(turn)))
                await sdk.call(member.named(plan["tool"]), arguments, None)
                if await until(heard.is_set, 0.5):
                    break
        ended = await tried(sdk.unsubscribe(uri)) if uri else None
    except Exception as error:
        return refused(error)
    # A last update may come while something else is waited for.
    updates = sorted(set(seen.updates)) if uri else []
    return {"told": heard.is_set(), "updates": updates, "ended": ended}


async def session(connect, target, era, members, seen):
    """One connection: its lists, its members, and its lists again."""
    async with connect(target, era, seen, TOUR["answers"]) as sdk:
        report = {"version": sdk.version(), "level": None, "ping": None}
        legacy = report["version"] != "2026-07-28"
        if legacy:
            report["level"], report["ping"] = await tried(sdk.level("info")), await tried(sdk.ping())
        report["lists"] = await lists(sdk)
        spoken = "legacy" if legacy else "modern"
        report["members"] = {it.name: await visit(sdk, seen, it, spoken) for it in members}
        report["again"] = await lists(sdk) == report["lists"]
    return report


async def tour(connect, wanted):
    reports = {}
    if wanted["hub"]:
        members = [Member(it["name"], True) for it in wanted["members"]]
        reports["hub"] = await session(connect, wanted["hub"], wanted["era"], members, Seen())
    else:
        for it in wanted["members"]:
            member = Member(it["name"], False)
            try:
                report = await session(connect, it["target"], wanted["era"], [member], Seen())
            except Exception as error:
                report = refused(error)
            reports[it["name"]] = report
    return reports


def main(connect):
    """Reads `--tour JSON` (era, hub, members with targets, places), tours, prints."""
    wanted = json.loads(sys.argv[2])
    text = json.dumps(TOUR)
    for name, place in wanted["places"].items():
        text = text.replace("{" + name + "}", place)
    TOUR.update(json.loads(text))
    TOUR["answers"]["roots"] = [{"uri": f"file://{wanted['places']['files']}", "name": "files"}]
    reports = asyncio.run(asyncio.wait_for(tour(connect, wanted), LIMIT_SECS))
    print(json.dumps(reports, sort_keys=True))
