import { initGraphQLTada } from 'gql.tada';
import type { introspection } from './graphql-env.js';

/** graphql types a document by the schema. A DateTime is the text of a moment. */
export const graphql = initGraphQLTada<{
  introspection: introspection;
  scalars: { DateTime: string };
}>();

export { readFragment, type FragmentOf } from 'gql.tada';
