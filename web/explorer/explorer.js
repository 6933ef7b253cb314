// The explorer: GraphiQL, signed in. It draws; session.js knows who is signed in.
import { Session } from './session.js';

// The dialogs of GraphiQL write a <style>, and ask here for the nonce that the page's policy wants.
window.__webpack_nonce__ = document.querySelector('script[nonce]').nonce;

const { createElement: h, useState, useSyncExternalStore } = React;
const { GraphiQL } = window;

const session = new Session();

const result = `{
    __typename
    ... on AuthSuccess {
      accessToken
      refreshToken
      accessTokenExpiresAt
      refreshTokenExpiresAt
      session { id expiresAt }
      user { id email }
    }
    ... on AuthFailure { code message retryAt endReason }
  }`;

const nobody = '00000000-0000-0000-0000-000000000000';
const person = { email: 'ada@example.com', password: 'correct horse battery staple' };

const tabs = [
  {
    query: `# Run it with Ctrl+Enter: you are signed in.
# delivery: BODY, REFRESH_COOKIE or COOKIES.
mutation SignUp($input: SignUpInput!) {
  signUp(input: $input) ${result}
}
`,
    variables: { input: { ...person, name: 'Ada', delivery: 'REFRESH_COOKIE' } },
  },
  {
    query: `# From now on the token is sent by itself.
mutation LogIn($input: LoginInput!) {
  login(input: $input) ${result}
}
`,
    variables: { input: { ...person, delivery: 'REFRESH_COOKIE', deviceName: 'Explorer' } },
  },
  {
    query: `query Me {
  me {
    id
    email
    name
    role
    createdAt
  }
}
`,
  },
  {
    query: `query MySessions {
  me {
    sessions {
      id
      current
      deviceName
      client
      ip
      createdAt
      lastUsedAt
      expiresAt
    }
    sessionEvents(first: 10) {
      edges { node { kind createdAt ip reason endedCount } }
    }
  }
}
`,
  },
  {
    query: `# Without a token it takes that of the cookie.
# With the delivery BODY, give it the one that you have.
mutation Refresh($input: RefreshTokenInput) {
  refreshToken(input: $input) ${result}
}
`,
    variables: { input: { refreshToken: null } },
  },
  {
    query: `# Without an id it ends the session that you are in.
# MySessions has the ids of the others.
mutation Revoke($input: RevokeSessionInput) {
  revokeSession(input: $input) {
    sessionId
    revoked
  }
}
`,
    variables: { input: { sessionId: null } },
  },
  {
    query: `# Two operations: the one in which the cursor is will run.
mutation ChangePassword($input: ChangePasswordInput!) {
  changePassword(input: $input) {
    ... on ChangePasswordSuccess { revokedCount }
    ... on AuthFailure { code message retryAt }
  }
}

mutation RevokeOthers {
  revokeOtherSessions { revokedCount }
}
`,
    variables: { input: { currentPassword: person.password, newPassword: 'an analytical engine of brass' } },
  },
  {
    query: `# For administrators: latchkey user set-role EMAIL ADMIN
query Users($search: String) {
  users(first: 20, search: $search) {
    edges { node { id email role disabledAt createdAt } }
    pageInfo { hasNextPage endCursor }
  }
}

query User($id: ID!) {
  user(id: $id) {
    email
    sessions { id client ip lastUsedAt }
    sessionEvents(first: 10) { edges { node { kind createdAt ip reason actorId } } }
  }
}

mutation SetRole($role: SetRoleInput!) {
  setRole(input: $role) { ...Done }
}

mutation DisableUser($disable: DisableUserInput!) {
  disableUser(input: $disable) { ...Done }
}

mutation EnableUser($enable: EnableUserInput!) {
  enableUser(input: $enable) { ...Done }
}

mutation RevokeUserSessions($revoke: RevokeUserSessionsInput!) {
  revokeUserSessions(input: $revoke) { ...Done }
}

fragment Done on AdminResult {
  ... on AdminSuccess { user { email role disabledAt } revokedCount }
  ... on AdminFailure { code message }
}
`,
    variables: {
      search: null,
      id: nobody,
      role: { userId: nobody, role: 'ADMIN' },
      disable: { userId: nobody },
      enable: { userId: nobody },
      revoke: { userId: nobody },
    },
  },
].map(({ query, variables }) => ({ query, variables: variables ? JSON.stringify(variables, null, 2) : null }));

// GraphiQL keeps what is typed, and so passwords and tokens. Only the looks outlive the page.
class Storage {
  static #lasting = /^graphiql:(theme|docExplorerFlex|editorFlex|secondaryEditorFlex)$/;
  #items = new Map([['graphiql:variables', tabs[0].variables]]); // those of the tab that is open first

  #of(key) {
    return Storage.#lasting.test(key) ? localStorage : null;
  }
  get length() {
    return this.#items.size;
  }
  getItem(key) {
    return this.#of(key)?.getItem(key) ?? this.#items.get(key) ?? null;
  }
  setItem(key, value) {
    this.#of(key)?.setItem(key, value);
    this.#items.set(key, value);
  }
  removeItem(key) {
    this.#of(key)?.removeItem(key);
    this.#items.delete(key);
  }
  clear() {
    [...this.#items.keys()].forEach((key) => this.removeItem(key));
  }
}

// GraphiQL names the operation that the tab had before it was edited: one that is gone is left out.
function fetcher({ query, variables, operationName }, { headers } = {}) {
  const named = operationName && new RegExp(`\\b(query|mutation)\\s+${operationName}\\b`).test(query);
  return session.send({ query, variables, ...(named ? { operationName } : {}) }, headers);
}

function Chip() {
  const user = useSyncExternalStore(session.subscribe, () => session.user);
  const [problem, setProblem] = useState(null);
  const signOut = () => session.signOut().then(() => setProblem(null), (error) => setProblem(error.message));
  return h(
    'div',
    { className: 'chip', role: 'status', 'data-signed-in': Boolean(user) },
    h('span', { className: 'dot', 'aria-hidden': true }),
    h('span', { className: 'who', title: user ?? undefined }, user ?? 'Not signed in'),
    user && h('button', { type: 'button', onClick: signOut }, 'Sign out'),
    problem && h('span', { className: 'problem', role: 'alert' }, problem),
  );
}

function Explorer() {
  return h(
    React.Fragment,
    null,
    h(
      'header',
      null,
      h('h1', null, 'Latchkey'),
      h('a', { href: '/schema.graphql' }, 'Schema'),
      h(Chip),
    ),
    h(
      'main',
      null,
      h(
        GraphiQL,
        {
          fetcher,
          defaultTabs: tabs,
          storage: new Storage(),
          shouldPersistHeaders: false,
          defaultEditorToolsVisibility: 'variables',
        },
        h(GraphiQL.Logo, null, ''),
      ),
    ),
  );
}

// The editors would take Tab for themselves, and nobody without a mouse could leave them (WCAG 2.1.2).
document.addEventListener(
  'keydown',
  (event) => {
    if (event.key === 'Tab' && event.target.closest('.CodeMirror')) {
      event.stopPropagation();
    }
  },
  true,
);

ReactDOM.createRoot(document.getElementById('explorer')).render(h(Explorer));
session.resume();
