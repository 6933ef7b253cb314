import generated from './generated/possible-types.js';

export * from './generated/graphql.js';

/** Which types a union may be, for `new InMemoryCache({ possibleTypes })`. */
export const possibleTypes: { readonly [union: string]: string[] } = generated.possibleTypes;
