"""Walks a server, or tours an aggregate, with PyPI `fastmcp`."""

import asyncio
import sys
from contextlib import asynccontextmanager

import mcp_types as types
import refusals
import tour
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from mcp.client.subscriptions import listen
from walk import PLAN, main, walk

MODERN = "2026-07-28"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"


class Sdk:
    def __init__(self, client, seen):
        self.client, self.seen = client, seen

    def version(self):
        return self.client.protocol_version

    async def tools(self):
        return await self.client.list_tools()

    async def resources(self):
        return await self.client.list_resources()

    async def prompts(self):
        return await self.client.list_prompts()

    async def read(self, uri):
        return await self.client.read_resource(uri)

    async def prompt(self, name, arguments):
        return await self.client.get_prompt(name, arguments)

    async def page(self, kind, cursor):
        lists = {"resourceTemplates": "resource_templates"}
        return await getattr(self.client, f"list_{lists.get(kind, kind)}_mcp")(cursor=cursor)

    async def read_whole(self, uri):
        return await self.client.read_resource_mcp(uri)

    async def complete(self, ref, argument):
        return await self.client.complete_mcp(tour.reference(ref), argument)

    async def level(self, level):
        await self.client.set_logging_level(level)
        return types.EmptyResult()

    async def ping(self):
        await self.client.ping()
        return types.EmptyResult()

    async def unsubscribe(self, uri):
        if self.version() == MODERN:
            return types.EmptyResult()
        return await self.client.session.unsubscribe_resource(uri)

    async def call(self, tool, arguments, on_progress):
        meta = {LOG_LEVEL: "info"} if self.version() == MODERN else None
        return await self.client.call_tool_mcp(
            tool, arguments, progress_handler=on_progress, meta=meta
        )

    @asynccontextmanager
    async def listening(self, tools, uri, event):
        if self.version() != MODERN:
            if uri:
                await self.client.session.subscribe_resource(uri)
            yield
            return
        uris = [uri] if uri else []
        async with listen(
            self.client.session, tools_list_changed=tools, resource_subscriptions=uris
        ) as subscription:

            async def hear():
                async for told in subscription:
                    self.seen.hear(getattr(told, "uri", None))
                    event.set()

            hearing = asyncio.ensure_future(hear())
            yield
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)


@asynccontextmanager
async def connect(target, era, seen, answers):
    async def sample(messages, _params, _context):
        answer = types.CreateMessageResult.model_validate(answers["sampling"])
        return seen.asking(["sampling", messages[0].content.text], answer)

    async def elicit(message, _kind, _params, _context):
        return seen.asking(["elicitation", message], answers["elicitation"])

    async def log(params):
        seen.logs.append([params.level, params.data])

    async def message(message):
        if isinstance(message, types.ToolListChangedNotification):
            seen.changed.set()
        if isinstance(message, types.ResourceUpdatedNotification):
            seen.hear(str(message.params.uri))
            seen.watched.set()

    if isinstance(target, dict):
        target = StdioTransport(**target, keep_alive=False)
    async with Client(
        target,
        mode=MODERN if era == "modern" else era,
        roots=[types.Root.model_validate(root) for root in answers["roots"]],
        sampling_handler=sample,
        elicitation_handler=elicit,
        log_handler=log,
        message_handler=message,
        cache=False,
    ) as client:
        yield Sdk(client, seen)


async def run(url, era, seen):
    async with connect(url, era, seen, PLAN["answers"]) as sdk:
        await walk(sdk, seen)


if __name__ == "__main__":
    asked = {"--tour": tour.main, "--refusals": refusals.main}.get(sys.argv[1])
    asked(connect) if asked else main(run)
