// A service that lets in whoever has a live access token of Latchkey. docs/verifiers.md shows it, word for word.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';

function setting(name, fallback) {
  const value = process.env[name] || fallback;
  if (!value) {
    throw new Error(`${name} is not set`); // jose checks neither issuer nor audience where they are undefined
  }
  return value;
}

const issuer = setting('ISSUER'); // Latchkey's PUBLIC_URL
const audience = setting('AUDIENCE'); // Latchkey's AUDIENCE
const serviceKey = setting('SERVICE_KEY'); // one of Latchkey's SERVICE_KEYS
const endedURL = new URL(setting('ENDED_URL', `${issuer}/sessions/ended`));

// A key that is not known is looked for once a second at the most: a new one is published at least two seconds before it
// is used, so none of its tokens is refused. The keys are also read every five minutes, below and not by jose, which
// would refuse every token if there were no answer just then.
const keys = createRemoteJWKSet(new URL(setting('JWKS_URL', `${issuer}/.well-known/jwks.json`)), {
  cacheMaxAge: Infinity,
  cooldownDuration: 1_000,
});

const ended = new Map(); // when it was heard that a session ended, by its id, in that order
let revokedKeys = new Set();
let cursor = '';
let keepFor = 0; // seconds: no token lives longer

// hear asks which sessions ended since it last did.
async function hear() {
  endedURL.searchParams.set('since', cursor);
  const response = await fetch(endedURL, {
    headers: { authorization: `Bearer ${serviceKey}` },
    redirect: 'error',
    signal: AbortSignal.timeout(5_000),
  });
  if (!response.ok) {
    throw new Error(`${endedURL.pathname}: ${response.status} ${await response.text()}`);
  }
  const answer = await response.json();
  const now = performance.now();
  keepFor = answer.keepFor;
  for (const session of answer.sessions) {
    ended.delete(session); // one may come twice
    ended.set(session, now);
  }
  for (const [session, heard] of ended) {
    if (now - heard < keepFor * 1_000) {
      break; // a token of this one may live, and of those behind it
    }
    ended.delete(session);
  }
  revokedKeys = new Set(answer.revokedKeys);
  cursor = answer.cursor;
  return answer.more ? hear() : undefined;
}

// follow hears twice a second. Where there is no answer, tokens are good until they expire, as they are without it.
async function follow() {
  for (;;) {
    await sleep(500);
    try {
      await hear();
    } catch (error) {
      console.error('it is not known which sessions ended:', error.message);
      await sleep(1_500);
    }
  }
}

// verify returns the claims of a token. Its error is a JOSEError where the token is at fault, and no other.
async function verify(token) {
  const { payload, protectedHeader } = await jwtVerify(token, keys, {
    issuer,
    audience,
    algorithms: ['ES256'],
    typ: 'at+jwt',
    requiredClaims: ['exp', 'sub', 'sid', 'roles'],
    maxTokenAge: keepFor, // an older one, of a time when they lived longer, may be of a session that was forgotten
  }).catch((error) => {
    throw ['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC'].includes(error.code)
      ? new Error('the keys were not read', { cause: error })
      : error;
  });
  if (ended.has(payload.sid) || revokedKeys.has(protectedHeader.kid)) {
    throw new errors.JWTInvalid('the session ended, or the key was revoked');
  }
  return payload;
}

const server = createServer(async (request, response) => {
  const answer = (status, body, header) =>
    response.writeHead(status, { 'Content-Type': 'application/json', ...header }).end(JSON.stringify(body));
  const [, token] = /^Bearer +([^ ]+)$/i.exec(request.headers.authorization ?? '') ?? [];
  if (!token) {
    return answer(401, { error: 'an access token is needed' }, { 'WWW-Authenticate': 'Bearer' });
  }
  try {
    const { sub, roles } = await verify(token);
    return answer(200, { sub, roles });
  } catch (error) {
    if (error instanceof errors.JOSEError) {
      return answer(401, { error: 'the access token is not good' }, { 'WWW-Authenticate': 'Bearer error="invalid_token"' });
    }
    console.error(error);
    return answer(503, { error: 'tokens cannot be verified now' }, { 'Retry-After': '2' });
  }
});

await Promise.all([keys.reload(), hear()]); // or the process ends: the service key is wrong, or Latchkey is not there
setInterval(() => keys.reload().catch((error) => console.error('the keys were not read:', error.message)), 300_000);
follow();
server.listen(Number(setting('PORT', '8081')), 'localhost', () => {
  console.log(`listening on http://localhost:${server.address().port}`);
});
