/* eslint-disable */
import * as types from './graphql.js';
import type { TypedDocumentNode as DocumentNode } from '@graphql-typed-document-node/core';

/**
 * Map of all GraphQL operations in the project.
 *
 * This map has several performance disadvantages:
 * 1. It is not tree-shakeable, so it will include all operations in the project.
 * 2. It is not minifiable, so the string of a GraphQL query will be multiple times inside the bundle.
 * 3. It does not support dead code elimination, so it will add unused operations.
 *
 * Therefore it is highly recommended to use the babel or swc plugin for production.
 * Learn more about it here: https://the-guild.dev/graphql/codegen/plugins/presets/preset-client#reducing-bundle-size
 */
type Documents = {
    "fragment Account on User {\n  id\n  email\n  name\n  role\n  createdAt\n}\n\nfragment Device on Session {\n  id\n  deviceName\n  client\n  ip\n  createdAt\n  lastUsedAt\n  expiresAt\n  current\n}\n\nfragment AccountEvent on SessionEvent {\n  id\n  kind\n  createdAt\n  sessionId\n  actorId\n  reason\n  endedCount\n  client\n  ip\n}\n\nquery Me {\n  me {\n    ...Account\n  }\n}\n\nquery MySessions {\n  me {\n    id\n    sessions {\n      ...Device\n    }\n  }\n}\n\nquery MySessionEvents($first: Int, $after: String) {\n  me {\n    id\n    sessionEvents(first: $first, after: $after) {\n      edges {\n        cursor\n        node {\n          ...AccountEvent\n        }\n      }\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n    }\n  }\n}\n\nmutation RevokeSession($sessionId: ID!) {\n  revokeSession(input: {sessionId: $sessionId}) {\n    sessionId\n    revoked\n  }\n}\n\nmutation RevokeOtherSessions {\n  revokeOtherSessions {\n    revokedCount\n  }\n}\n\nmutation ChangePassword($input: ChangePasswordInput!) {\n  changePassword(input: $input) {\n    __typename\n    ... on ChangePasswordSuccess {\n      user {\n        ...Account\n      }\n      revokedCount\n    }\n    ... on AuthFailure {\n      code\n      message\n      retryAt\n    }\n  }\n}": typeof types.AccountFragmentDoc,
};
const documents: Documents = {
    "fragment Account on User {\n  id\n  email\n  name\n  role\n  createdAt\n}\n\nfragment Device on Session {\n  id\n  deviceName\n  client\n  ip\n  createdAt\n  lastUsedAt\n  expiresAt\n  current\n}\n\nfragment AccountEvent on SessionEvent {\n  id\n  kind\n  createdAt\n  sessionId\n  actorId\n  reason\n  endedCount\n  client\n  ip\n}\n\nquery Me {\n  me {\n    ...Account\n  }\n}\n\nquery MySessions {\n  me {\n    id\n    sessions {\n      ...Device\n    }\n  }\n}\n\nquery MySessionEvents($first: Int, $after: String) {\n  me {\n    id\n    sessionEvents(first: $first, after: $after) {\n      edges {\n        cursor\n        node {\n          ...AccountEvent\n        }\n      }\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n    }\n  }\n}\n\nmutation RevokeSession($sessionId: ID!) {\n  revokeSession(input: {sessionId: $sessionId}) {\n    sessionId\n    revoked\n  }\n}\n\nmutation RevokeOtherSessions {\n  revokeOtherSessions {\n    revokedCount\n  }\n}\n\nmutation ChangePassword($input: ChangePasswordInput!) {\n  changePassword(input: $input) {\n    __typename\n    ... on ChangePasswordSuccess {\n      user {\n        ...Account\n      }\n      revokedCount\n    }\n    ... on AuthFailure {\n      code\n      message\n      retryAt\n    }\n  }\n}": types.AccountFragmentDoc,
};

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 *
 *
 * @example
 * ```ts
 * const query = graphql(`query GetUser($id: ID!) { user(id: $id) { name } }`);
 * ```
 *
 * The query argument is unknown!
 * Please regenerate the types.
 */
export function graphql(source: string): unknown;

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "fragment Account on User {\n  id\n  email\n  name\n  role\n  createdAt\n}\n\nfragment Device on Session {\n  id\n  deviceName\n  client\n  ip\n  createdAt\n  lastUsedAt\n  expiresAt\n  current\n}\n\nfragment AccountEvent on SessionEvent {\n  id\n  kind\n  createdAt\n  sessionId\n  actorId\n  reason\n  endedCount\n  client\n  ip\n}\n\nquery Me {\n  me {\n    ...Account\n  }\n}\n\nquery MySessions {\n  me {\n    id\n    sessions {\n      ...Device\n    }\n  }\n}\n\nquery MySessionEvents($first: Int, $after: String) {\n  me {\n    id\n    sessionEvents(first: $first, after: $after) {\n      edges {\n        cursor\n        node {\n          ...AccountEvent\n        }\n      }\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n    }\n  }\n}\n\nmutation RevokeSession($sessionId: ID!) {\n  revokeSession(input: {sessionId: $sessionId}) {\n    sessionId\n    revoked\n  }\n}\n\nmutation RevokeOtherSessions {\n  revokeOtherSessions {\n    revokedCount\n  }\n}\n\nmutation ChangePassword($input: ChangePasswordInput!) {\n  changePassword(input: $input) {\n    __typename\n    ... on ChangePasswordSuccess {\n      user {\n        ...Account\n      }\n      revokedCount\n    }\n    ... on AuthFailure {\n      code\n      message\n      retryAt\n    }\n  }\n}"): (typeof documents)["fragment Account on User {\n  id\n  email\n  name\n  role\n  createdAt\n}\n\nfragment Device on Session {\n  id\n  deviceName\n  client\n  ip\n  createdAt\n  lastUsedAt\n  expiresAt\n  current\n}\n\nfragment AccountEvent on SessionEvent {\n  id\n  kind\n  createdAt\n  sessionId\n  actorId\n  reason\n  endedCount\n  client\n  ip\n}\n\nquery Me {\n  me {\n    ...Account\n  }\n}\n\nquery MySessions {\n  me {\n    id\n    sessions {\n      ...Device\n    }\n  }\n}\n\nquery MySessionEvents($first: Int, $after: String) {\n  me {\n    id\n    sessionEvents(first: $first, after: $after) {\n      edges {\n        cursor\n        node {\n          ...AccountEvent\n        }\n      }\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n    }\n  }\n}\n\nmutation RevokeSession($sessionId: ID!) {\n  revokeSession(input: {sessionId: $sessionId}) {\n    sessionId\n    revoked\n  }\n}\n\nmutation RevokeOtherSessions {\n  revokeOtherSessions {\n    revokedCount\n  }\n}\n\nmutation ChangePassword($input: ChangePasswordInput!) {\n  changePassword(input: $input) {\n    __typename\n    ... on ChangePasswordSuccess {\n      user {\n        ...Account\n      }\n      revokedCount\n    }\n    ... on AuthFailure {\n      code\n      message\n      retryAt\n    }\n  }\n}"];

export function graphql(source: string) {
  return (documents as any)[source] ?? {};
}

export type DocumentType<TDocumentNode extends DocumentNode<any, any>> = TDocumentNode extends DocumentNode<  infer TType,  any>  ? TType  : never;