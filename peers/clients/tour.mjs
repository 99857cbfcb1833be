// Tours the members of an aggregate along tour.json, or each of them directly, and prints what it saw.
//
// The names are those an agent would use: `MEMBER__tool` and `tollgate+MEMBER:uri` on the aggregate.
// Results are reported whole, so that the two tours can be compared to the last member.
import { readFileSync } from 'node:fs';
import { Seen, pause, until } from './walk.mjs';

const LIMIT_MILLIS = 140_000;
const PAGES_MAX = 100;
const KINDS = ['tools', 'resources', 'resourceTemplates', 'prompts'];

const refused = error => ({ refused: error.code ?? `${error.name}: ${error.message}`, data: error.data ?? null });
const tried = work => work().then(it => JSON.parse(JSON.stringify(it ?? {})), refused);
const sorted = list => [...list].sort((one, other) => (`${one}` < `${other}` ? -1 : 1));

// One server, as it is called on this connection.
class Member {
    constructor(name, hub, tour) {
        Object.assign(this, { name, hub, plan: tour.members[name] });
    }
    named(name) {
        return this.hub ? `${this.name}__${name}` : name;
    }
    uri(uri) {
        return this.hub ? `tollgate+${this.name}:${uri}` : uri;
    }
}

// Every list, page by page.
async function lists(sdk) {
    const seen = { pages: {} };
    for (const kind of KINDS) {
        const items = [];
        let [cursor, pages] = [undefined, 0];
        try {
            do {
                const page = await sdk.page(kind, cursor);
                items.push(...page[kind]);
                [cursor, pages] = [page.nextCursor, pages + 1];
            } while (cursor && pages < PAGES_MAX);
            seen[kind] = items;
        } catch (error) {
            seen[kind] = refused(error);
        }
        seen.pages[kind] = pages;
    }
    return seen;
}

async function call(sdk, seen, member, plan) {
    const progress = [];
    const asked = seen.asked.length;
    const onprogress = it => progress.push([it.progress, it.total ?? null, it.message ?? null]);
    const result = await tried(() => sdk.call(member.named(plan.tool), plan.arguments, { onprogress }));
    return [plan.tool, result, progress, sorted(seen.asked.slice(asked))];
}

// Triggers a change until it is told; says what was told.
async function told(sdk, seen, member, plan, filter, uri) {
    const holds = () => (uri ? seen.watched : seen.changed);
    Object.assign(seen, { changed: false, watched: false, updates: [] });
    try {
        const stop = await sdk.listen(filter);
        for (let turn = 0; turn < 20 && !holds(); turn++) {
            const args = JSON.parse(JSON.stringify(plan.arguments).replaceAll('{n}', `${turn}`));
            await sdk.call(member.named(plan.tool), args, {});
            await until(holds, 500);
        }
        await stop();
    } catch (error) {
        return refused(error);
    }
    const ended = uri ? await tried(() => sdk.unsubscribe(uri)) : null;
    // A last update may come while something else is waited for.
    return { told: holds(), updates: uri ? sorted(new Set(seen.updates)) : [], ended };
}

// Everything of the plan with one member, by feature.
async function visit(sdk, seen, member, era) {
    const { calls = [], reads = [], prompts = [], completions = [], watch, change, log } = member.plan;
    const saw = {};
    const keep = (feature, what) => (saw[feature] ??= []).push(what);
    for (const it of calls) {
        if (it.eras && !it.eras.includes(era)) continue;
        keep(it.feature ?? 'calls', await call(sdk, seen, member, it));
    }
    for (const uri of reads) keep('reads', [uri, await tried(() => sdk.readWhole(member.uri(uri)))]);
    for (const it of prompts) {
        keep('prompts', [it.name, await tried(() => sdk.prompt(member.named(it.name), it.arguments))]);
    }
    for (const it of completions) {
        const ref = it.prompt
            ? { type: 'ref/prompt', name: member.named(it.prompt) }
            : { type: 'ref/resource', uri: member.uri(it.template) };
        keep('completion', [it, await tried(() => sdk.complete({ ref, argument: it.argument }))]);
    }
    if (watch) {
        const uri = member.uri(watch.uri);
        saw.updates = await told(sdk, seen, member, watch, { resourceSubscriptions: [uri] }, uri);
    }
    if (change) saw.changed = await told(sdk, seen, member, change, { toolsListChanged: true });
    if (log) {
        seen.logs = [];
        await call(sdk, seen, member, log);
        await until(() => seen.logs.length >= log.messages);
        saw.logging = [...seen.logs];
    }
    return saw;
}

// One connection: its lists, its members, and its lists again.
async function session(connect, target, era, members, tour) {
    const seen = new Seen();
    const sdk = await connect(target, era, seen, tour.answers);
    const report = { version: sdk.version(), level: null, ping: null };
    const legacy = report.version !== '2026-07-28';
    if (legacy) {
        report.level = await tried(() => sdk.level('info'));
        report.ping = await tried(() => sdk.ping());
    }
    report.lists = await lists(sdk);
    report.members = {};
    for (const member of members) {
        report.members[member.name] = await visit(sdk, seen, member, legacy ? 'legacy' : 'modern');
    }
    report.again = JSON.stringify(await lists(sdk)) === JSON.stringify(report.lists);
    await Promise.race([sdk.close(), pause(5000)]);
    return report;
}

// Reads JSON (era, hub, members with targets, places), tours, prints, and ends the process.
export async function tour(connect) {
    const wanted = JSON.parse(process.argv[3]);
    let text = readFileSync(new URL('./tour.json', import.meta.url), 'utf8');
    for (const [name, place] of Object.entries(wanted.places)) text = text.replaceAll(`{${name}}`, place);
    const plan = JSON.parse(text);
    plan.answers.roots = [{ uri: `file://${wanted.places.files}`, name: 'files' }];
    setTimeout(() => {
        console.error('the tour took too long');
        process.exit(1);
    }, LIMIT_MILLIS).unref();
    const reports = {};
    if (wanted.hub) {
        const members = wanted.members.map(it => new Member(it.name, true, plan));
        reports.hub = await session(connect, wanted.hub, wanted.era, members, plan);
    } else {
        for (const it of wanted.members) {
            const members = [new Member(it.name, false, plan)];
            reports[it.name] = await session(connect, it.target, wanted.era, members, plan).catch(refused);
        }
    }
    // A pipe takes so much and no more at once: the rest must be written before the process ends.
    process.stdout.write(`${JSON.stringify(reports)}\n`, () => process.exit(0));
}
