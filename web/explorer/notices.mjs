// Prints the licences of all that the explorer is made of: `node notices.mjs`. What GraphiQL's bundle contains
// its source map says; a package without a licence text makes it fail.
import { existsSync, readdirSync, readFileSync } from 'node:fs';

const map = JSON.parse(readFileSync('node_modules/graphiql/graphiql.min.js.map', 'utf8'));

// Where packages of GraphiQL's own repository stand in its source map.
const workspaces = {
  '../src': 'graphiql',
  '../../graphiql-react': '@graphiql/react',
  '../../graphiql-toolkit': '@graphiql/toolkit',
  '../../graphiql-plugin-doc-explorer': '@graphiql/plugin-doc-explorer',
  '../../graphiql-plugin-history': '@graphiql/plugin-history',
  '../../graphql-language-service': 'graphql-language-service',
  '../../codemirror-graphql': 'codemirror-graphql',
};

// Packages without a text of their own, and where it is: in another one of their repository or author.
const textOf = {
  '@radix-ui/react-use-callback-ref': '@radix-ui/react-primitive',
  '@radix-ui/react-use-escape-keydown': '@radix-ui/react-primitive',
  'react-compiler-runtime': 'react',
  'react-remove-scroll-bar': 'react-remove-scroll',
  'toggle-selection': 'copy-to-clipboard',
  '@graphiql/react': 'graphiql',
  '@graphiql/toolkit': 'graphiql',
  '@graphiql/plugin-doc-explorer': 'graphiql',
  '@graphiql/plugin-history': 'graphiql',
  'graphql-language-service': 'graphiql',
  'codemirror-graphql': 'graphiql',
};

const packages = new Set(['react', 'react-dom', 'scheduler']);
for (const source of map.sources) {
  const inModules = source.split('node_modules/').at(-1);
  if (inModules !== source) {
    packages.add(inModules.split('/').slice(0, inModules.startsWith('@') ? 2 : 1).join('/'));
    continue;
  }
  const workspace = Object.keys(workspaces).find((prefix) => source.startsWith(`${prefix}/`));
  if (workspace) {
    packages.add(workspaces[workspace]);
  } else if (!source.startsWith('\0') && !source.includes('commonjsHelpers') && !source.includes('commonjs-dynamic-modules')) {
    throw new Error(`of which package is ${source}?`);
  }
}

console.log('The explorer (web/explorer/vendor) contains the following packages.');
const missing = [];
for (const name of [...packages].sort()) {
  const folder = `node_modules/${name}`;
  const { version, license } = existsSync(folder) ? JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) : {};
  const from = `node_modules/${textOf[name] ?? name}`;
  const file = existsSync(from) && readdirSync(from).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
  if (!version || !file) {
    missing.push(name);
    continue;
  }
  console.log(`\n${'-'.repeat(78)}\n${name} ${version} (${license})\n`);
  console.log(readFileSync(`${from}/${file}`, 'utf8').trim());
}
if (missing.length > 0) {
  console.error(`no licence text: ${missing.join(', ')}`);
  process.exitCode = 1;
}
