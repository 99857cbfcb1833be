// Walks from a bare URL to a call, and past the end of the access token, with npm
// `@modelcontextprotocol/sdk` (1.x), as a person's agent.
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CALL, Keeper, TOLD, callback, main, pause, said } from './oauth_walk.mjs';

await main(async () => {
    const back = await callback();
    const keeper = new Keeper(back.uri, TOLD.document);
    const transport = () => new StreamableHTTPClientTransport(new URL(TOLD.url), { authProvider: keeper });
    let client = new Client({ name: 'walker', version: '1' });
    try {
        await client.connect(transport());
    } catch (error) {
        if (!(error instanceof UnauthorizedError)) throw error;
        const params = keeper.sent(await back.asked(keeper.destination));
        await transport().finishAuth(params.get('code'));
        client = new Client({ name: 'walker', version: '1' });
        await client.connect(transport());
    }
    const tools = (await client.listTools()).tools.length;
    const calls = [said(await client.callTool(CALL))];
    await pause(TOLD.pause ?? 0);
    calls.push(said(await client.callTool(CALL)));
    await client.close();
    back.close();
    return { tools, calls, ...keeper.report() };
});
