// Walks a server, or tours an aggregate, with npm `@modelcontextprotocol/sdk`, the line that knows
// the legacy era only.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
    CallToolResultSchema,
    CreateMessageRequestSchema,
    ElicitRequestSchema,
    ListRootsRequestSchema,
    LoggingMessageNotificationSchema,
    ResourceUpdatedNotificationSchema,
    ToolListChangedNotificationSchema
} from '@modelcontextprotocol/sdk/types.js';
import { refusals } from './refusals.mjs';
import { tour } from './tour.mjs';
import { answering, main } from './walk.mjs';

const REQUESTS = {
    'sampling/createMessage': CreateMessageRequestSchema,
    'elicitation/create': ElicitRequestSchema,
    'roots/list': ListRootsRequestSchema
};

const LISTS = {
    tools: 'listTools',
    resources: 'listResources',
    resourceTemplates: 'listResourceTemplates',
    prompts: 'listPrompts'
};

async function connect(target, era, seen, answers) {
    if (era !== 'legacy') throw new Error('this SDK knows the legacy era only');
    const client = new Client(
        { name: 'v1-client', version: '1' },
        { capabilities: { sampling: {}, elicitation: {}, roots: {} } }
    );
    answering(seen, answers, (method, answer) =>
        client.setRequestHandler(REQUESTS[method], request => answer(request.params))
    );
    const on = (schema, heard) => client.setNotificationHandler(schema, heard);
    on(LoggingMessageNotificationSchema, it => seen.logs.push([it.params.level, it.params.data]));
    on(ToolListChangedNotificationSchema, () => (seen.changed = true));
    on(ResourceUpdatedNotificationSchema, it => {
        seen.updates.push(it.params.uri);
        seen.watched = true;
    });
    const isChild = typeof target === 'object';
    const transport = isChild
        ? new StdioClientTransport(target)
        : target.endsWith('/sse')
          ? new SSEClientTransport(new URL(target))
          : new StreamableHTTPClientTransport(new URL(target));
    let version;
    // Only HTTP needs to know the version; it is the same hook for every transport.
    const hook = transport.setProtocolVersion?.bind(transport);
    transport.setProtocolVersion = it => (hook?.(it), (version = it));
    await client.connect(transport);
    return {
        version: () => version,
        page: (kind, cursor) => client[LISTS[kind]]({ cursor }),
        readWhole: uri => client.readResource({ uri }),
        complete: params => client.complete(params),
        level: level => client.setLoggingLevel(level),
        ping: () => client.ping(),
        unsubscribe: uri => client.unsubscribeResource({ uri }),
        tools: async () => (await client.listTools()).tools,
        resources: async () => (await client.listResources()).resources,
        prompts: async () => (await client.listPrompts()).prompts,
        read: async uri => (await client.readResource({ uri })).contents,
        prompt: (name, args) => client.getPrompt({ name, arguments: args }),
        call: (name, args, options) =>
            client.callTool({ name, arguments: args }, CallToolResultSchema, options),
        listen: async filter => {
            for (const uri of filter.resourceSubscriptions ?? []) {
                await client.subscribeResource({ uri });
            }
            return async () => {};
        },
        close: async () => {
            await transport.terminateSession?.();
            await client.close();
        }
    };
}

const asked = { '--tour': tour, '--refusals': refusals }[process.argv[2]];
await (asked ?? main)(connect);
