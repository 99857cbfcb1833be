// An OpenID provider as small as one can be: it lets everybody in as the same person, at once.
//
// It listens on `localhost`, which to a browser is another site than the issuer's 127.0.0.1.

import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import http from 'node:http';

const base64url = (value) => Buffer.from(value).toString('base64url');

export async function provider(port, client) {
  const issuer = `http://localhost:${port}`;
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256', use: 'sig' };
  const codes = new Map();
  const seen = [];

  function token(nonce) {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: issuer, sub: '248289761001', aud: client, nonce, iat: now, exp: now + 300,
      email: 'grace@example.com', groups: ['engineering'],
    };
    const head = base64url(JSON.stringify({ alg: 'ES256', kid: 'one', typ: 'JWT' }));
    const signed = `${head}.${base64url(JSON.stringify(claims))}`;
    const key = { key: privateKey, dsaEncoding: 'ieee-p1363' };
    return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`;
  }

  async function form(request) {
    let text = '';
    for await (const chunk of request) text += chunk;
    return new URLSearchParams(text);
  }

  const server = http.createServer(async (request, response) => {
    const url = new URL(request.url, issuer);
    const json = (value, status = 200) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    if (url.pathname === '/.well-known/openid-configuration') {
      return json({
        issuer,
        authorization_endpoint: `${issuer}/auth`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/keys`,
        authorization_response_iss_parameter_supported: true,
      });
    }
    if (url.pathname === '/keys') return json({ keys: [jwk] });
    if (url.pathname === '/auth') {
      const asked = Object.fromEntries(url.searchParams);
      seen.push(asked);
      const code = randomUUID();
      codes.set(code, asked);
      const back = new URL(asked.redirect_uri);
      for (const [name, value] of Object.entries({ code, state: asked.state, iss: issuer })) {
        back.searchParams.set(name, value);
      }
      response.writeHead(302, { location: back.href });
      return response.end();
    }
    if (url.pathname === '/token') {
      const sent = await form(request);
      const asked = codes.get(sent.get('code'));
      codes.delete(sent.get('code'));
      const digest = createHash('sha256').update(sent.get('code_verifier') ?? '').digest('base64url');
      if (asked?.code_challenge !== digest) return json({ error: 'invalid_grant' }, 400);
      return json({ access_token: 'x', token_type: 'Bearer', id_token: token(asked.nonce) });
    }
    response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(port, 'localhost', resolve));
  return { seen, close: () => server.close() };
}
