"""An MCP server on PyPI `fastmcp`, speaking both eras at /mcp, with the names that the conformance
suite and the clients in ../clients look for.

A second opinion beside the everything-server on rmcp: it keeps an event store, closes streams in
the middle of a call, and lets clients resume them. Prints `listening HOST:PORT`.
"""

import asyncio
import base64
import json
import socket

import mcp_types as types
import uvicorn
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.prompts import Message
from fastmcp.server.event_store import EventStore
from fastmcp.tools import ToolResult
from mcp_types import InputRequiredResult

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
RETRY_MILLIS = 200

server = FastMCP("fastmcp-server", version="1")
waits_cancelled = 0


def text(words):
    return types.TextContent(type="text", text=words)


def image():
    return types.ImageContent(type="image", data=PNG, mime_type="image/png")


def embedded(uri, kind, words):
    inner = types.TextResourceContents(uri=uri, mime_type=kind, text=words)
    return types.EmbeddedResource(type="resource", resource=inner)


def plain(*content):
    return ToolResult(content=list(content))


@server.tool
def echo(message: str):
    """Answers its argument."""
    return plain(text(json.dumps({"message": message}, ensure_ascii=False)))


@server.tool
def test_simple_text():
    """Answers one text."""
    return plain(text("This is a simple text response for testing."))


@server.tool
def test_image_content():
    """Answers one image."""
    return plain(image())


@server.tool
def test_audio_content():
    """Answers one sound."""
    return plain(types.AudioContent(type="audio", data=WAV, mime_type="audio/wav"))


@server.tool
def test_embedded_resource():
    """Answers one embedded resource."""
    words = "This is an embedded resource content."
    return plain(embedded("test://embedded-resource", "text/plain", words))


@server.tool
def test_multiple_content_types():
    """Answers text, image and resource."""
    words = json.dumps({"test": "data", "value": 123})
    resource = embedded("test://mixed-content-resource", "application/json", words)
    return plain(text("Multiple content types test:"), image(), resource)


@server.tool
def test_error_handling():
    """Answers an error of the tool."""
    raise ToolError("This tool intentionally returns an error for testing")


@server.tool
async def test_tool_with_logging(ctx: Context):
    """Logs three messages while it works."""
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(words)
        await asyncio.sleep(0.05)
    return plain(text("Tool with logging executed successfully"))


@server.tool
async def test_tool_with_progress(ctx: Context):
    """Reports progress three times while it works."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100, f"Completed step {done} of 100")
        await asyncio.sleep(0.05)
    return plain(text("Tool with progress executed successfully"))


@server.tool
async def test_sampling(prompt: str, ctx: Context):
    """Asks the client's model."""
    message = types.SamplingMessage(role="user", content=text(prompt))
    answer = await ctx.session.create_message(
        messages=[message], max_tokens=100, related_request_id=ctx.request_id
    )
    return plain(text(f"LLM response: {answer.content.text}"))


async def ask(ctx, message, properties, required=()):
    schema = {"type": "object", "properties": properties, "required": list(required)}
    answer = await ctx.session.elicit_form(
        message, schema, related_request_id=ctx.request_id
    )
    content = json.dumps(answer.content)
    return plain(text(f"User response: action={answer.action}, content={content}"))


@server.tool
async def test_elicitation(message: str, ctx: Context):
    """Asks the user."""
    word = {"type": "string", "description": "User's response"}
    properties = {"username": word, "email": word}
    return await ask(ctx, message, properties, ("username", "email"))


@server.tool
async def test_elicitation_sep1034_defaults(ctx: Context):
    """Asks the user for values that have defaults."""
    states = ["active", "inactive", "pending"]
    properties = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": states, "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await ask(ctx, "Please review these defaults", properties)


@server.tool
async def test_elicitation_sep1330_enums(ctx: Context):
    """Asks the user to choose, in each shape of enum."""
    options = ["option1", "option2", "option3"]

    def titled(*titles):
        return [{"const": f"value{n}", "title": title} for n, title in enumerate(titles, 1)]

    names = ["Option One", "Option Two", "Option Three"]
    many = titled("First Choice", "Second Choice", "Third Choice")
    one = titled("First Option", "Second Option", "Third Option")
    properties = {
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {"type": "string", "oneOf": one},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": names},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "items": {"anyOf": many}},
    }
    return await ask(ctx, "Please choose", properties)


@server.tool
async def test_reconnection(ctx: Context):
    """Closes its stream in the middle; the answer is there for who resumes it."""
    await ctx.close_sse_stream()
    await asyncio.sleep(0.1)
    return plain(text("Reconnection test completed"))


def question(field, message):
    schema = {"type": "object", "properties": {field: {"type": "string"}}, "required": [field]}
    params = types.ElicitRequestFormParams(message=message, requested_schema=schema)
    return types.ElicitRequest(params=params)


def sampling_question(words):
    message = types.SamplingMessage(role="user", content=text(words))
    params = types.CreateMessageRequestParams(messages=[message], max_tokens=100)
    return types.CreateMessageRequest(params=params)


def answered(ctx, questions):
    """The client's answers, or the result that asks for them."""
    answers = ctx.input_responses or {}
    if all(key in answers for key in questions):
        return answers, None
    return None, InputRequiredResult(input_requests=questions)


@server.tool
async def test_input_required_result_elicitation(ctx: Context):
    """Needs one answer of the user."""
    answers, asking = answered(ctx, {"user_name": question("name", "What is your name?")})
    if asking:
        return asking
    return plain(text(f"Hello, {answers['user_name'].content['name']}!"))


@server.tool
async def test_input_required_result_sampling(ctx: Context):
    """Needs one answer of the model."""
    asked = sampling_question("What is the capital of France?")
    answers, asking = answered(ctx, {"capital_question": asked})
    return asking or plain(text(f"The model says: {answers['capital_question'].content.text}"))


@server.tool
async def test_input_required_result_list_roots(ctx: Context):
    """Needs the client's roots."""
    answers, asking = answered(ctx, {"client_roots": types.ListRootsRequest()})
    return asking or plain(text(f"The roots are: {len(answers['client_roots'].roots)}"))


@server.tool
async def test_input_required_result_multiple_inputs(ctx: Context):
    """Needs three answers at once."""
    _, asking = answered(
        ctx,
        {
            "user_name": question("name", "What is your name?"),
            "greeting": sampling_question("Say hello in one sentence"),
            "client_roots": types.ListRootsRequest(),
        },
    )
    if asking:
        return InputRequiredResult(input_requests=asking.input_requests, request_state="asked")
    return plain(text("All three answers are here"))


@server.tool
async def count(ctx: Context):
    """Counts the calls of this session; without a session it is always the first."""
    calls = ((await ctx.get_state("calls")) or 0) + 1
    await ctx.set_state("calls", calls)
    return plain(text(str(calls)))


@server.tool
async def wait(millis: int):
    """Waits until it is cancelled or over."""
    global waits_cancelled
    try:
        await asyncio.sleep(min(millis, 60_000) / 1000)
    except asyncio.CancelledError:
        waits_cancelled += 1
        raise
    return plain(text("waited"))


@server.tool(name="waits_cancelled")
def waits_cancelled_so_far():
    """Says how many calls of `wait` were cancelled."""
    return plain(text(str(waits_cancelled)))


@server.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    return base64.b64decode(PNG)


@server.resource("test://watched-resource", mime_type="text/plain")
def watched_resource() -> str:
    return "watched"


@server.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@server.prompt
def test_simple_prompt() -> str:
    """One message."""
    return "This is a simple prompt for testing."


@server.prompt
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """One message from two arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@server.prompt
def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:
    """A resource and a message."""
    words = "Embedded resource content for testing."
    return [
        Message(embedded(resourceUri, "text/plain", words)),
        Message("Please process the embedded resource above."),
    ]


@server.prompt
def test_prompt_with_image() -> list[Message]:
    """An image and a message."""
    return [Message(image()), Message("Please analyze the image above.")]


async def main():
    app = server.http_app(
        path="/mcp",
        event_store=EventStore(),
        retry_interval=RETRY_MILLIS,
        host_origin_protection="auto",
    )
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    print(f"listening 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, log_level="warning", lifespan="on")
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    asyncio.run(main())
