"""Walks a server, or tours an aggregate, with PyPI `mcp`."""

import asyncio
import sys
from contextlib import asynccontextmanager

import mcp_types as types
import refusals
import tour
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters
from walk import PLAN, main, walk

MODERN = "2026-07-28"


class Sdk:
    def __init__(self, client, seen):
        self.client, self.seen = client, seen

    def version(self):
        return self.client.protocol_version

    async def tools(self):
        return (await self.client.list_tools()).tools

    async def resources(self):
        return (await self.client.list_resources()).resources

    async def prompts(self):
        return (await self.client.list_prompts()).prompts

    async def read(self, uri):
        return (await self.client.read_resource(uri)).contents

    async def prompt(self, name, arguments):
        return await self.client.get_prompt(name, arguments)

    async def page(self, kind, cursor):
        lists = {"resourceTemplates": "resource_templates"}
        return await getattr(self.client, f"list_{lists.get(kind, kind)}")(cursor=cursor)

    async def read_whole(self, uri):
        return await self.client.read_resource(uri)

    async def complete(self, ref, argument):
        return await self.client.complete(tour.reference(ref), argument)

    async def level(self, level):
        return await self.client.set_logging_level(level)

    async def ping(self):
        return await self.client.send_ping()

    async def unsubscribe(self, uri):
        if self.version() == MODERN:
            return types.EmptyResult()
        return await self.client.unsubscribe_resource(uri)

    async def call(self, tool, arguments, on_progress):
        return await self.client.call_tool(tool, arguments, progress_callback=on_progress)

    @asynccontextmanager
    async def listening(self, tools, uri, event):
        if self.version() != MODERN:
            if uri:
                await self.client.subscribe_resource(uri)
            yield
            return
        uris = [uri] if uri else []
        async with self.client.listen(
            tools_list_changed=tools, resource_subscriptions=uris
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
    async def sample(_context, params):
        asked = params.messages[0].content.text
        answer = types.CreateMessageResult.model_validate(answers["sampling"])
        return seen.asking(["sampling", asked], answer)

    async def elicit(_context, params):
        answer = types.ElicitResult(action="accept", content=answers["elicitation"])
        return seen.asking(["elicitation", params.message], answer)

    async def roots(_context):
        answer = types.ListRootsResult.model_validate({"roots": answers["roots"]})
        return seen.asking(["roots"], answer)

    async def log(params):
        seen.logs.append([params.level, params.data])

    async def message(message):
        if isinstance(message, types.ToolListChangedNotification):
            seen.changed.set()
        if isinstance(message, types.ResourceUpdatedNotification):
            seen.hear(str(message.params.uri))
            seen.watched.set()

    if isinstance(target, dict):
        target = StdioServerParameters(**target)
    elif target.endswith("/sse"):
        target = sse_client(target)
    async with Client(
        target,
        mode=MODERN if era == "modern" else era,
        sampling_callback=sample,
        elicitation_callback=elicit,
        list_roots_callback=roots,
        logging_callback=log,
        log_level="info",
        message_handler=message,
        cache=None,
    ) as client:
        yield Sdk(client, seen)


async def run(url, era, seen):
    async with connect(url, era, seen, PLAN["answers"]) as sdk:
        await walk(sdk, seen)


if __name__ == "__main__":
    asked = {"--tour": tour.main, "--refusals": refusals.main}.get(sys.argv[1])
    asked(connect) if asked else main(run)
