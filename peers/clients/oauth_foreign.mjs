// What a gate does with somebody else's authorization servers, one with JWTs and one with opaque
// tokens: whose tokens it takes where, while keys rotate, and while the servers are gone.
//
// Told as one JSON argument: `jwt` and `opaque` (issuers), `url` and `other` (routes that take the
// JWTs), `asking` (the route that takes the opaque tokens). It stops both servers at the end.
import assert from 'node:assert/strict';
import * as oauth from 'openid-client';
import { TOLD, main, pause } from './oauth_walk.mjs';

const SECRET = 'a secret of the peer, and not one';
const WORKERS = 4;
const AFTER_MILLIS = 1500;

async function machine(issuer) {
    const insecure = { execute: [oauth.allowInsecureRequests] };
    const proof = oauth.ClientSecretBasic(SECRET);
    const config = await oauth.discovery(new URL(issuer), 'robot', undefined, proof, insecure);
    return async resource => (await oauth.clientCredentialsGrant(config, { resource, scope: 'mcp' })).access_token;
}

/** Asks a route for its tools in the modern era, which needs no session. */
async function asked(url, token) {
    const headers = {
        authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list'
    };
    const meta = {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {},
        'io.modelcontextprotocol/clientInfo': { name: 'walker', version: '1' }
    };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: meta } });
    const response = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(15_000) });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text };
}
const good = async (url, token) => {
    const { status, text } = await asked(url, token);
    assert.equal(status, 200, text);
    assert.match(text, /test_simple_text/);
};
const stop = issuer => fetch(`${issuer}/stop`, { method: 'POST' }).catch(() => undefined);

await main(async () => {
    const [jwt, opaque] = [await machine(TOLD.jwt), await machine(TOLD.opaque)];
    const [mine, theirs] = [await jwt(TOLD.url), await opaque(TOLD.asking)];
    await good(TOLD.url, mine);
    await good(TOLD.asking, theirs);

    // A token is for one route, and from an issuer that this route takes.
    for (const [url, token] of [[TOLD.other, mine], [TOLD.asking, mine], [TOLD.url, theirs], [TOLD.asking, await opaque(TOLD.url)]]) {
        const { status, headers } = await asked(url, token);
        assert.equal(status, 401);
        assert.match(headers.get('www-authenticate'), /error="invalid_token"/);
    }

    // Keys rotate while calls run; new tokens are signed by the new key at once.
    let [running, calls, rotated] = [true, 0, 0];
    const kids = new Set();
    const workers = Array.from({ length: WORKERS }, async () => {
        while (running) {
            const fresh = await jwt(TOLD.url);
            kids.add(JSON.parse(Buffer.from(fresh.split('.')[0], 'base64url')).kid);
            for (const token of [fresh, mine]) {
                await good(TOLD.url, token);
                calls += 1;
            }
        }
    });
    const rotation = (async () => {
        await pause(AFTER_MILLIS);
        await fetch(`${TOLD.jwt}/rotate`, { method: 'POST' });
        // Once: a gate looks for keys it does not know every half a minute at most.
        rotated += 1;
        await pause(AFTER_MILLIS);
    })();
    await Promise.race([rotation, ...workers]);
    running = false;
    await Promise.all([rotation, ...workers]);
    assert.equal(kids.size, rotated + 1);

    // Without their issuers, JWTs are as good as before, and opaque tokens cannot be judged.
    await Promise.all([stop(TOLD.jwt), stop(TOLD.opaque)]);
    await pause(AFTER_MILLIS);
    await good(TOLD.url, mine);
    const { status, headers } = await asked(TOLD.asking, theirs);
    assert.equal(status, 503);
    assert.ok(Number(headers.get('retry-after')) > 0);
    return { calls, rotated };
});
