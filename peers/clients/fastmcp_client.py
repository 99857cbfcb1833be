"""Walks a server with PyPI `fastmcp`."""

import asyncio
from contextlib import asynccontextmanager

import mcp_types as types
from fastmcp import Client
from mcp.client.subscriptions import listen
from walk import PLAN, main, walk

MODERN = "2026-07-28"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"


class Sdk:
    def __init__(self, client):
        self.client = client

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
                async for _ in subscription:
                    event.set()

            hearing = asyncio.ensure_future(hear())
            yield
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)


async def run(url, era, seen):
    answers = PLAN["answers"]

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
            seen.watched.set()

    async with Client(
        url,
        mode="legacy" if era == "legacy" else MODERN,
        roots=[types.Root.model_validate(root) for root in answers["roots"]],
        sampling_handler=sample,
        elicitation_handler=elicit,
        log_handler=log,
        message_handler=message,
        cache=False,
    ) as client:
        await walk(Sdk(client), seen)


if __name__ == "__main__":
    main(run)
