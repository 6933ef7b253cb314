// The set of rules for schemas that graphql-eslint recommends. `make check` runs it.
import graphql from '@graphql-eslint/eslint-plugin';

export default [
  {
    files: ['**/*.graphqls'],
    languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema: 'schema.graphqls' } } },
    plugins: { '@graphql-eslint': graphql },
    rules: {
      ...graphql.configs['flat/schema-recommended'].rules,
      // Outcomes and parts of lists are values of their own: they have no identity.
      '@graphql-eslint/strict-id-in-types': [
        'error',
        { exceptions: { types: ['PageInfo'], suffixes: ['Success', 'Failure', 'Payload', 'Connection', 'Edge'] } },
      ],
    },
  },
];
