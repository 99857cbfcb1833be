// Walks a server, or tours an aggregate, with npm `@modelcontextprotocol/client`.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { refusals } from './refusals.mjs';
import { tour } from './tour.mjs';
import { answering, main } from './walk.mjs';

const MODERN = '2026-07-28';
const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';

const LISTS = {
    tools: 'listTools',
    resources: 'listResources',
    resourceTemplates: 'listResourceTemplates',
    prompts: 'listPrompts'
};

async function connect(target, wanted, seen, answers) {
    const mode = wanted === 'modern' ? { pin: MODERN } : wanted;
    const client = new Client(
        { name: 'v2-client', version: '1' },
        {
            capabilities: { sampling: {}, elicitation: {}, roots: {} },
            versionNegotiation: { mode }
        }
    );
    answering(seen, answers, (method, answer) =>
        client.setRequestHandler(method, request => answer(request.params))
    );
    const on = (method, heard) => client.setNotificationHandler(method, heard);
    on('notifications/message', it => seen.logs.push([it.params.level, it.params.data]));
    on('notifications/tools/list_changed', () => (seen.changed = true));
    on('notifications/resources/updated', it => {
        seen.updates.push(it.params.uri);
        seen.watched = true;
    });
    const isChild = typeof target === 'object';
    const transport = isChild
        ? new StdioClientTransport(target)
        : new StreamableHTTPClientTransport(new URL(target));
    await client.connect(transport);
    const era = client.getNegotiatedProtocolVersion() === MODERN ? 'modern' : 'legacy';
    const _meta = era === 'modern' ? { [LOG_LEVEL]: 'info' } : undefined;
    return {
        version: () => client.getNegotiatedProtocolVersion(),
        // Without a cursor this SDK walks all pages by itself.
        page: (kind, cursor) => client[LISTS[kind]](cursor ? { cursor } : undefined),
        readWhole: uri => client.readResource({ uri }),
        complete: params => client.complete(params),
        level: level => client.setLoggingLevel(level),
        ping: () => client.ping(),
        unsubscribe: async uri => (era === 'legacy' ? client.unsubscribeResource({ uri }) : {}),
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
            if (era === 'legacy' && !isChild) await transport.terminateSession();
            await client.close();
        }
    };
}

const asked = { '--tour': tour, '--refusals': refusals }[process.argv[2]];
await (asked ?? main)(connect);
