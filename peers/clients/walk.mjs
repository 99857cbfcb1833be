// Walks an MCP server along plan.json and prints what it saw as one line of JSON.
//
// What differs between the SDKs comes in as an object with the methods used below; what is the
// same is here. Times, ids and ports are left out, so that two walks of one server can be compared.
import { readFileSync } from 'node:fs';

export const PLAN = JSON.parse(readFileSync(new URL('./plan.json', import.meta.url), 'utf8'));
const PATIENCE_MILLIS = 10_000;
export const pause = millis => new Promise(resolve => setTimeout(resolve, millis));

// A content block, or a resource's content, as something short that can be compared.
function shown(block) {
    switch (block.type) {
        case 'text':
            return ['text', block.text];
        case 'image':
        case 'audio':
            return [block.type, block.mimeType, block.data.length];
        case 'resource':
            return ['resource', block.resource.uri];
        default:
            return [block.type, block.uri ?? null];
    }
}
const read = block => [block.uri, block.mimeType ?? null, block.text ?? block.blob.length];

export class Seen {
    logs = [];
    asked = [];
    updates = [];
    changed = false;
    watched = false;

    asking(what, answer) {
        this.asked.push(what);
        return answer;
    }
}

// Answers sampling, elicitation and roots through `on(method, answer)`.
export function answering(seen, answers, on) {
    const { sampling, elicitation, roots } = answers;
    on('sampling/createMessage', params =>
        seen.asking(['sampling', [params.messages[0].content].flat()[0].text], sampling)
    );
    on('elicitation/create', params =>
        seen.asking(['elicitation', params.message], { action: 'accept', content: elicitation })
    );
    on('roots/list', () => seen.asking(['roots'], { roots }));
}

export async function until(holds, patience = PATIENCE_MILLIS) {
    const deadline = Date.now() + patience;
    while (!holds() && Date.now() < deadline) await pause(20);
    return holds();
}

async function called(sdk, call) {
    const progress = [];
    try {
        const result = await sdk.call(call.tool, call.arguments, {
            onprogress: it => progress.push([it.progress, it.total ?? null, it.message ?? null])
        });
        return {
            error: result.isError ?? false,
            content: result.content.map(shown),
            structured: result.structuredContent ?? null,
            progress
        };
    } catch (error) {
        return { refused: error.code ?? error.name };
    }
}

// Triggers a change until it is told: the stream it is told on may still be opening.
async function told(sdk, trigger, filter, holds) {
    const stop = await sdk.listen(filter);
    for (let attempt = 0; attempt < 20 && !holds(); attempt++) {
        await sdk.call(trigger, {}, {});
        for (let look = 0; look < 25 && !holds(); look++) await pause(PATIENCE_MILLIS / 500);
    }
    await stop();
    return holds();
}

// Abandons a call, and asks the server whether it noticed.
async function cancelled(sdk) {
    const { tool, arguments: args, after_millis, counter } = PLAN.cancel;
    const count = async () => Number((await sdk.call(counter, {}, {})).content[0].text);
    const before = await count();
    const abort = new AbortController();
    const call = sdk.call(tool, args, { signal: abort.signal }).catch(() => {});
    await pause(after_millis);
    abort.abort('enough');
    await call;
    for (let look = 0; look < 50; look++) {
        if ((await count()) > before) return true;
        await pause(PATIENCE_MILLIS / 50);
    }
    return false;
}

async function library(sdk, report) {
    const uris = (await sdk.resources()).map(resource => resource.uri);
    report.resources = { listed: uris };
    for (const uri of PLAN.resources) {
        if (uris.includes(uri) || (uri.includes('template') && uris.includes('test://static-text'))) {
            report.resources[uri] = (await sdk.read(uri)).map(read);
        }
    }
    const prompts = (await sdk.prompts()).map(prompt => prompt.name);
    report.prompts = { listed: prompts };
    for (const { name, arguments: args } of PLAN.prompts) {
        if (!prompts.includes(name)) continue;
        const { messages } = await sdk.prompt(name, args);
        report.prompts[name] = messages.map(message => [message.role, shown(message.content)]);
    }
}

async function walk(sdk, seen) {
    const report = { version: sdk.version(), calls: [] };
    const names = (report.tools = (await sdk.tools()).map(tool => tool.name));
    if (names.includes(PLAN.change.trigger)) {
        const filter = { toolsListChanged: true };
        report.changed = await told(sdk, PLAN.change.trigger, filter, () => seen.changed);
    }
    if (names.includes(PLAN.watch.trigger)) {
        const filter = { resourceSubscriptions: [PLAN.watch.uri] };
        report.watched = await told(sdk, PLAN.watch.trigger, filter, () => seen.watched);
    }
    for (const call of PLAN.calls) {
        if (names.includes(call.tool) || call.always) {
            report.calls.push([call.tool, await called(sdk, call)]);
        }
    }
    if (names.includes(PLAN.logging.tool)) {
        await called(sdk, { tool: PLAN.logging.tool, arguments: {} });
        await until(() => seen.logs.length >= PLAN.logging.messages);
    }
    if (names.includes(PLAN.cancel.tool)) report.cancelled = await cancelled(sdk);
    await library(sdk, report);
    return { ...report, logs: seen.logs, asked: seen.asked };
}

// Reads `URL --era ERA`, walks within two minutes, prints, and ends the process.
export async function main(connect) {
    const [url, flag, era] = process.argv.slice(2);
    if (flag !== '--era' || !['legacy', 'modern'].includes(era)) {
        console.error('usage: CLIENT URL --era legacy|modern');
        process.exit(2);
    }
    setTimeout(() => {
        console.error('the walk took too long');
        process.exit(1);
    }, 120_000).unref();
    const seen = new Seen();
    const sdk = await connect(url, era, seen, PLAN.answers);
    const report = await walk(sdk, seen);
    await sdk.close();
    console.log(JSON.stringify(report));
    // An SDK may still wait to resume the stream of the abandoned call.
    process.exit(0);
}
