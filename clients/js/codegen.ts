// Writes what the schema says: the operations that the package ships, the types of those that a session sends itself,
// and the possible types of the unions. `npm run generate`; a test fails where its output is not what is committed.
import type { CodegenConfig } from '@graphql-codegen/cli';

const types = {
  useTypeImports: true,
  enumsAsTypes: true,
  immutableTypes: true,
  nonOptionalTypename: false,
  scalars: { ID: 'string', DateTime: 'string' },
  strictScalars: true,
};

const config: CodegenConfig = {
  schema: '../../schema.graphqls',
  importExtension: '.js',
  generates: {
    'src/operations/generated/': {
      documents: ['src/operations/*.graphql'],
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: types,
    },
    'src/operations/generated/possible-types.ts': {
      plugins: ['fragment-matcher'],
      config: { module: 'es2015', apolloClientVersion: 3, useExplicitTyping: true },
    },
    'src/generated/documents.ts': {
      documents: ['src/documents.ts'],
      plugins: ['typescript-operations'],
      config: types,
    },
  },
};

export default config;
