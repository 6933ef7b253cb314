// Uses the explorer as a person does, in a real browser: `node browser.mjs CHROMIUM URL FOREIGN_URL FOLDER`.
// Screenshots go to the folder. It writes "advance 6m" where the server's clock is to be moved, and reads a line.
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const [executablePath, url, foreignURL, folder] = process.argv.slice(2);
const person = { email: 'ada@example.com', password: 'correct horse battery staple' };

const replies = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function advance(duration) {
  console.log(`advance ${duration}`);
  await replies.next();
}

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });

// open returns a page of a new profile that notes whatever should not be.
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(error.message));
  page.on('console', (message) => {
    // What GraphiQL's dialogs lack is not ours to mend.
    if (['error', 'warning'].includes(message.type()) && !message.text().includes('aria-describedby')) {
      page.faults.push(message.text());
    }
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) {
      page.faults.push(`request to ${request.url()}`);
    }
  });
  await page.goto(url);
  await page.getByRole('button', { name: /Execute query/ }).waitFor();
  await page.getByLabel('Show Documentation Explorer').waitFor();
  return page;
}

// set writes into one of GraphiQL's editors.
async function set(page, section, text) {
  await page.getByLabel(section).locator('.CodeMirror').first().evaluate((editor, value) => editor.CodeMirror.setValue(value), text);
}

async function execute(page) {
  await page.getByLabel('Query Editor').locator('.CodeMirror').evaluate((editor) => editor.CodeMirror.focus());
  await page.keyboard.press('Control+Enter');
}

// run runs a tab, by the keyboard, and returns its answer.
async function run(page, tab, variables) {
  await page.locator('.graphiql-tab-button').getByText(tab, { exact: true }).click();
  if (variables) {
    await set(page, 'Variables', JSON.stringify(variables));
  }
  const answered = page.waitForResponse(
    (response) => new RegExp(`(query|mutation) ${tab}\\b`).test(response.request().postDataJSON()?.query),
  );
  await execute(page);
  await answered;
  const response = page.getByLabel('Result Window').locator('.CodeMirror');
  await page.waitForFunction(
    (editor) => editor.CodeMirror.getValue().trim().startsWith('{'), await response.elementHandle());
  return JSON.parse(await response.evaluate((editor) => editor.CodeMirror.getValue()));
}

const signedInAs = (page, who) => page.getByRole('status').filter({ hasText: who }).waitFor();

// nothingIsKept asserts that no storage of the page has a secret.
async function nothingIsKept(page) {
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  for (const secret of [person.password, 'lkr1.', 'eyJ']) {
    assert.ok(!kept.includes(secret), `kept: ${kept}`);
  }
}

// cookies returns those of the session. That of the device outlives it.
async function cookies(page) {
  const all = await page.context().cookies();
  return Object.fromEntries(all.filter(({ name }) => name !== '__Host-latchkey-device').map((cookie) => [cookie.name, cookie]));
}

// A person signs up, comes back by each delivery, and leaves.
{
  const page = await open();
  await signedInAs(page, 'Not signed in');
  assert.equal((await run(page, 'SignUp')).data.signUp.user.email, person.email);
  await signedInAs(page, person.email);
  await page.screenshot({ path: `${folder}/light.png` });
  await page.getByRole('button', { name: 'Sign out' }).press('Enter');
  await signedInAs(page, 'Not signed in');

  for (const [delivery, names] of Object.entries({
    BODY: [],
    REFRESH_COOKIE: ['__Host-latchkey-refresh'],
    COOKIES: ['__Host-latchkey-access', '__Host-latchkey-refresh'],
  })) {
    assert.equal((await run(page, 'Me')).errors[0].extensions.reason, 'TOKEN_MISSING');
    const { login } = (await run(page, 'LogIn', { input: { ...person, delivery } })).data;
    await signedInAs(page, person.email);
    assert.equal(login.accessToken === null, delivery === 'COOKIES');
    assert.equal(login.refreshToken !== null, delivery === 'BODY');
    assert.deepEqual(Object.keys(await cookies(page)).sort(), names);
    assert.equal((await run(page, 'Me')).data.me.email, person.email);
    assert.equal((await run(page, 'MySessions')).data.me.sessions.length, 1);

    await advance('6m'); // the access token is too old, and is refreshed without a word
    const before = (await cookies(page))['__Host-latchkey-refresh']?.value;
    assert.equal((await run(page, 'Me')).data.me.email, person.email);
    assert.equal((await cookies(page))['__Host-latchkey-refresh']?.value === before, delivery === 'BODY');
    await nothingIsKept(page);

    if (delivery !== 'BODY') {
      assert.equal((await run(page, 'Refresh')).data.refreshToken.__typename, 'AuthSuccess');
      await page.reload(); // the cookie is what a reload leaves
      await signedInAs(page, person.email);
    }
    assert.equal((await run(page, 'Revoke', { input: {} })).data.revokeSession.revoked, true);
    await signedInAs(page, 'Not signed in');
    assert.deepEqual(Object.keys(await cookies(page)), []);
    await nothingIsKept(page);
  }

  // The keyboard reaches everything: an editor is left as it was entered.
  const reached = [];
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => document.activeElement.ariaLabel ?? document.activeElement.textContent.slice(0, 30)));
  }
  for (const name of ['Execute query (Ctrl-Enter)', 'Variables', 'Schema']) {
    assert.ok(reached.includes(name), `${name} is not among ${reached}`);
  }

  // The query was edited, so that its operation has another name than the tab.
  await page.locator('.graphiql-tab-button').getByText('Me', { exact: true }).click();
  await set(page, 'Query Editor', '{ __typename }');
  await execute(page);
  await page.getByLabel('Result Window').getByText('"Query"').waitFor();

  for (const name of ['Show Documentation Explorer', 'Show History', 'Open short keys dialog', 'Open settings dialog']) {
    await page.getByLabel(name).click();
    if (name.startsWith('Open')) {
      await page.getByRole('dialog').waitFor();
      await page.keyboard.press('Escape');
    }
  }
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

// A server in trouble signs nobody out, and does not pretend to; a session that was ended elsewhere is over.
{
  const page = await open();
  const { login } = (await run(page, 'LogIn', { input: { ...person, delivery: 'BODY' } })).data;
  await signedInAs(page, person.email);
  await page.route('**/graphql', (route) => route.fulfill({ status: 502, contentType: 'text/html', body: 'Bad gateway' }));
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('alert').filter({ hasText: '502' }).waitFor();
  await signedInAs(page, person.email);
  await page.unroute('**/graphql');
  assert.equal((await run(page, 'Me')).data.me.email, person.email);
  await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ query: `mutation { revokeSession(input: { refreshToken: "${login.refreshToken}" }) { revoked } }` }),
  });
  assert.equal((await run(page, 'Me')).errors[0].extensions.reason, 'SESSION_ENDED');
  await signedInAs(page, 'Not signed in');
  await page.context().close();
}

// Dark, and as narrow as a phone.
for (const [name, options] of Object.entries({
  dark: { colorScheme: 'dark' },
  narrow: { viewport: { width: 400, height: 800 } },
})) {
  const page = await open(options);
  await run(page, 'LogIn', { input: { ...person, delivery: 'BODY' } });
  await signedInAs(page, person.email);
  const width = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(width, 0, 'it scrolls sideways');
  await page.screenshot({ path: `${folder}/${name}.png` });
  await page.getByRole('button', { name: 'Sign out' }).click();
  await signedInAs(page, 'Not signed in');
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

// A page of another origin, but of the same site, so that the cookies do come along, can do nothing.
{
  const page = await open();
  await run(page, 'LogIn', { input: { ...person, delivery: 'COOKIES' } });
  const before = await cookies(page);
  const foreign = await page.context().newPage();
  await foreign.goto(foreignURL);
  const input = `email: "${person.email}", password: "${person.password}", delivery: COOKIES`;
  for (const query of [
    `mutation { login(input: { ${input} }) { __typename } }`,
    'mutation { refreshToken { __typename } }',
    'mutation { revokeSession { revoked } }',
    '{ me { email } }',
  ]) {
    const read = await foreign.evaluate(
      async ([target, body, text]) => {
        const attempts = [
          [target, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body }],
          [target, { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body }],
          [target, { method: 'POST', mode: 'no-cors', headers: { 'Content-Type': 'text/plain' }, body }],
          [target, { method: 'POST', mode: 'no-cors', body: new URLSearchParams({ query: text }) }],
          [`${target}?query=${encodeURIComponent(text)}`, { method: 'GET' }],
          [`${target}?query=${encodeURIComponent(text)}`, { method: 'GET', mode: 'no-cors' }],
        ];
        const texts = attempts.map(([to, options]) =>
          fetch(to, { credentials: 'include', ...options }).then((response) => response.text(), () => ''));
        return (await Promise.all(texts)).join('');
      },
      [`${url}/graphql`, JSON.stringify({ query }), query],
    );
    assert.equal(read, '');
    const refused = foreign.waitForResponse(`${url}/graphql`);
    await foreign.setContent(`<form method="post" enctype="text/plain" action="${url}/graphql"><input name='${JSON.stringify({ query }).slice(0, -1)},"x":"' value='"}'></form>`);
    await foreign.evaluate(() => document.forms[0].submit());
    assert.ok([403, 406].includes((await refused).status()));
    await foreign.waitForURL(`${url}/graphql`);
    await foreign.goto(foreignURL);
  }
  assert.deepEqual(await cookies(page), before);
  assert.equal((await run(page, 'MySessions')).data.me.sessions.length, 1);
  await foreign.setContent(`<iframe src="${url}/"></iframe>`);
  await foreign.frames()[1].waitForLoadState();
  assert.ok(foreign.frames()[1].url().startsWith('chrome-error:'), 'it can be framed');
  await page.context().close();
}

await browser.close();
process.exit();
