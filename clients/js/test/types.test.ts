import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildSchema, introspectionFromSchema } from 'graphql';
import ts from 'typescript';
import { expect, it } from 'vitest';

const folder = import.meta.dirname;

// The snippets of the README, each by the name in its first line, as if they were in a folder beside the tests.
function snippets(): Map<string, string> {
  const files = new Map<string, string>();
  const readme = readFileSync(join(folder, '../README.md'), 'utf8');
  for (const [, kind, code] of readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)) {
    if (kind === 'ts' || kind === 'tsx') {
      const name = /^\/\/ ([\w/-]+\.tsx?)/.exec(code!)?.[1] ?? `snippet-${files.size}.${kind}`;
      files.set(join(folder, 'readme', name), `${code}\nexport {};\n`);
    }
  }
  // What the plugin of gql.tada writes.
  const schema = buildSchema(readFileSync(join(folder, '../../../schema.graphqls'), 'utf8'));
  const introspection = introspectionFromSchema(schema, { descriptions: false });
  files.set(join(folder, 'readme/graphql-env.d.ts'), `export type introspection = ${JSON.stringify(introspection)};`);
  return files;
}

it('compiles, and so do its README and its tests', () => {
  const configFile = join(folder, 'tsconfig.json');
  const { config } = ts.readConfigFile(configFile, ts.sys.readFile);
  const { options, fileNames, errors } = ts.parseJsonConfigFileContent(config, ts.sys, folder);
  const extra = snippets();
  expect(extra.size).toBeGreaterThan(10);
  const folders = new Set([...extra.keys()].map((name) => dirname(name)));
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile, directoryExists } = host;
  host.fileExists = (name) => extra.has(name) || fileExists(name);
  host.readFile = (name) => extra.get(name) ?? readFile(name);
  host.directoryExists = (name) => folders.has(name) || directoryExists!(name);
  host.getSourceFile = (name, version, onError) => {
    const text = extra.get(name);
    return text === undefined ? getSourceFile(name, version, onError) : ts.createSourceFile(name, text, version);
  };
  const program = ts.createProgram({ rootNames: [...fileNames, ...extra.keys()], options, host });
  const problems = [...errors, ...ts.getPreEmitDiagnostics(program)];
  expect(ts.formatDiagnostics(problems, { ...ts.createCompilerHost(options), getCurrentDirectory: () => folder })).toBe('');
}, 60_000);
