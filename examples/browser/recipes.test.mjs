// The recipes of Apollo Client's and urql's documentation, in a real browser, while access tokens live three seconds.
// TestTheRecipes… in examples_test.go builds the pages and starts this.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { stand } from './stand.mjs';

const password = 'correct horse battery staple';

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
});
after(() => browser.close());

// ask asks the server past the page.
async function ask(query, { token, variables } = {}) {
  const response = await fetch(`${stand.url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

// open returns a tab of a profile. It has a list of the refresh tokens that it sent and was given.
async function open(context, path) {
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.faults = [];
  page.refreshes = [];
  page.on('pageerror', (error) => page.faults.push(error.message));
  page.on('response', (response) => {
    const asked = response.request().method() === 'POST' && response.request().postDataJSON();
    if (asked?.operationName === 'Refresh') {
      page.refreshes.push(response.json().then(({ data }) => ({ sent: asked.variables.refreshToken, got: data.refreshToken.refreshToken })));
    }
  });
  await page.goto(`${stand.origins[0]}/${path}`);
  return page;
}

const stored = (page, name) => page.evaluate((key) => localStorage.getItem(key), name);

// awaitExpiry returns once the server says that the page's access token is too old, and forgets what was before.
async function awaitExpiry(page) {
  const token = await stored(page, 'token');
  const reason = async () => (await ask('query Poll { me { id } }', { token })).errors?.[0].extensions.reason;
  while (await reason() !== 'TOKEN_EXPIRED') {
    await pause(50);
  }
  await stand.clearAnswers();
  await stand.clearRequests();
  page.refreshes.length = 0;
}

// load has the page send its five queries, and returns those that failed.
async function load(page) {
  await page.bringToFront(); // the browser takes its time with a tab that nobody sees
  await page.getByRole('button', { name: 'Load' }).click();
  await page.locator('#results li').nth(4).waitFor();
  return page.locator('#results li.rejected').allTextContents();
}

async function press(page, button, status) {
  await page.bringToFront();
  await page.getByRole('button', { name: button }).click();
  await page.getByRole('status').filter({ hasText: new RegExp(`^${status}$`) }).waitFor();
}

const unauthenticated = (requests) => requests.filter(({ error }) => error?.code === 'UNAUTHENTICATED');
const areQueries = ({ operation }) => ['Email', 'Name', 'Role', 'Since', 'Devices'].includes(operation);

for (const recipe of [
  // Each of the queries that failed refreshes, and fails with its refresh.
  { name: 'Apollo Client', path: 'apollo.html', method: 'POST', refreshes: 5, lost: 5 },
  // Nothing is sent with a token that has expired, by the clock of the device, and all queries wait for one refresh. Where
  // that fails the first of them does, and the next refreshes.
  { name: 'urql', path: 'urql.html', method: 'GET', refreshes: 1, lost: 1 },
]) {
  describe(recipe.name, () => {
    let context, page, quiet;

    // refreshAndLoad does what load does where the token has expired. All queries have failed before the first refresh is
    // answered, as over a network that takes its time: each then refreshes with the same token.
    async function refreshAndLoad() {
      await stand.delayAnswer(600, 'Refresh', recipe.refreshes);
      return load(page);
    }

    before(async () => {
      context = await browser.newContext();
      page = await open(context, recipe.path);
    });
    after(() => context.close());

    it('signs a person up, out and in', async () => {
      const email = `${recipe.path.replace('.html', '')}@example.com`;
      await page.getByLabel('E-mail').fill(email);
      await page.getByLabel('Password').fill(password);
      await press(page, 'Sign up', 'Signed in');
      await press(page, 'Sign out', 'Not signed in');
      await page.getByLabel('Password').fill('not the password of anybody');
      await page.getByRole('button', { name: 'Log in' }).click();
      await page.getByRole('alert').filter({ hasText: /password/ }).waitFor();
      await page.getByLabel('Password').fill(password);
      await press(page, 'Log in', 'Signed in');
      quiet = await open(context, recipe.path); // a second tab, in which nothing is done for a while

      await stand.clearRequests();
      assert.deepEqual(await load(page), []);
      const queries = (await stand.requests()).filter(areQueries);
      assert.ok(queries.length >= 5 && queries.every(({ method, authorized }) => method === recipe.method && authorized));
      assert.match(await page.locator('#results').textContent(), new RegExp(email));
    });

    it('lets five queries at once succeed after the token expired', async () => {
      await awaitExpiry(page);
      assert.deepEqual(await refreshAndLoad(), []);
      const refreshes = await stand.requests('Refresh');
      assert.equal(refreshes.length, recipe.refreshes);
      // They come with the token that has expired, which does not stop them.
      assert.ok(refreshes.every(({ authorized, method, error }) => authorized && method === 'POST' && error === null));
      const tokens = await Promise.all(page.refreshes);
      assert.equal(tokens.length, recipe.refreshes);
      assert.equal(new Set(tokens.map(({ sent }) => sent)).size, 1, 'different refresh tokens were sent');
      assert.equal(new Set(tokens.map(({ got }) => got)).size, 1, 'different refresh tokens came back');
      assert.equal(await stored(page, 'refreshToken'), tokens[0].got);
    });

    it('keeps a person signed in when the answer to a refresh is lost', async () => {
      await awaitExpiry(page);
      const replaced = await stored(page, 'refreshToken');
      await stand.cutAnswer('Refresh', recipe.refreshes);
      assert.equal((await load(page)).length, recipe.lost);
      assert.equal((await stand.requests('Refresh')).filter(({ fault }) => fault === 'cut').length, recipe.refreshes);
      assert.deepEqual(await refreshAndLoad(), []);
      const tokens = await Promise.all(page.refreshes);
      assert.ok(tokens.length > 0 && tokens.every(({ sent }) => sent === replaced), 'another token was sent');
      assert.equal(await stored(page, 'refreshToken'), tokens[0].got);
      await page.getByRole('status').filter({ hasText: /^Signed in$/ }).waitFor();
    });

    it('does so on a device whose clock is wrong', async () => {
      await awaitExpiry(page);
      await page.clock.setFixedTime(new Date(Date.now() - 3_600_000));
      assert.deepEqual(await refreshAndLoad(), []);
      const requests = await stand.requests();
      assert.equal(unauthenticated(requests).length, 5, 'the server says that the token has expired');
      assert.equal(requests.filter(areQueries).length, 10);
      assert.equal(requests.length - 10, recipe.refreshes);
    });

    it('finds the tab signed in in which nothing was done meanwhile', async () => {
      assert.deepEqual(await load(quiet), []);
      assert.deepEqual(await load(page), []);
    });

    it('signs out, and both tokens are dead', async () => {
      const [token, refreshToken] = [await stored(page, 'token'), await stored(page, 'refreshToken')];
      await press(page, 'Sign out', 'Not signed in');
      await quiet.getByRole('status').filter({ hasText: /^Not signed in$/ }).waitFor();
      assert.equal(await stored(page, 'refreshToken'), null);
      assert.equal((await ask('{ me { id } }', { token })).errors[0].extensions.code, 'UNAUTHENTICATED');
      const { data } = await ask(
        'mutation ($refreshToken: String) { refreshToken(input: { refreshToken: $refreshToken }) { ... on AuthFailure { code endReason } } }',
        { variables: { refreshToken } },
      );
      assert.deepEqual(data.refreshToken, { code: 'SESSION_ENDED', endReason: 'SIGNED_OUT' });
      assert.deepEqual([...page.faults, ...quiet.faults], []);
    });
  });
}
