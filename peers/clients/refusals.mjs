// Meets a denial and a limit as an SDK's user does, and prints what was said.
// Reads `--refusals JSON`: `url`, `era`, `allowed` and `denied` (tool, arguments), `unknown`, `turns`.
import { Seen, pause } from './walk.mjs';

const LIMIT_MILLIS = 100_000;

// All that an error says, as its user could print it.
function shown(error) {
    const data = error.data === undefined ? '' : JSON.stringify(error.data);
    return [String(error.message ?? error), data].filter(Boolean).join(' | ');
}

async function tried(sdk, call) {
    let result;
    try {
        result = await sdk.call(call.tool, call.arguments);
    } catch (error) {
        return { refused: shown(error) };
    }
    const text = result.content.map(block => block.text ?? '').join(' ');
    return result.isError ? { refused: text } : { said: text };
}

// Meets them, prints, and ends the process.
export async function refusals(connect) {
    const wanted = JSON.parse(process.argv[3]);
    setTimeout(() => {
        console.error('it took too long');
        process.exit(1);
    }, LIMIT_MILLIS).unref();
    const sdk = await connect(wanted.url, wanted.era, new Seen(), {});
    const report = { tools: (await sdk.tools()).map(tool => tool.name).sort() };
    report.denied = await tried(sdk, wanted.denied);
    report.unknown = await tried(sdk, { ...wanted.denied, tool: wanted.unknown });
    for (let turn = 0; turn < wanted.turns; turn++) {
        const answer = await tried(sdk, wanted.allowed);
        if (answer.refused === undefined) continue;
        [report.limited, report.turns] = [answer.refused, turn];
        break;
    }
    const wait = /wait (\d+) s/.exec(report.limited ?? '');
    if (wait) {
        const began = performance.now();
        await pause(Number(wait[1]) * 1000);
        report.after = await tried(sdk, wanted.allowed);
        report.waited = Math.round((performance.now() - began) / 1000);
    }
    process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
}
