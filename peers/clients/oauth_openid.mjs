// Walks from a bare URL to a call with npm `openid-client`, an OAuth client that knows nothing of MCP:
// discovery both ways, registration, PKCE, refresh, introspection and revocation; as a person's agent,
// and as a machine by secret or by key.
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import fs from 'node:fs';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import * as oauth from 'openid-client';
import { CALL, TOLD, callback, digest, main, pause, said } from './oauth_walk.mjs';

const insecure = { execute: [oauth.allowInsecureRequests] };
const seen = [];
const kept = tokens => (seen.push([digest(tokens.access_token), digest(tokens.refresh_token)]), tokens);

/** From the bare URL to the issuer, as RFC 9728 has it. */
async function issuer() {
    const refused = await fetch(TOLD.url, { method: 'POST', body: '{}' });
    assert.equal(refused.status, 401);
    const challenge = refused.headers.get('www-authenticate');
    const metadata = await (await fetch(challenge.match(/resource_metadata="([^"]+)"/)[1])).json();
    assert.equal(metadata.resource, TOLD.url);
    return new URL(metadata.authorization_servers[0]);
}

async function called(token) {
    const client = new Client({ name: 'walker', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    const authProvider = { token: async () => token };
    await client.connect(new StreamableHTTPClientTransport(new URL(TOLD.url), { authProvider }));
    const tools = (await client.listTools()).tools.length;
    const call = said(await client.callTool(CALL));
    await client.close();
    return { tools, call };
}

/** What a revoked token is worth at the gate, which looks for revocations once a second. */
async function worthless(token) {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
    for (let look = 0; look < 30; look += 1) {
        const { status } = await fetch(TOLD.url, { method: 'POST', headers, body });
        if (status === 401) return true;
        await pause(100);
    }
    return false;
}

async function person() {
    const server = await issuer();
    const back = await callback();
    const config = await oauth.dynamicClientRegistration(
        server,
        { client_name: 'Walker', redirect_uris: [back.uri], grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'client_secret_basic' },
        oauth.ClientSecretBasic(),
        { ...insecure, algorithm: 'oauth2' }
    );
    const [verifier, state] = [oauth.randomPKCECodeVerifier(), oauth.randomState()];
    const url = oauth.buildAuthorizationUrl(config, {
        redirect_uri: back.uri, resource: TOLD.url, state, scope: TOLD.scope ?? 'mcp',
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256'
    });
    const answer = new URL(back.uri);
    answer.search = await back.asked(url);
    const checks = { pkceCodeVerifier: verifier, expectedState: state };
    const first = kept(await oauth.authorizationCodeGrant(config, answer, checks, { resource: TOLD.url }));
    const { tools, call } = await called(first.access_token);
    const calls = [call];
    await pause(TOLD.pause ?? 0);
    assert.equal(await worthless(first.access_token), true, 'an access token that has ended still works');
    const second = kept(await oauth.refreshTokenGrant(config, first.refresh_token, { resource: TOLD.url }));
    const told = await oauth.tokenIntrospection(config, second.access_token);
    assert.equal(told.active, true);
    assert.equal(told.client_id, config.clientMetadata().client_id);
    calls.push((await called(second.access_token)).call);
    await oauth.tokenRevocation(config, second.refresh_token);
    assert.equal((await oauth.tokenIntrospection(config, second.access_token)).active, false);
    assert.equal(await worthless(second.access_token), true, 'a revoked access token still works');
    await assert.rejects(oauth.refreshTokenGrant(config, second.refresh_token), { error: 'invalid_grant' });
    back.close();
    return { tools, calls, asked: 1, client: config.clientMetadata().client_id, tokens: seen };
}

async function machine(proof) {
    // The same server by the other discovery, for clients that only know OpenID Connect's.
    const config = await oauth.discovery(await issuer(), TOLD.id, undefined, proof, { ...insecure, algorithm: 'oidc' });
    const calls = [];
    let tools;
    for (let turn = 0; turn < 2; turn += 1) {
        const token = kept(await oauth.clientCredentialsGrant(config, { scope: TOLD.scope, resource: TOLD.url }));
        const result = await called(token.access_token);
        calls.push(result.call);
        tools = result.tools;
        const told = await oauth.tokenIntrospection(config, token.access_token);
        assert.equal(told.active, true);
        assert.equal(told.sub, TOLD.id);
        if (turn === 0) continue;
        await oauth.tokenRevocation(config, token.access_token);
        assert.equal((await oauth.tokenIntrospection(config, token.access_token)).active, false);
        assert.equal(await worthless(token.access_token), true, 'a revoked access token still works');
    }
    return { tools, calls, asked: 0, client: TOLD.id, tokens: seen };
}

async function key() {
    const text = fs.readFileSync(TOLD.pem, 'utf8').replace(/-----[^-]+-----|\s/g, '');
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
    return webcrypto.subtle.importKey('pkcs8', Buffer.from(text, 'base64'), algorithm, false, ['sign']);
}

const flows = {
    person,
    secret: () => machine(oauth.ClientSecretBasic(TOLD.secret)),
    key: async () => machine(oauth.PrivateKeyJwt(await key()))
};
await main(flows[TOLD.flow]);
