// What a session says to the server. codegen.ts holds these texts to the schema and writes their types to
// generated/documents.ts, so that the core needs no GraphQL library.

const outcome = /* GraphQL */ `
  fragment SignedIn on AuthSuccess {
    accessToken
    refreshToken
    accessTokenExpiresAt
    session {
      id
      createdAt
    }
    user {
      id
      email
      name
      role
    }
  }

  fragment NotSignedIn on AuthFailure {
    code
    message
    retryAt
    endReason
  }
`;

const signUp = /* GraphQL */ `
  mutation SignUp($input: SignUpInput!) {
    signUp(input: $input) {
      __typename
      ...SignedIn
      ...NotSignedIn
    }
  }
`;

const logIn = /* GraphQL */ `
  mutation LogIn($input: LoginInput!) {
    login(input: $input) {
      __typename
      ...SignedIn
      ...NotSignedIn
    }
  }
`;

const refresh = /* GraphQL */ `
  mutation Refresh($refreshToken: String) {
    refreshToken(input: { refreshToken: $refreshToken }) {
      __typename
      ...SignedIn
      ...NotSignedIn
    }
  }
`;

export const documents = {
  signUp: signUp + outcome,
  logIn: logIn + outcome,
  refresh: refresh + outcome,
  signOut: /* GraphQL */ `
    mutation SignOut($refreshToken: String) {
      revokeSession(input: { refreshToken: $refreshToken }) {
        sessionId
      }
    }
  `,
  whoAmI: /* GraphQL */ `
    query WhoAmI {
      me {
        id
      }
    }
  `,
};
