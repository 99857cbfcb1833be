// Walks from a bare URL to a call, and past the end of the access token, with npm
// `@modelcontextprotocol/client`: as a person's agent, and as a machine by secret or by key.
import fs from 'node:fs';
import {
    Client,
    ClientCredentialsProvider,
    PrivateKeyJwtProvider,
    StreamableHTTPClientTransport,
    UnauthorizedError
} from '@modelcontextprotocol/client';
import { walked } from './oauth_browser.mjs';
import { CALL, Keeper, TOLD, callback, digest, main, pause, said } from './oauth_walk.mjs';

const connected = async authProvider => {
    const versionNegotiation = { mode: TOLD.era ?? 'auto' };
    const client = new Client({ name: 'walker', version: '1' }, { versionNegotiation });
    const transport = new StreamableHTTPClientTransport(new URL(TOLD.url), { authProvider });
    await client.connect(transport);
    return client;
};

/** Lists and calls, waits until the token has ended, and calls again. */
async function used(client) {
    const tools = (await client.listTools()).tools.length;
    const calls = [said(await client.callTool(CALL))];
    await pause(TOLD.pause ?? 0);
    calls.push(said(await client.callTool(CALL)));
    await client.close();
    return { tools, calls };
}

async function person() {
    const back = await callback();
    const keeper = new Keeper(back.uri, TOLD.document);
    let client;
    try {
        client = await connected(keeper);
    } catch (error) {
        if (!(error instanceof UnauthorizedError)) throw error;
        const params = keeper.sent(await back.asked(keeper.destination));
        const transport = new StreamableHTTPClientTransport(new URL(TOLD.url), { authProvider: keeper });
        await transport.finishAuth(params);
        client = await connected(keeper);
    }
    const report = { ...(await used(client)), ...keeper.report() };
    back.close();
    return report;
}

async function machine(Provider, proof) {
    const seen = [];
    const provider = new Provider({ clientId: TOLD.id, scope: TOLD.scope, expectedIssuer: TOLD.issuer, ...proof });
    const save = provider.saveTokens.bind(provider);
    provider.saveTokens = tokens => (seen.push([digest(tokens.access_token), digest(tokens.refresh_token)]), save(tokens));
    return { ...(await used(await connected(provider))), asked: 0, client: TOLD.id, tokens: seen };
}

/** A document that may not be fetched: the person is told, and sent nowhere. */
async function refused() {
    const back = await callback();
    const keeper = new Keeper(back.uri, TOLD.document);
    await connected(keeper).catch(error => {
        if (!(error instanceof UnauthorizedError)) throw error;
    });
    const end = await walked(keeper.destination);
    return { refused: end.url.startsWith(back.uri) ? 'at the client' : end.status };
}

const flows = {
    person,
    document: person,
    refused,
    secret: () => machine(ClientCredentialsProvider, { clientSecret: TOLD.secret }),
    key: () => machine(PrivateKeyJwtProvider, { privateKey: fs.readFileSync(TOLD.pem, 'utf8'), algorithm: 'ES256' })
};
await main(flows[TOLD.flow]);
