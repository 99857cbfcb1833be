// Walks the issuer's pages in Chromium: signs in, agrees, denies, is framed, has scripts switched
// off; and has every page judged by axe in light, dark, narrow and enlarged.
//
// walk.mjs CHROMIUM ISSUER ISSUER-WITH-PROVIDER PROVIDER-PORT PICTURES
//
// Each step prints a line; the first that fails ends the walk. Pictures of all pages are left in the
// folder PICTURES, for people to look at.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import axe from 'axe-core';
import { chromium } from 'playwright-core';
import { provider } from './provider.mjs';

const [program, own, facade, providerPort, pictures] = process.argv.slice(2);
const PASSWORD = 'correct horse battery';
const VERIFIER = 'a'.repeat(43);
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url');
const STATE = 'a state/with ?&=%';

// Gives up by itself before whoever started it does.
const limit = setTimeout(() => { console.error('the walk took too long'); process.exit(1); }, 280_000);

/** Listens where a client does, and hands out what it is sent. */
async function client(host) {
  const waiting = [];
  const server = http.createServer((request, response) => {
    const url = new URL(request.url, 'http://client');
    if (url.pathname === '/frame') {
      response.setHeader('content-type', 'text/html');
      return response.end(`<!doctype html><title>frame</title><iframe src="${url.searchParams.get('of')}"></iframe>`);
    }
    if (url.pathname === '/callback') {
      waiting.shift()?.({ answer: url.searchParams, headers: request.headers });
      // Many clients go on to another site from where they are answered.
      const place = `http://localhost:${server.address().port}/done`;
      response.writeHead(302, { location: place });
      return response.end();
    }
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><title>client</title><h1>Back at the client</h1>');
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
  const place = host.includes(':') ? `[${host}]` : host;
  return {
    port: server.address().port,
    uri: `http://${place}:${server.address().port}/callback`,
    answer: () => new Promise((resolve, reject) => {
      waiting.push(resolve);
      setTimeout(() => reject(new Error('the client got no answer')), 30_000).unref();
    }),
    close: () => server.close(),
  };
}

function asking(issuer, id, redirect_uri, more = {}) {
  const query = new URLSearchParams({
    response_type: 'code', client_id: id, redirect_uri, state: STATE,
    code_challenge: CHALLENGE, code_challenge_method: 'S256', resource: `http://${issuer}/mcp`, ...more,
  });
  return `http://${issuer}/oauth/authorize?${query}`;
}

async function signIn(page, password = PASSWORD) {
  await page.getByLabel('Name').fill('ada');
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

async function redeemed(issuer, redirect_uri, code) {
  const body = new URLSearchParams({
    grant_type: 'authorization_code', client_id: 'terminal', redirect_uri, code,
    code_verifier: VERIFIER, resource: `http://${issuer}/mcp`,
  });
  const response = await fetch(`http://${issuer}/oauth/token`, { method: 'POST', body });
  return { status: response.status, json: await response.json() };
}

async function step(name, work) {
  const began = Date.now();
  await work();
  console.log(`${name.padEnd(66)} ${((Date.now() - began) / 1000).toFixed(1).padStart(5)} s`);
}

fs.mkdirSync(pictures, { recursive: true });
const idp = await provider(Number(providerPort), 'gate');
const terminal = await client('127.0.0.1');
const six = await client('::1').catch(() => undefined);
const browser = await chromium.launch({
  executablePath: program,
  // As root, in a container, Chromium has no sandbox; it only ever opens pages of this machine.
  args: [
    '--no-sandbox', '--disable-background-networking',
    '--host-resolver-rules=MAP *.example ~NOTFOUND',
  ],
});

/** A fresh browser; whatever a page complains of ends the walk. */
async function fresh(options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.complaints = [];
  page.on('console', (message) => {
    const text = message.text();
    // A status of ours is no complaint; a broken policy is.
    if (message.type() === 'error' && !text.includes('Failed to load resource')) page.complaints.push(text);
  });
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  return { context, page };
}

async function closed({ context, page }) {
  assert.deepEqual(page.complaints, []);
  await context.close();
}

await step('a wrong password, then the right one, then consent, then a code', async () => {
  const visit = await fresh();
  const { page } = visit;
  await page.goto(asking(own, 'terminal', terminal.uri, { scope: 'files:read tool:github__get_issue' }));
  assert.equal(await page.title(), 'Sign in · Tollgate');
  await signIn(page, 'wrong');
  assert.match(await page.getByRole('alert').innerText(), /do not fit together/);
  assert.equal(await page.getByLabel('Name').inputValue(), 'ada');
  assert.equal(await page.getByLabel('Password').inputValue(), '');
  await signIn(page);
  await page.getByRole('heading', { name: 'Allow Terminal Agent to act for you?' }).waitFor();
  await page.getByLabel('use files:read').uncheck();
  const answer = terminal.answer();
  await page.getByRole('button', { name: 'Allow' }).click();
  const { answer: sent, headers } = await answer;
  await page.getByRole('heading', { name: 'Back at the client' }).waitFor();
  assert.equal(sent.get('state'), STATE);
  assert.equal(sent.get('iss'), `http://${own}`);
  assert.equal(headers.referer, undefined);
  const first = await redeemed(own, terminal.uri, sent.get('code'));
  assert.equal(first.status, 200, JSON.stringify(first.json));
  assert.equal(first.json.scope, 'tool:github__get_issue');
  assert.equal((await redeemed(own, terminal.uri, sent.get('code'))).status, 400);
  // Back in the history there is nothing to be sent again.
  await page.goBack();
  const again = page.getByRole('button', { name: 'Allow' });
  if (await again.isVisible()) await again.click();
  await page.getByRole('heading', { name: 'This page has expired' }).waitFor();
  await closed(visit);
});

await step('denied, then cancelled', async () => {
  const visit = await fresh();
  const { page } = visit;
  await page.goto(asking(own, 'terminal', terminal.uri));
  let answer = terminal.answer();
  await page.getByRole('link', { name: 'Cancel' }).click();
  assert.equal((await answer).answer.get('error'), 'access_denied');
  await page.goto(asking(own, 'terminal', terminal.uri));
  await signIn(page);
  answer = terminal.answer();
  await page.getByRole('button', { name: 'Deny' }).click();
  const sent = (await answer).answer;
  assert.equal(sent.get('error'), 'access_denied');
  assert.equal(sent.get('iss'), `http://${own}`);
  assert.equal(sent.get('code'), null);
  await closed(visit);
});

await step('consent to a client on the web is remembered, but not while signing in', async () => {
  const visit = await fresh();
  const { page } = visit;
  // There is no such host: what counts is where the browser wants to go.
  const sent = [];
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.origin === 'https://atlas.example') sent.push(url.searchParams.get('code'));
  });
  const place = asking(own, 'web', 'https://atlas.example/callback');
  await page.goto(place);
  await signIn(page);
  const gone = page.waitForEvent('requestfailed');
  await page.getByRole('button', { name: 'Allow' }).click();
  await gone;
  await assert.rejects(page.goto(place), /ERR_NAME_NOT_RESOLVED/);
  assert.equal(sent.length, 2);
  assert.ok(sent[0] && sent[1] && sent[0] !== sent[1]);
  // A page of its own: the browser is still busy showing that there is no such host.
  const other = await visit.context.newPage();
  await other.goto(`http://${own}/oauth/signin`);
  await other.getByRole('button', { name: 'Sign out' }).click();
  await other.getByRole('heading', { name: 'Signed out' }).waitFor();
  await other.goto(place);
  await signIn(other);
  await other.getByRole('button', { name: 'Allow' }).waitFor();
  assert.equal(sent.length, 2);
  await closed(visit);
});

await step('a form leads to an app on the device', async () => {
  const visit = await fresh();
  const { page } = visit;
  await page.goto(asking(own, 'app', 'com.example.notes:/callback'));
  await signIn(page);
  const sent = page.waitForResponse((response) => response.request().method() === 'POST');
  await page.getByRole('button', { name: 'Allow' }).click();
  assert.match((await sent).headers().location, /^com\.example\.notes:\/callback\?code=tgc_/);
  await closed(visit);
});

if (six) {
  await step('a form leads to a client on IPv6', async () => {
    const visit = await fresh();
    const { page } = visit;
    await page.goto(asking(own, 'six', six.uri));
    await signIn(page);
    const answer = six.answer();
    await page.getByRole('button', { name: 'Allow' }).click();
    assert.ok((await answer).answer.get('code'));
    await closed(visit);
  });
}

await step('somebody else signs in', async () => {
  const visit = await fresh();
  const { page } = visit;
  await page.goto(asking(own, 'terminal', terminal.uri));
  await signIn(page);
  await page.getByRole('button', { name: 'Sign in as somebody else' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await signIn(page);
  await page.getByRole('button', { name: 'Allow' }).waitFor();
  await closed(visit);
});

await step('by keyboard alone, and without scripts', async () => {
  const visit = await fresh({ javaScriptEnabled: false });
  const { page } = visit;
  await page.goto(asking(own, 'terminal', terminal.uri));
  // The cursor is where typing begins, as soon as there is one, and the way goes from top to bottom.
  await page.locator('input:focus').waitFor();
  await page.keyboard.type('ada');
  await page.keyboard.press('Tab');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Allow' }).waitFor();
  const focused = () => page.locator(':focus').getAttribute('id').then((id) => id ?? page.locator(':focus').innerText());
  const order = [];
  for (let at = 0; at < 6; at += 1) {
    await page.keyboard.press('Tab');
    order.push(await focused());
  }
  assert.deepEqual(order, ['scope-0', 'scope-1', 'scope-2', 'Allow', 'Deny', 'Sign in as somebody else']);
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Shift+Tab');
  const answer = terminal.answer();
  await page.keyboard.press('Enter');
  assert.ok((await answer).answer.get('code'));
  await closed(visit);
});

await step('framed by another site, a page stays blank', async () => {
  const visit = await fresh();
  const { page } = visit;
  const of = encodeURIComponent(asking(own, 'terminal', terminal.uri));
  await page.goto(`http://localhost:${terminal.port}/frame?of=${of}`).catch(() =>
    page.goto(`http://127.0.0.1:${terminal.port}/frame?of=${of}`));
  const frame = page.frames()[1];
  assert.doesNotMatch(await frame.content(), /Sign in|password/i);
  assert.ok(page.complaints.some((text) => /frame-ancestors|X-Frame-Options/i.test(text)), String(page.complaints));
  await visit.context.close();
});

await step('at a provider of another site, and again as somebody else', async () => {
  const visit = await fresh();
  const { page } = visit;
  await page.goto(asking(facade, 'terminal', terminal.uri));
  await page.getByRole('heading', { name: 'Allow Terminal Agent to act for you?' }).waitFor();
  assert.match(await page.locator('.facts').innerText(), /grace@example\.com/);
  const cookies = await visit.context.cookies();
  assert.ok(cookies.length > 0 && cookies.every((it) => it.httpOnly && it.sameSite === 'Lax'));
  await page.getByRole('button', { name: 'Sign in as somebody else' }).click();
  await page.getByRole('button', { name: 'Allow' }).waitFor();
  const answer = terminal.answer();
  await page.getByRole('button', { name: 'Allow' }).click();
  assert.ok((await answer).answer.get('code'));
  assert.equal(idp.seen.at(-1).prompt, 'select_account');
  await closed(visit);
});

const LOOKS = {
  light: { viewport: { width: 1100, height: 860 }, colorScheme: 'light' },
  dark: { viewport: { width: 1100, height: 860 }, colorScheme: 'dark' },
  narrow: { viewport: { width: 320, height: 640 }, colorScheme: 'light', deviceScaleFactor: 2 },
  enlarged: { viewport: { width: 640, height: 860 }, colorScheme: 'light' },
};

async function judged(page, look, name) {
  if (look === 'enlarged') await page.addStyleTag({ content: 'html { font-size: 200% }' });
  await page.screenshot({ path: path.join(pictures, `${name}-${look}.png`), fullPage: true });
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `${name}: ${over} pixels too wide`);
  await page.addScriptTag({ content: axe.source });
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run());
  const told = violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(' ')}`);
  assert.deepEqual(told, [], `${name}, ${look}`);
  assert.ok(passes.length > 10);
}

for (const [look, options] of Object.entries(LOOKS)) {
  await step(`every page: ${look}`, async () => {
    // What axe needs to run is what our pages forbid.
    const { context, page } = await fresh({ ...options, bypassCSP: true });
    await page.goto(`http://${own}/oauth/signin`);
    await judged(page, look, 'signed-out');
    await page.goto(asking(own, 'nobody', 'https://nobody.example/'));
    await judged(page, look, 'problem');
    await page.goto(asking(own, 'terminal', terminal.uri, { scope: 'files:read tool:github__get_issue tool:*' }));
    await judged(page, look, 'sign-in');
    await signIn(page, 'wrong');
    await judged(page, look, 'sign-in-wrong');
    await signIn(page);
    await judged(page, look, 'consent');
    for (const box of await page.getByRole('checkbox').all()) await box.uncheck();
    await page.getByRole('button', { name: 'Allow' }).click();
    await judged(page, look, 'consent-nothing');
    const registered = await fetch(`http://${own}/oauth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_name: 'A rather long name of an agent that somebody once registered here',
        redirect_uris: ['http://127.0.0.1/callback'],
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
      }),
    });
    const { client_id: id } = await registered.json();
    const many = Array.from({ length: 70 }, (_, at) => `tool:a_server__a_tool_with_a_long_name_${at}`);
    await page.goto(asking(own, id, terminal.uri, { scope: many.join(' ') }));
    await judged(page, look, 'consent-many');
    await page.goto(`http://${own}/oauth/signin`);
    await judged(page, look, 'signed-in');
    await context.close();
  });
}

await browser.close();
for (const server of [terminal, six, idp]) server?.close();
clearTimeout(limit);
console.log('the walk saw what it should');
process.exit(0);
