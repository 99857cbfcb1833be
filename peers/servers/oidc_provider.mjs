// npm `oidc-provider` as somebody else's authorization server, and as the OpenID provider people sign
// in at: registration, documents as client ids, resource indicators, introspection, keys that rotate.
//
// Told by the environment: PORT; FORMAT (`jwt` or `opaque`: what its access tokens are); LIFE (their
// seconds); FACADE (where the gate is sent back to when it is the client). `POST /rotate` makes the
// next signing key, with which it signs at once; `POST /stop` ends it. Prints `listening HOST:PORT`.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import http from 'node:http';
import Provider from 'oidc-provider';

const { PORT, FORMAT = 'jwt', LIFE = '600', FACADE } = process.env;
const issuer = `http://127.0.0.1:${PORT}`;
const SECRET = 'a secret of the peer, and not one';
const SCOPE = 'mcp';

function key() {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: 'ES256', use: 'sig' };
}

// What all generations of the provider share.
const kept = new Map();
class Memory {
    constructor(kind) { this.kind = kind; }
    at(id) { return `${this.kind}:${id}`; }
    async upsert(id, payload) { kept.set(this.at(id), payload); }
    async find(id) { return kept.get(this.at(id)); }
    async found(test) {
        for (const [at, payload] of kept) if (at.startsWith(`${this.kind}:`) && test(payload)) return payload;
        return undefined;
    }
    findByUid(uid) { return this.found(it => it.uid === uid); }
    findByUserCode(code) { return this.found(it => it.userCode === code); }
    async consume(id) { kept.get(this.at(id)).consumed = Math.floor(Date.now() / 1000); }
    async destroy(id) { kept.delete(this.at(id)); }
    async revokeByGrantId(grant) {
        for (const [at, payload] of kept) if (payload.grantId === grant) kept.delete(at);
    }
}

const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
const clients = [
    { client_id: 'gate', client_secret: SECRET, ...machine },
    { client_id: 'robot', client_secret: SECRET, scope: SCOPE, ...machine },
    { client_id: 'short', client_secret: SECRET, scope: SCOPE, ...machine }
];
if (FACADE) {
    clients.push({
        client_id: 'facade', client_secret: SECRET, redirect_uris: [FACADE],
        grant_types: ['authorization_code'], response_types: ['code']
    });
}

function generation(keys) {
    const provider = new Provider(issuer, {
        adapter: Memory,
        clients,
        jwks: { keys },
        cookies: { keys: [SECRET] },
        scopes: ['openid', 'offline_access', SCOPE],
        claims: { openid: ['sub'], email: ['email'], profile: ['name'], groups: ['groups'] },
        // The gate reads ID tokens only.
        conformIdTokenClaims: false,
        clientDefaults: { id_token_signed_response_alg: 'ES256' },
        enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
        findAccount: (_ctx, id) => ({
            accountId: id,
            claims: () => ({ sub: id, email: 'ada@example.com', name: 'Ada', groups: ['engineering'] })
        }),
        // Documents are on this machine here, where its own guard lets it connect to nothing.
        fetch: (url, { dispatcher: _guard, ...options }) => globalThis.fetch(url, options),
        issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
        rotateRefreshToken: true,
        features: {
            clientCredentials: { enabled: true },
            clientIdMetadataDocument: { enabled: true, ack: 'draft-02', allowFetch: () => true, allowClient: () => true },
            introspection: { enabled: true, allowedPolicy: (_ctx, client) => client.clientId === 'gate' },
            registration: { enabled: true },
            resourceIndicators: {
                enabled: true,
                defaultResource: (_ctx, _client, oneOf) => oneOf,
                useGrantedResource: () => true,
                getResourceServerInfo: (_ctx, resource, client) => ({
                    scope: SCOPE,
                    audience: resource,
                    // What this machine gets must outlast what is done with it.
                    accessTokenTTL: client.clientId === 'robot' ? 600 : Number(LIFE),
                    accessTokenFormat: FORMAT,
                    jwt: { sign: { alg: 'ES256' } }
                })
            },
            revocation: { enabled: true }
        }
    });
    provider.on('server_error', (_ctx, error) => console.error(error));
    for (const kind of ['authorization', 'grant', 'registration_create', 'introspection']) {
        provider.on(`${kind}.error`, (_ctx, error) => console.error(kind, error.error, error.error_description, error.error_detail));
    }
    return provider.callback();
}

let keys = [key()];
let callback = generation(keys);
const server = http.createServer((request, response) => {
    if (request.url === '/stop') process.exit(0);
    if (request.url !== '/rotate') return callback(request, response);
    keys = [key(), ...keys].slice(0, 3);
    callback = generation(keys);
    return response.end(keys[0].kid);
});
server.listen(Number(PORT), '127.0.0.1', () => console.log(`listening 127.0.0.1:${PORT}`));
