"""Walks from a bare URL to a call, and past the end of the access token, with PyPI `mcp`.

Told as one JSON argument what `oauth_walk.mjs` says; `browser` is the command that is a person.
"""

import asyncio
import hashlib
import json
import sys
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

WALK_SECS = 90
TOLD = json.loads(sys.argv[1])


def digest(text):
    """A token may be compared, and never printed."""
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else None


class Keeper:
    def __init__(self):
        self.tokens, self.client, self.seen, self.asked = None, None, [], 0

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens
        self.seen.append([digest(tokens.access_token), digest(tokens.refresh_token)])

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Back:
    """Listens where the person is sent back to."""

    async def listen(self):
        self.answer = asyncio.get_running_loop().create_future()
        self.server = await asyncio.start_server(self.arrived, "127.0.0.1", TOLD.get("port", 0))
        port = self.server.sockets[0].getsockname()[1]
        self.uri = f"http://127.0.0.1:{port}/callback"

    async def arrived(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        if path.startswith("/callback") and not self.answer.done():
            self.answer.set_result({k: v[0] for k, v in parse_qs(urlsplit(path).query).items()})


async def person(keeper):
    back = Back()
    await back.listen()

    async def ask(url):
        keeper.asked += 1
        browser = await asyncio.create_subprocess_exec(
            *TOLD["browser"], url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, errors = await browser.communicate()
        if browser.returncode or not back.answer.done():
            raise RuntimeError(f"the person did not come back: {out.decode()}{errors.decode()}")

    async def answered():
        answer = await back.answer
        if "error" in answer:
            raise RuntimeError(f"refused: {answer}")
        return AuthorizationCodeResult(
            code=answer["code"], state=answer.get("state"), iss=answer.get("iss")
        )

    return OAuthClientProvider(
        server_url=TOLD["url"],
        client_metadata=OAuthClientMetadata(
            client_name="Walker",
            redirect_uris=[back.uri],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            token_endpoint_auth_method=TOLD.get("auth", "none"),
            scope=TOLD.get("scope"),
        ),
        storage=keeper,
        redirect_handler=ask,
        callback_handler=answered,
        client_metadata_url=TOLD.get("document"),
    )


def machine(keeper):
    common = dict(
        server_url=TOLD["url"],
        storage=keeper,
        client_id=TOLD["id"],
        scope=TOLD.get("scope"),
        issuer=TOLD["issuer"],
    )
    if TOLD["flow"] == "secret":
        return ClientCredentialsOAuthProvider(client_secret=TOLD["secret"], **common)
    with open(TOLD["pem"], encoding="utf-8") as file:
        key = file.read()
    signed = SignedJWTParameters(
        issuer=TOLD["id"], subject=TOLD["id"], signing_key=key, signing_algorithm="ES256"
    )
    return PrivateKeyJWTOAuthProvider(
        assertion_provider=signed.create_assertion_provider(), **common
    )


def said(result):
    return " ".join(block.text for block in result.content)


async def walk():
    keeper = Keeper()
    is_person = TOLD["flow"] in ("person", "document")
    auth = await person(keeper) if is_person else machine(keeper)
    async with httpx2.AsyncClient(auth=auth, timeout=30) as http:
        transport = streamable_http_client(TOLD["url"], http_client=http)
        async with Client(transport, mode=TOLD.get("era", "auto"), cache=None) as client:
            tools = len((await client.list_tools()).tools)
            calls = [said(await client.call_tool("test_simple_text", {}))]
            await asyncio.sleep(TOLD.get("pause", 0) / 1000)
            calls.append(said(await client.call_tool("test_simple_text", {})))
    client_id = keeper.client.client_id if keeper.client else TOLD.get("id")
    report = {"tools": tools, "calls": calls, "asked": keeper.asked}
    print(json.dumps({**report, "client": client_id, "tokens": keeper.seen}))


asyncio.run(asyncio.wait_for(walk(), WALK_SECS))
