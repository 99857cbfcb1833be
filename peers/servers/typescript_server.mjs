// An MCP server on npm `@modelcontextprotocol/server`, speaking both eras at /mcp, with the names
// that the conformance suite and the clients in ../clients look for.
//
// A second opinion beside the everything-server on rmcp: legacy sessions, JSON or a stream as the
// SDK chooses, an event store. Prints `listening HOST:PORT`.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import {
    ProtocolError,
    Server,
    WebStandardStreamableHTTPServerTransport,
    createMcpHandler,
    hostHeaderValidationResponse,
    isLegacyRequest,
    localhostAllowedHostnames,
    localhostAllowedOrigins,
    originValidationResponse
} from '@modelcontextprotocol/server';

const PNG =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC';
const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=';
const EVENTS_MAX = 10_000;
const INVALID_PARAMS = -32602;
const CACHE = { ttlMs: 60_000, cacheScope: 'public' };

const pause = (millis, signal) =>
    new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, millis);
        signal?.addEventListener('abort', () => (clearTimeout(timer), reject(new Error('cancelled'))));
    });
const text = words => ({ content: [{ type: 'text', text: words }] });
const image = { type: 'image', data: PNG, mimeType: 'image/png' };
const embedded = (uri, mimeType, words) => ({
    type: 'resource',
    resource: { uri, mimeType, text: words }
});
const object = (properties = {}, required) => ({ type: 'object', properties, required });
const word = { type: 'string' };

async function ask(ctx, message, requestedSchema) {
    const answer = await ctx.mcpReq.elicitInput({ message, requestedSchema });
    return text(`User response: action=${answer.action}, content=${JSON.stringify(answer.content)}`);
}

const question = (field, message) => ({
    method: 'elicitation/create',
    params: { mode: 'form', message, requestedSchema: object({ [field]: word }, [field]) }
});
const samplingQuestion = words => ({
    method: 'sampling/createMessage',
    params: { messages: [{ role: 'user', content: { type: 'text', text: words } }], maxTokens: 100 }
});

// Answers once all questions are answered, and asks them until then.
function needing(inputRequests, said, requestState) {
    return (_args, ctx) => {
        const answers = ctx.mcpReq.inputResponses ?? {};
        if (Object.keys(inputRequests).every(key => answers[key])) return text(said(answers));
        return { resultType: 'input_required', inputRequests, requestState };
    };
}

const titled = (...titles) => titles.map((title, n) => ({ const: `value${n + 1}`, title }));
const options = ['option1', 'option2', 'option3'];
const choices = object({
    untitledSingle: { type: 'string', enum: options },
    titledSingle: { type: 'string', oneOf: titled('First Option', 'Second Option', 'Third Option') },
    legacyEnum: {
        type: 'string',
        enum: ['opt1', 'opt2', 'opt3'],
        enumNames: ['Option One', 'Option Two', 'Option Three']
    },
    untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
    titledMulti: {
        type: 'array',
        items: { anyOf: titled('First Choice', 'Second Choice', 'Third Choice') }
    }
});
const defaults = object({
    name: { type: 'string', default: 'John Doe' },
    age: { type: 'integer', default: 30 },
    score: { type: 'number', default: 95.5 },
    status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
    verified: { type: 'boolean', default: true }
});

const sessionCalls = new Map();
let waitsCancelled = 0;

// Each tool: what it is about, what it takes, what it does.
const tools = {
    echo: ['answers its argument', object({ message: word }, ['message']), args => text(JSON.stringify(args))],
    test_simple_text: ['answers one text', object(), () => text('This is a simple text response for testing.')],
    test_image_content: ['answers one image', object(), () => ({ content: [image] })],
    test_audio_content: [
        'answers one sound',
        object(),
        () => ({ content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] })
    ],
    test_embedded_resource: [
        'answers one embedded resource',
        object(),
        () => ({
            content: [
                embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')
            ]
        })
    ],
    test_multiple_content_types: [
        'answers text, image and resource',
        object(),
        () => ({
            content: [
                { type: 'text', text: 'Multiple content types test:' },
                image,
                embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}')
            ]
        })
    ],
    test_error_handling: [
        'answers an error of the tool',
        object(),
        () => ({ ...text('This tool intentionally returns an error for testing'), isError: true })
    ],
    test_tool_with_logging: [
        'logs three messages while it works',
        object(),
        async (_args, ctx) => {
            for (const it of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
                await ctx.mcpReq.log('info', it, 'typescript-server');
                await pause(50);
            }
            return text('Tool with logging executed successfully');
        }
    ],
    test_tool_with_progress: [
        'reports progress three times while it works',
        object(),
        async (_args, ctx) => {
            const progressToken = ctx.mcpReq._meta?.progressToken;
            for (const progress of [0, 50, 100]) {
                const message = `Completed step ${progress} of 100`;
                const params = { progressToken, progress, total: 100, message };
                if (progressToken !== undefined) {
                    await ctx.mcpReq.notify({ method: 'notifications/progress', params });
                }
                await pause(50);
            }
            return text('Tool with progress executed successfully');
        }
    ],
    test_sampling: [
        "asks the client's model",
        object({ prompt: word }, ['prompt']),
        async ({ prompt }, ctx) => {
            const answer = await ctx.mcpReq.requestSampling(samplingQuestion(prompt).params);
            return text(`LLM response: ${[answer.content].flat()[0].text}`);
        }
    ],
    test_elicitation: [
        'asks the user',
        object({ message: word }, ['message']),
        ({ message }, ctx) =>
            ask(ctx, message, object({ username: word, email: word }, ['username', 'email']))
    ],
    test_elicitation_sep1034_defaults: [
        'asks the user for values that have defaults',
        object(),
        (_args, ctx) => ask(ctx, 'Please review these defaults', defaults)
    ],
    test_elicitation_sep1330_enums: [
        'asks the user to choose, in each shape of enum',
        object(),
        (_args, ctx) => ask(ctx, 'Please choose', choices)
    ],
    test_reconnection: [
        'closes its stream in the middle; the answer is there for who resumes it',
        object(),
        async (_args, ctx) => {
            ctx.http?.closeSSE?.();
            await pause(100);
            return text('Reconnection test completed');
        }
    ],
    test_input_required_result_elicitation: [
        'needs one answer of the user',
        object(),
        needing({ user_name: question('name', 'What is your name?') }, it => `Hello, ${it.user_name.content.name}!`)
    ],
    test_input_required_result_sampling: [
        'needs one answer of the model',
        object(),
        needing(
            { capital_question: samplingQuestion('What is the capital of France?') },
            it => `The model says: ${JSON.stringify(it.capital_question.content)}`
        )
    ],
    test_input_required_result_list_roots: [
        "needs the client's roots",
        object(),
        needing({ client_roots: { method: 'roots/list' } }, it => `Roots: ${it.client_roots.roots.length}`)
    ],
    test_input_required_result_multiple_inputs: [
        'needs three answers at once',
        object(),
        needing(
            {
                user_name: question('name', 'What is your name?'),
                greeting: samplingQuestion('Say hello in one sentence'),
                client_roots: { method: 'roots/list' }
            },
            () => 'All three answers are here',
            'asked'
        )
    ],
    count: [
        'counts the calls of this session',
        object(),
        (_args, ctx) => {
            const calls = (sessionCalls.get(ctx.sessionId) ?? 0) + 1;
            if (ctx.sessionId) sessionCalls.set(ctx.sessionId, calls);
            return text(`${calls}`);
        }
    ],
    wait: [
        'waits until it is cancelled or over',
        object({ millis: { type: 'integer' } }),
        async ({ millis }, ctx) => {
            try {
                await pause(Math.min(millis, 60_000), ctx.mcpReq.signal);
            } catch (error) {
                waitsCancelled += 1;
                throw error;
            }
            return text('waited');
        }
    ],
    waits_cancelled: ['says how many calls of `wait` were cancelled', object(), () => text(`${waitsCancelled}`)],
    test_trigger_tool_change: [
        'tells listeners that the tools changed',
        object(),
        async () => {
            modern.notify.toolsChanged();
            for (const { server } of sessions.values()) await server.sendToolListChanged();
            return text('told');
        }
    ]
};

function read(uri) {
    const id = /^test:\/\/template\/(.*)\/data$/.exec(uri)?.[1];
    if (uri === 'test://static-text') {
        return { mimeType: 'text/plain', text: 'This is the content of the static text resource.' };
    }
    if (uri === 'test://static-binary') return { mimeType: 'image/png', blob: PNG };
    if (uri === 'test://watched-resource') return { mimeType: 'text/plain', text: 'watched' };
    if (id === undefined) throw new ProtocolError(INVALID_PARAMS, `no resource ${uri}`, { uri });
    const data = { id, templateTest: true, data: `Data for ID: ${id}` };
    return { mimeType: 'application/json', text: JSON.stringify(data) };
}

const argument = (name, required = true) => ({ name, description: name, required });
const prompts = {
    test_simple_prompt: [[], () => ['This is a simple prompt for testing.']],
    test_prompt_with_arguments: [
        [argument('arg1'), argument('arg2')],
        ({ arg1, arg2 }) => [`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`]
    ],
    test_prompt_with_embedded_resource: [
        [argument('resourceUri')],
        ({ resourceUri }) => [
            embedded(resourceUri, 'text/plain', 'Embedded resource content for testing.'),
            'Please process the embedded resource above.'
        ]
    ],
    test_prompt_with_image: [[], () => [image, 'Please analyze the image above.']]
};

// One instance for each legacy session and each modern request; what they share is above.
function instance() {
    const server = new Server(
        { name: 'typescript-server', version: '1' },
        {
            capabilities: {
                tools: { listChanged: true },
                resources: { subscribe: true },
                prompts: {},
                logging: {},
                completions: {}
            }
        }
    );
    server.setRequestHandler('tools/list', () => ({
        ...CACHE,
        tools: Object.entries(tools).map(([name, [description, inputSchema]]) => ({
            name,
            description,
            inputSchema
        }))
    }));
    server.setRequestHandler('tools/call', async ({ params }, ctx) => {
        const tool = tools[params.name];
        if (!tool) throw new ProtocolError(INVALID_PARAMS, `there is no tool ${params.name}`);
        try {
            return await tool[2](params.arguments ?? {}, ctx);
        } catch (error) {
            return { ...text(`${params.name}: ${error.message}`), isError: true };
        }
    });
    const resource = (name, mimeType) => ({ uri: `test://${name}`, name, mimeType });
    server.setRequestHandler('resources/list', () => ({
        ...CACHE,
        resources: [
            resource('static-text', 'text/plain'),
            resource('static-binary', 'image/png'),
            resource('watched-resource', 'text/plain')
        ]
    }));
    server.setRequestHandler('resources/templates/list', () => ({
        ...CACHE,
        resourceTemplates: [{ uriTemplate: 'test://template/{id}/data', name: 'template' }]
    }));
    server.setRequestHandler('resources/read', ({ params: { uri } }) => ({
        ...CACHE,
        contents: [{ uri, ...read(uri) }]
    }));
    server.setRequestHandler('resources/subscribe', () => ({}));
    server.setRequestHandler('resources/unsubscribe', () => ({}));
    server.setRequestHandler('prompts/list', () => ({
        ...CACHE,
        prompts: Object.entries(prompts).map(([name, [args]]) => ({
            name,
            description: name,
            arguments: args
        }))
    }));
    server.setRequestHandler('prompts/get', ({ params }) => {
        const prompt = prompts[params.name];
        if (!prompt) throw new ProtocolError(INVALID_PARAMS, `there is no prompt ${params.name}`);
        const contents = prompt[1](params.arguments ?? {});
        const content = it => (typeof it === 'string' ? { type: 'text', text: it } : it);
        return { messages: contents.map(it => ({ role: 'user', content: content(it) })) };
    });
    server.setRequestHandler('completion/complete', () => ({
        completion: { values: ['paris', 'park', 'party'], total: 3, hasMore: false }
    }));
    return server;
}

// The last events of one session, for clients that resume a stream.
class Events {
    events = [];
    last = 0;

    async storeEvent(stream, message) {
        const id = `${stream}_${++this.last}`;
        this.events.push({ id, stream, message });
        if (this.events.length > EVENTS_MAX) this.events.shift();
        return id;
    }

    async replayEventsAfter(lastId, { send }) {
        const at = this.events.findIndex(event => event.id === lastId);
        if (at < 0) return '';
        const { stream } = this.events[at];
        for (const event of this.events.slice(at + 1)) {
            if (event.stream === stream) await send(event.id, event.message);
        }
        return stream;
    }
}

const sessions = new Map();

async function legacy(request) {
    const id = request.headers.get('mcp-session-id');
    if (id) {
        const session = sessions.get(id);
        return session ? session.transport.handleRequest(request) : new Response(null, { status: 404 });
    }
    const server = instance();
    const transport = new WebStandardStreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        eventStore: new Events(),
        retryInterval: 200,
        onsessioninitialized: id => sessions.set(id, { server, transport }),
        onsessionclosed: id => sessions.delete(id)
    });
    await server.connect(transport);
    return transport.handleRequest(request);
}

const modern = createMcpHandler(instance, { legacy: 'reject' });

async function fetch(request) {
    const refused =
        hostHeaderValidationResponse(request, localhostAllowedHostnames()) ??
        originValidationResponse(request, localhostAllowedOrigins());
    if (refused) return refused;
    return (await isLegacyRequest(request)) ? legacy(request) : modern.fetch(request);
}

const http = createServer(toNodeHandler({ fetch }));
http.listen(0, '127.0.0.1', () => console.log(`listening 127.0.0.1:${http.address().port}`));
