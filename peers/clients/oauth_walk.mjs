// What the OAuth walks of the JavaScript clients share: where a client is sent back to, what it is
// told, what it reports.
//
// Told as one JSON argument: `flow` (person, secret, key, document), `url` (bare), `issuer`, `scope`,
// `id`, `secret`, `pem`, `document`, `pause` (milliseconds until the access token has ended). The
// report says how often a person was asked, which tokens there were, and what the calls answered.
import { createHash } from 'node:crypto';
import http from 'node:http';
import { walked } from './oauth_browser.mjs';

export const TOLD = JSON.parse(process.argv[2] ?? '{}');
export const CALL = { name: 'test_simple_text', arguments: {} };
const WALK_MILLIS = 90_000;

// Gives up by itself before whoever started it does.
setTimeout(() => { console.error('the walk took too long'); process.exit(1); }, WALK_MILLIS).unref();

export const pause = millis => new Promise(resolve => setTimeout(resolve, millis));
/** A token may be compared, and never printed. */
export const digest = text => (text ? createHash('sha256').update(text).digest('hex').slice(0, 12) : null);

/** Listens where the person is sent back to. */
export async function callback() {
    let arrived;
    const server = http.createServer((request, response) => {
        const url = new URL(request.url, 'http://client');
        if (url.pathname === '/callback') arrived?.(url.searchParams);
        response.end('done');
    });
    await new Promise(resolve => server.listen(TOLD.port ?? 0, '127.0.0.1', resolve));
    const uri = `http://127.0.0.1:${server.address().port}/callback`;
    return {
        uri,
        /** Lets the person agree; resolves to what the client is sent. */
        asked: async authorization => {
            const answer = new Promise(resolve => (arrived = resolve));
            const end = await walked(authorization);
            if (!end.url.startsWith(uri)) {
                const text = end.page.replace(/<style[\s\S]*?<\/style>|<[^>]+>/g, ' ').replace(/\s+/g, ' ');
                throw new Error(`the person ended at ${end.status} ${end.url}: ${text}\n${end.history.join('\n')}`);
            }
            return await answer;
        },
        close: () => server.close()
    };
}

/** Keeps what a provider of either SDK is told to keep, in memory. */
export class Keeper {
    #client; #tokens; #verifier; #discovery; #state;
    asked = 0; seen = []; destination;
    constructor(uri, document) {
        this.uri = uri;
        this.clientMetadataUrl = document;
    }
    get redirectUrl() { return this.uri; }
    get clientMetadata() {
        return {
            client_name: 'Walker', redirect_uris: [this.uri], scope: TOLD.scope,
            grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
            token_endpoint_auth_method: TOLD.auth ?? 'none'
        };
    }
    state() { return (this.#state = 'a state/with ?&=%'); }
    sent(params) {
        if (params.get('state') !== this.#state) throw new Error('the state came back changed');
        if (params.get('error')) throw new Error(`refused: ${params}`);
        return params;
    }
    clientInformation() { return this.#client; }
    saveClientInformation(client) { this.#client = client; }
    tokens() { return this.#tokens; }
    saveTokens(tokens) {
        this.#tokens = tokens;
        this.seen.push([digest(tokens.access_token), digest(tokens.refresh_token)]);
    }
    redirectToAuthorization(url) {
        this.asked += 1;
        this.destination = url;
    }
    saveCodeVerifier(verifier) { this.#verifier = verifier; }
    codeVerifier() { return this.#verifier; }
    saveDiscoveryState(state) { this.#discovery = state; }
    discoveryState() { return this.#discovery; }
    report() { return { asked: this.asked, client: this.#client?.client_id, tokens: this.seen }; }
}

export const said = result => result.content.map(block => block.text).join(' ');

export async function main(walk) {
    try {
        console.log(JSON.stringify(await walk()));
        process.exit(0);
    } catch (error) {
        console.error(error.stack ?? error);
        if (error.cause) console.error('because', error.cause);
        process.exit(1);
    }
}
