// The examples as people use them, in a real browser, while access tokens live three seconds, answers get lost, and the server
// and its database fall over. TestTheExamples… in examples_test.go builds the pages for a delivery, and starts this.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { stand } from './stand.mjs';

const delivery = process.env.DELIVERY;
const [reactExample, urqlExample, bare] = stand.origins;
const screenshots = process.env.SCREENSHOTS;
const activity = Number(process.env.ACTIVITY ?? 12) * 1000; // of the eight tabs
// What is the same whatever the delivery is, is tested with one, unless there is time.
const everything = delivery === 'COOKIES' || activity > 60_000;
const password = 'correct horse battery staple';
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser;
let people = 0;
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
});
after(() => browser.close());

const newPerson = () => `person${++people}@example.com`;

/** A browser with nothing in it, until a test ends. `refreshes` has when its pages asked for new tokens. */
async function profile(t, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  t.after(() => context.close());
  context.refreshes = [];
  context.on('request', (request) => {
    if (request.postData()?.includes('mutation Refresh')) {
      context.refreshes.push(Date.now());
    }
  });
  // What a person was told, however briefly, and whatever moved under the cursor.
  await context.addInitScript(() => {
    window.told = [];
    window.moved = 0;
    new PerformanceObserver((list) => list.getEntries().forEach(({ value }) => (window.moved += value))).observe({
      type: 'layout-shift',
      buffered: true,
    });
    new MutationObserver(() => {
      for (const said of document.querySelectorAll('[role=alert], [role=status]')) {
        const text = said.textContent.trim();
        if (text && !window.told.includes(text)) {
          window.told.push(text);
        }
      }
    }).observe(document, { childList: true, subtree: true, characterData: true });
  });
  return context;
}

async function open(context, url = reactExample) {
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(error.message));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) {
      page.faults.push(message.text());
    }
  });
  await page.goto(url);
  return page;
}

const heading = (page, name) => page.getByRole('heading', { level: 1, name, exact: true }).waitFor();

async function signUp(page, email) {
  await page.getByRole('link', { name: 'Create an account' }).click();
  await page.getByLabel('Name (optional)').fill('Ada Lovelace');
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByRole('navigation', { name: 'Main' }).waitFor();
}

async function signIn(page, email) {
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('navigation', { name: 'Main' }).waitFor();
}

/** Goes to a screen by its link, and waits for what the server says about it. */
async function visit(page, name) {
  await page.bringToFront();
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name }).click();
  if (name === 'Devices') {
    await heading(page, 'Your devices');
    await page.getByRole('list', { name: 'Your devices' }).getByText('This device').waitFor();
  } else if (name === 'Profile') {
    await page.getByText('Account created').waitFor();
  }
}

/** Has a page believe that nobody looks at it: then it does not refresh ahead. */
async function hide(page) {
  await page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { value: 'hidden' });
    document.dispatchEvent(new Event('visibilitychange'));
  });
}

/** Has a page ask the server something, unless it did so by itself already and knows that it is signed out. */
async function nextRequest(page) {
  await page.bringToFront();
  await page.getByRole('link', { name: 'Devices' }).click({ timeout: 1_000 }).catch(() => {});
}

/** Waits until the pages of a browser have asked for new tokens so many times more. */
async function refreshes(context, count) {
  const wanted = context.refreshes.length + count;
  while (context.refreshes.length < wanted) {
    await context.waitForEvent('request', { timeout: 20_000 }).catch(async () => {
      const shown = await Promise.all(context.pages().map((page) => page.locator('body').innerText()));
      throw new Error(`nothing was asked for 20 s; the pages show: ${shown.join(' | ')}`);
    });
  }
  return context.refreshes.slice(-count);
}

/** Asks the server past the pages, as a script does. */
async function ask(query, { variables, token, cookie } = {}) {
  const response = await fetch(`${stand.url}/graphql`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'GraphQL-Require-Preflight': '1',
      ...(token && { Authorization: `Bearer ${token}` }),
      ...(cookie && { Cookie: cookie }),
    },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

/** The refresh token, as who has the whole browser finds it. */
async function stealRefreshToken(page) {
  if (delivery === 'BODY') {
    return page.evaluate(() => JSON.parse(Object.entries(localStorage).find(([key]) => key.startsWith('latchkey:'))[1]).refreshToken);
  }
  const cookies = await page.context().cookies(stand.url);
  return cookies.find(({ name }) => name === '__Host-latchkey-refresh').value;
}

async function accessible(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
  );
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`), []);
}

async function lookAt(page, name) {
  if (delivery !== 'COOKIES') {
    return; // it looks the same
  }
  await accessible(page);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0, `${name} is wider than the window`);
  if (screenshots) {
    await page.screenshot({ path: `${screenshots}/${delivery}-${name}.png`, fullPage: true, animations: 'disabled' });
  }
}

// These get into nobody's way.
describe(`a page with the delivery ${delivery}`, { concurrency: 4 }, () => {
  for (const [look, options] of Object.entries({
    light: { colorScheme: 'light' },
    ...(everything && { dark: { colorScheme: 'dark' }, narrow: { viewport: { width: 360, height: 740 } } }),
  })) {
    it(`is a pleasure to use, ${look}`, async (t) => {
      const email = newPerson();
      const page = await open(await profile(t, options));
      await heading(page, 'Sign in');
      await lookAt(page, `${look}-sign-in`);
      await page.getByRole('link', { name: 'Create an account' }).click();
      await heading(page, 'Create an account');
      await page.getByLabel('E-mail').fill(email);
      await page.getByLabel('Password', { exact: true }).fill('password');
      await page.getByRole('button', { name: 'Create account' }).click();
      await page.locator('[name=password][aria-invalid=true]').waitFor();
      await lookAt(page, `${look}-weak-password`);
      await page.getByLabel('Name (optional)').fill('Ada Lovelace');
      await page.getByLabel('Password', { exact: true }).fill(password);
      await page.getByRole('button', { name: 'Create account' }).click();
      await heading(page, 'Profile');
      await page.getByText('Account created').waitFor();
      await lookAt(page, `${look}-profile`);

      const elsewhere = await open(await profile(t, { userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' }));
      await signIn(elsewhere, email);
      await visit(page, 'Devices');
      await page.getByRole('button', { name: 'Sign out Firefox on Linux' }).waitFor();
      await lookAt(page, `${look}-devices`);
      await page.getByRole('button', { name: 'Sign out Firefox on Linux' }).click();
      await page.getByRole('dialog').waitFor();
      await lookAt(page, `${look}-ask`);
      await page.getByRole('button', { name: 'Sign it out' }).click();
      await page.getByText('Firefox on Linux is signed out.').waitFor();
      await nextRequest(elsewhere);
      await elsewhere.getByRole('alert').filter({ hasText: 'signed this device out from another one' }).waitFor();

      await visit(page, 'Password');
      await page.getByLabel('Current password').fill('not the password at all');
      await page.getByLabel('New password').fill('an analytical engine of brass');
      await page.getByRole('button', { name: 'Change password' }).click();
      await page.locator('[name=currentPassword][aria-invalid=true]').waitFor();
      await lookAt(page, `${look}-wrong-password`);
      await page.getByLabel('Current password').fill(password);
      await page.getByRole('button', { name: 'Change password' }).click();
      await page.getByRole('status').filter({ hasText: 'Your password is changed.' }).waitFor();
      await lookAt(page, `${look}-password`);

      await page.reload(); // who is signed in stays it, and where they were
      await heading(page, 'Change password');
      await page.getByRole('button', { name: 'Sign out', exact: true }).click();
      await heading(page, 'Sign in');
      await page.getByRole('status').filter({ hasText: 'You are signed out.' }).waitFor();
      await lookAt(page, `${look}-signed-out`);
      assert.deepEqual(page.faults, []);
    });
  }

  it('moves nothing while it refreshes, and says nothing', { skip: !everything }, async (t) => {
    const page = await open(await profile(t));
    await signUp(page, newPerson());
    await visit(page, 'Devices');
    await page.waitForLoadState('networkidle');
    await page.evaluate(() => {
      window.told = [];
      window.moved = 0;
    });
    await refreshes(page.context(), 3);
    assert.deepEqual(await page.evaluate(() => [window.told, window.moved]), [[], 0]);
    assert.deepEqual(page.faults, []);
  });

  for (const [minutes, off] of [[10, 'fast'], [-10, 'slow']]) {
    it(`refreshes by the clock of the server where that of the device is ${off}`, { skip: !everything }, async (t) => {
      const context = await profile(t);
      await context.addInitScript((ahead) => {
        const now = Date.now.bind(Date);
        Date.now = () => now() + ahead;
      }, minutes * 60_000);
      const page = await open(context);
      await signUp(page, newPerson());
      const [first, , third] = await refreshes(context, 3);
      assert.ok(third - first > 2_000, 'it refreshes all the time');
      await visit(page, 'Devices');
    });
  }

  for (const client of ['apollo', 'urql', 'fetch']) {
    it(`refreshes once for five queries at once after the end of the access token, with ${client}`, async (t) => {
      const page = await open(await profile(t), bare);
      await page.evaluate((input) => session.signUp(input), { email: newPerson(), password });
      await hide(page);
      await pause(3_500);
      page.context().refreshes.length = 0;
      const answers = await page.evaluate((name) => Promise.all([1, 2, 3, 4, 5].map((nth) => ask[name](nth))), client);
      assert.equal(new Set(answers).size, 1);
      assert.equal(page.context().refreshes.length, 1);
    });
  }

  it('signs out all tabs, which need not ask the server', async (t) => {
    const context = await profile(t);
    const first = await open(context);
    await signUp(first, newPerson());
    const tabs = [first, await open(context), await open(context)];
    await Promise.all(tabs.map((tab) => heading(tab, 'Profile')));
    await Promise.all([hide(tabs[0]), hide(tabs[2])]); // who would ask otherwise, before long
    let asked;
    context.on('request', (request) => asked?.push(request.postData()));
    context.on('response', (response) => {
      if (response.request().postData()?.includes('mutation SignOut')) {
        asked = [];
      }
    });
    await tabs[1].getByRole('button', { name: 'Sign out', exact: true }).click();
    await Promise.all(tabs.map((tab) => heading(tab, 'Sign in')));
    assert.deepEqual(asked, []);
  });

  it('says why it was signed out from another browser, at its next request', async (t) => {
    const email = newPerson();
    const page = await open(await profile(t));
    await signUp(page, email);
    const other = await open(await profile(t));
    await signIn(other, email);
    await visit(other, 'Devices');
    await other.getByRole('button', { name: 'Sign out everywhere else' }).click();
    await other.getByRole('button', { name: 'Sign them out' }).click();
    await other.getByText('1 other device was signed out.').waitFor();
    await nextRequest(page);
    await page.getByRole('alert').filter({ hasText: 'You signed this device out from another one.' }).waitFor();
    await lookAt(page, 'revoked');
    await page.reload();
    await heading(page, 'Sign in');
    assert.equal(await page.getByRole('alert').count(), 0);
  });

  it('says that the session ended for safety when a stolen refresh token is used', async (t) => {
    const page = await open(await profile(t));
    await signUp(page, newPerson());
    const stolen = await stealRefreshToken(page);
    await refreshes(page.context(), 3); // its successor is in use, and the grace (2 s here) is over
    const { data } = await ask('mutation Thief($token: String) { refreshToken(input: { refreshToken: $token }) { ... on AuthFailure { code endReason } } }', {
      variables: { token: stolen },
    });
    assert.deepEqual(data.refreshToken, { code: 'SESSION_ENDED', endReason: 'REUSE_DETECTED' });
    await page.getByRole('alert').filter({ hasText: 'We ended this session for your safety' }).waitFor();
    await lookAt(page, 'reuse');
  });

  it('shows scripts no more than its delivery says', async (t) => {
    const context = await profile(t);
    // A script of somebody else that came into the page before all others.
    await context.addInitScript(() => {
      window.read = [];
      const { fetch: original } = window;
      window.fetch = async (...args) => {
        const response = await original(...args);
        response.clone().text().then((text) => window.read.push(text));
        const request = new Request(...args);
        window.read.push(JSON.stringify([...request.headers]), await request.text().catch(() => ''));
        return response;
      };
      const { BroadcastChannel: Original } = window;
      window.BroadcastChannel = class extends Original {
        constructor(name) {
          super(name);
          new Original(name).onmessage = ({ data }) => window.read.push(JSON.stringify(data));
        }
      };
    });
    const page = await open(context);
    await signUp(page, newPerson());
    const second = await open(context);
    await heading(second, 'Profile');
    await refreshes(context, 2);
    const kept = await page.evaluate(async () => {
      const databases = await indexedDB.databases();
      const names = Object.getOwnPropertyNames(window).filter((name) => name !== 'read');
      const text = (value) => {
        try {
          return JSON.stringify(value) ?? '';
        } catch {
          return '';
        }
      };
      return [document.cookie, text({ ...localStorage }), text({ ...sessionStorage }), text(databases), text(await caches.keys()), document.documentElement.outerHTML,
        ...names.map((name) => text(window[name]))].join('\n');
    });
    const read = (await Promise.all([page, second].map((tab) => tab.evaluate(() => window.read.join('\n'))))).join('\n');
    assert.ok(read.includes('accessTokenExpiresAt') && read.includes('signedIn'), 'the script hears what is said');
    const has = (text) => ({ refreshToken: /lkr1\./.test(text), accessToken: /eyJ/.test(text) });
    assert.deepEqual({ kept: has(kept), read: has(read) }, {
      BODY: { kept: { refreshToken: true, accessToken: false }, read: { refreshToken: true, accessToken: true } },
      REFRESH_COOKIE: { kept: { refreshToken: false, accessToken: false }, read: { refreshToken: false, accessToken: true } },
      COOKIES: { kept: { refreshToken: false, accessToken: false }, read: { refreshToken: false, accessToken: false } },
    }[delivery]);
  });

  it('is the same on one page with urql', async (t) => {
    const email = newPerson();
    const page = await open(await profile(t), urqlExample);
    await page.getByLabel('E-mail').fill(email);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Create account' }).click();
    await page.getByRole('list', { name: 'Your devices' }).getByText('This device').waitFor();
    await lookAt(page, 'urql');
    await refreshes(page.context(), 2);
    const other = await open(await profile(t));
    await signIn(other, email);
    await visit(other, 'Devices');
    await other.getByRole('button', { name: 'Sign out everywhere else' }).click();
    await other.getByRole('button', { name: 'Sign them out' }).click();
    await page.getByRole('alert').filter({ hasText: 'You signed this device out from another one.' }).waitFor();
    await lookAt(page, 'urql-revoked');
  });
});

// And these make trouble for all.
describe(`in trouble, a page with the delivery ${delivery}`, () => {
  afterEach(stand.clearAnswers);

  it(`shares every rotation among eight tabs, through ${activity / 1000} s of activity`, async (t) => {
    const context = await profile(t);
    const first = await open(context);
    await signUp(first, newPerson());
    const tabs = [first, ...(await Promise.all(Array.from({ length: 7 }, () => open(context))))];
    await Promise.all(tabs.map((tab) => heading(tab, 'Profile')));
    for (const tab of tabs) {
      await tab.waitForLoadState('networkidle');
      await tab.evaluate(() => (window.told = []));
    }
    await stand.clearRequests();
    const began = Date.now();
    while (Date.now() - began < activity) {
      for (const tab of tabs) {
        await visit(tab, 'Devices');
        await visit(tab, 'Profile');
      }
    }
    const lasted = Date.now() - began;
    // Without a status are those that a page took back, since somebody went on to the next screen.
    const seen = (await stand.requests()).filter(({ status }) => status !== 0);
    // One that was under way when its token expired is sent again, and nobody notices.
    const failed = seen.filter(({ status, error }) => status !== 200 || (error && error.reason !== 'TOKEN_EXPIRED'));
    assert.deepEqual(failed, []);
    const rotations = seen.filter(({ operation }) => operation === 'Refresh');
    console.log(`${seen.length} requests of eight tabs in ${lasted} ms, ${rotations.length} refreshes`);
    // A token ends with a second, so it lives from two to three; it is exchanged ahead by a third of that. Each tab by itself
    // would come to four a second.
    assert.ok(rotations.length >= lasted / 3_000 - 1, `only ${rotations.length} rotations in ${lasted} ms`);
    assert.ok(rotations.length <= lasted / 1_000 + 1, `${rotations.length} rotations in ${lasted} ms`);
    for (const tab of tabs) {
      assert.deepEqual([await tab.evaluate(() => window.told), tab.faults], [[], []]);
    }
    await visit(first, 'Devices');
    assert.equal(await first.getByRole('list', { name: 'Your devices' }).getByRole('listitem').count(), 1);
  });

  it('does not notice that an answer was lost', async (t) => {
    const page = await open(await profile(t));
    await signUp(page, newPerson());
    await page.evaluate(() => (window.told = []));
    await stand.clearRequests();
    await stand.cutAnswer('Refresh');
    await refreshes(page.context(), 2);
    assert.equal((await stand.requests('Refresh'))[0].fault, 'cut');
    await visit(page, 'Devices');
    assert.deepEqual(await page.evaluate(() => window.told), []);
  });

  it('stays signed in while the server and its database are away, and says no more than that it reconnects', async (t) => {
    const page = await open(await profile(t));
    await signUp(page, newPerson());
    await page.evaluate(() => (window.told = []));
    const use = async () => {
      await visit(page, 'Devices');
      await visit(page, 'Profile');
    };
    await Promise.all([stand.restartServer(), use()]);
    await use();
    await stand.killServer();
    await Promise.all([pause(2_000).then(() => stand.startServer()), use()]);
    await stand.stopDatabase('immediate');
    await Promise.all([pause(10_000).then(() => stand.startDatabase()), use()]);
    await use();
    await page.getByRole('status').filter({ hasText: 'Reconnecting…' }).waitFor({ state: 'detached' });
    const told = await page.evaluate(() => window.told);
    assert.deepEqual(told, ['Reconnecting…']);
    await page.reload();
    await heading(page, 'Profile');
  });
});
