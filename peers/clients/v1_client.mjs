// Walks a server with npm `@modelcontextprotocol/sdk`, the line that knows the legacy era only.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
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
import { answering, main } from './walk.mjs';

const REQUESTS = {
    'sampling/createMessage': CreateMessageRequestSchema,
    'elicitation/create': ElicitRequestSchema,
    'roots/list': ListRootsRequestSchema
};

await main(async (url, era, seen) => {
    if (era !== 'legacy') throw new Error('this SDK knows the legacy era only');
    const client = new Client(
        { name: 'v1-client', version: '1' },
        { capabilities: { sampling: {}, elicitation: {}, roots: {} } }
    );
    answering(seen, (method, answer) =>
        client.setRequestHandler(REQUESTS[method], request => answer(request.params))
    );
    const on = (schema, heard) => client.setNotificationHandler(schema, heard);
    on(LoggingMessageNotificationSchema, it => seen.logs.push([it.params.level, it.params.data]));
    on(ToolListChangedNotificationSchema, () => (seen.changed = true));
    on(ResourceUpdatedNotificationSchema, () => (seen.watched = true));
    const transport = new StreamableHTTPClientTransport(url);
    await client.connect(transport);
    return {
        version: () => transport.protocolVersion,
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
            await transport.terminateSession();
            await client.close();
        }
    };
});
