// The person's part of a walk, without a browser: opens an authorization URL, signs in, agrees, and
// follows the redirect to where the client listens.
//
// oauth_browser.mjs URL: prints `at STATUS URL` of the last page. The person is ada, whose password
// is in PERSON_PASSWORD; cookies are kept for each host and port, and forms are sent with the fields
// they hide. The real browser's part is walked in ../browser.
import { pathToFileURL } from 'node:url';

const PASSWORD = process.env.PERSON_PASSWORD ?? 'any will do';
const STEPS_MAX = 20;
const STEP_MILLIS = 15_000;
const ENTITIES = { '&amp;': '&', '&quot;': '"', '&#34;': '"', '&#38;': '&', '&#39;': "'", '&#x27;': "'", '&#x2F;': '/', '&#x3D;': '=', '&lt;': '<', '&gt;': '>' };

const plain = text => text.replace(/&[#a-zA-Z0-9]+;/g, entity => ENTITIES[entity] ?? entity);
const attribute = (tag, name) => {
    const found = tag.match(new RegExp(`\\s${name}\\s*=\\s*"([^"]*)"`, 'i'));
    return found ? plain(found[1]) : undefined;
};

/** The first form of a page, with what a person would have entered. */
function filled(page, base) {
    const form = page.match(/<form[^>]*>[\s\S]*?<\/form>/i)?.[0];
    if (!form) return undefined;
    const fields = new URLSearchParams();
    for (const [tag] of form.matchAll(/<input[^>]*>/gi)) {
        const [name, type] = [attribute(tag, 'name'), attribute(tag, 'type') ?? 'text'];
        if (!name || (type === 'checkbox' && !/\schecked/i.test(tag))) continue;
        const entered = type === 'password' ? PASSWORD : type === 'text' ? 'ada' : undefined;
        fields.set(name, entered ?? attribute(tag, 'value') ?? '');
    }
    // The first button is what a person wants who started this.
    const button = form.match(/<button[^>]*type="submit"[^>]*>/i)?.[0] ?? '';
    if (attribute(button, 'name')) fields.set(attribute(button, 'name'), attribute(button, 'value') ?? '');
    return { action: new URL(attribute(form, 'action') ?? base, base), fields };
}

export async function walked(start) {
    const jars = new Map();
    let [url, body, history] = [new URL(start), undefined, []];
    for (let step = 0; step < STEPS_MAX; step += 1) {
        const jar = jars.get(url.host) ?? new Map();
        jars.set(url.host, jar);
        const headers = { accept: 'text/html' };
        if (jar.size) headers.cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
        if (body) headers.origin = url.origin;
        const signal = AbortSignal.timeout(STEP_MILLIS);
        const method = body ? 'POST' : 'GET';
        const response = await fetch(url, { method, body, headers, redirect: 'manual', signal });
        for (const line of response.headers.getSetCookie()) {
            const [name, value] = line.split(';')[0].split(/=(.*)/s);
            if (value && !/max-age=0/i.test(line)) jar.set(name, value);
            else jar.delete(name);
        }
        const page = await response.text();
        history.push(`${method} ${url.origin}${url.pathname} ${response.status}`);
        const next = response.headers.get('location');
        if (next) {
            [url, body] = [new URL(next, url), undefined];
            continue;
        }
        const form = response.ok ? filled(page, url) : undefined;
        const link = page.match(/<a class="button primary"[^>]*>/i)?.[0];
        if (form) [url, body] = [form.action, form.fields];
        else if (link) [url, body] = [new URL(attribute(link, 'href'), url), undefined];
        else return { status: response.status, url: url.href, page, history };
    }
    throw new Error(`no end after ${STEPS_MAX} steps:\n${history.join('\n')}`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
    const end = await walked(process.argv[2]);
    console.log(`at ${end.status} ${end.url}`);
    if (end.status >= 400) {
        console.error(`${end.history.join('\n')}\n${end.page.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ')}`);
        process.exitCode = 1;
    }
}
