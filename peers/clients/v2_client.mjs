// Walks a server with npm `@modelcontextprotocol/client`.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { answering, main } from './walk.mjs';

const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';

await main(async (url, era, seen) => {
    const client = new Client(
        { name: 'v2-client', version: '1' },
        {
            capabilities: { sampling: {}, elicitation: {}, roots: {} },
            versionNegotiation: { mode: era === 'legacy' ? 'legacy' : { pin: '2026-07-28' } }
        }
    );
    answering(seen, (method, answer) =>
        client.setRequestHandler(method, request => answer(request.params))
    );
    const on = (method, heard) => client.setNotificationHandler(method, heard);
    on('notifications/message', it => seen.logs.push([it.params.level, it.params.data]));
    on('notifications/tools/list_changed', () => (seen.changed = true));
    on('notifications/resources/updated', () => (seen.watched = true));
    const transport = new StreamableHTTPClientTransport(url);
    await client.connect(transport);
    const _meta = era === 'modern' ? { [LOG_LEVEL]: 'info' } : undefined;
    return {
        version: () => client.getNegotiatedProtocolVersion(),
        tools: async () => (await client.listTools()).tools,
        resources: async () => (await client.listResources()).resources,
        prompts: async () => (await client.listPrompts()).prompts,
        read: async uri => (await client.readResource({ uri })).contents,
        prompt: (name, args) => client.getPrompt({ name, arguments: args }),
        call: (name, args, options) => client.callTool({ name, arguments: args, _meta }, options),
        listen: async filter => {
            if (era === 'legacy') {
                for (const uri of filter.resourceSubscriptions ?? []) {
                    await client.subscribeResource({ uri });
                }
                return async () => {};
            }
            const subscription = await client.listen(filter);
            return () => subscription.close();
        },
        close: async () => {
            if (era === 'legacy') await transport.terminateSession();
            await client.close();
        }
    };
});
