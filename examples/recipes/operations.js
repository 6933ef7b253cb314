// What the two pages ask Latchkey. Its whole contract is in schema.graphqls.
const TOKENS = `
  __typename
  ... on AuthSuccess { accessToken refreshToken }
  ... on AuthFailure { code message }
`;

export const SIGN_UP = `mutation SignUp($input: SignUpInput!) { signUp(input: $input) { ${TOKENS} } }`;
export const LOG_IN = `mutation LogIn($input: LoginInput!) { login(input: $input) { ${TOKENS} } }`;
export const SIGN_OUT = `mutation SignOut { revokeSession { revoked } }`;

export const REFRESH = `mutation Refresh($refreshToken: String) {
  refreshToken(input: { refreshToken: $refreshToken }) { ${TOKENS} }
}`;

// What the parts of a page ask that is loaded: all at once, and none knows of the others.
export const QUERIES = [
  'query Email { me { id email } }',
  'query Name { me { id name } }',
  'query Role { me { id role } }',
  'query Since { me { id createdAt } }',
  'query Devices { me { id sessions { id client current } } }',
];
