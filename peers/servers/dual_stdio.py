"""An MCP server on PyPI `mcp`, speaking both eras on its standard input and output, with fixed names.

A second opinion beside the everything-server on rmcp: it asks for what it needs the way the era of
the caller wants it, lists two templates, completes, reports progress, and tells subscribers of
either era. It stands behind stdio because most servers do.
"""

import asyncio
from typing import Annotated

import mcp_types as types
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve, Sample
from pydantic import BaseModel

MODERN = "2026-07-28"
WATCHED = "dual://watched"

server = MCPServer("dual-stdio", version="1", instructions="Ask before you delete.", log_level="ERROR")
subscribed = set()


class Name(BaseModel):
    name: str


class Place(BaseModel):
    uri: str
    visits: int


def ask_name():
    return Elicit("What is your name?", Name)


def ask_model(prompt: str):
    words = types.TextContent(type="text", text=prompt)
    return Sample([types.SamplingMessage(role="user", content=words)], max_tokens=50)


@server.tool()
def echo(message: str) -> str:
    """Answers its argument."""
    return message


@server.tool()
def greet(name: Annotated[Name, Resolve(ask_name)]) -> str:
    """Asks the user for a name and greets."""
    return f"Hello, {name.name}!"


@server.tool()
def consult(prompt: str, answer: Annotated[types.CreateMessageResult, Resolve(ask_model)]) -> str:
    """Asks the client's model."""
    return f"The model says of {prompt!r}: {answer.content.text}"


@server.tool()
async def climb(ctx: Context) -> str:
    """Reports progress three times, and logs once."""
    await ctx.info("climbing")
    for step in (1, 2, 3):
        await ctx.report_progress(step, 3, f"step {step}")
        await asyncio.sleep(0.02)
    return "there"


@server.tool()
def where() -> Place:
    """Answers structured content that happens to hold a URI."""
    return Place(uri="dual://plain", visits=3)


@server.tool(structured_output=False)
def links() -> list[types.ContentBlock]:
    """Answers a link to a resource, and a resource."""
    inside = types.TextResourceContents(uri="dual://plain", mime_type="text/plain", text="plain")
    return [
        types.ResourceLink(type="resource_link", uri="dual://item/7", name="seven"),
        types.EmbeddedResource(type="resource", resource=inside),
    ]


@server.tool()
async def touch(ctx: Context) -> str:
    """Tells subscribers that the watched resource changed."""
    if ctx.protocol_version == MODERN:
        await ctx.notify_resource_updated(WATCHED)
    elif WATCHED in subscribed:
        await ctx.session.send_resource_updated(WATCHED)
    return "touched"


@server.tool()
async def change(ctx: Context) -> str:
    """Tells listeners that the tools changed."""
    if ctx.protocol_version == MODERN:
        await ctx.notify_tools_changed()
    else:
        await ctx.session.send_tool_list_changed()
    return "changed"


@server.resource("dual://plain", mime_type="text/plain")
def plain() -> str:
    return "plain"


@server.resource(WATCHED, mime_type="text/plain")
def watched() -> str:
    return "watched"


@server.resource("dual://item/{number}", mime_type="text/plain")
def item(number: str) -> str:
    return f"item {number}"


@server.resource("dual://{shelf}/item/{number}", mime_type="application/json")
def shelved(shelf: str, number: str) -> dict[str, str]:
    return {"shelf": shelf, "number": number}


@server.prompt()
def plan(topic: str) -> str:
    """Plans something."""
    return f"Make a plan for {topic}."


@server.completion()
async def complete(ref, argument, _context):
    words = [f"{argument.value}{end}" for end in ("a", "b", "c")]
    about = getattr(ref, "name", None) or getattr(ref, "uri", None)
    return types.Completion(values=[f"{about}:{word}" for word in words], total=3, has_more=False)


async def subscribe(_ctx, params):
    subscribed.add(str(params.uri))
    return types.EmptyResult()


async def unsubscribe(_ctx, params):
    subscribed.discard(str(params.uri))
    return types.EmptyResult()


async def set_level(_ctx, _params):
    return types.EmptyResult()


if __name__ == "__main__":
    # The high-level server has no decorators for what only the legacy era has.
    legacy = server._lowlevel_server.add_request_handler
    legacy("resources/subscribe", types.SubscribeRequestParams, subscribe)
    legacy("resources/unsubscribe", types.UnsubscribeRequestParams, unsubscribe)
    legacy("logging/setLevel", types.SetLevelRequestParams, set_level)
    server.run("stdio")
