"""Walks a server with PyPI `mcp`."""

import asyncio
from contextlib import asynccontextmanager

import mcp_types as types
from mcp import Client
from walk import PLAN, main, walk

MODERN = "2026-07-28"


class Sdk:
    def __init__(self, client):
        self.client = client

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
                async for _ in subscription:
                    event.set()

            hearing = asyncio.ensure_future(hear())
            yield
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)


async def run(url, era, seen):
    answers = PLAN["answers"]

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
            seen.watched.set()

    async with Client(
        url,
        mode="legacy" if era == "legacy" else MODERN,
        sampling_callback=sample,
        elicitation_callback=elicit,
        list_roots_callback=roots,
        logging_callback=log,
        log_level="info",
        message_handler=message,
        cache=None,
    ) as client:
        await walk(Sdk(client), seen)


if __name__ == "__main__":
    main(run)
