// Starts a Latchkey server and the example of the folder that it is started in, and ends both together. `npm start` there.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';

const example = process.cwd();
const repository = fileURLToPath(new URL('..', import.meta.url));
const server = { host: 'localhost', port: 8080 };
const page = { host: 'localhost', port: 5173 };

if (!existsSync(`${repository}/node_modules/vite`)) {
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}
run('npm', ['run', 'build', '--silent', '--workspace', '@latchkey/client']);
for (const { host, port } of [server, page]) {
  if (await isTaken(host, port)) {
    fail(`Something else listens on port ${port} already. Stop it, and start again.`);
  }
}

const latchkey = spawn('go', ['run', '.'], {
  cwd: repository,
  stdio: 'inherit',
  // A group of its own: `go run` starts a program in turn, and both are to hear of the end.
  detached: true,
  env: {
    ...process.env,
    LISTEN: `${server.host}:${server.port}`,
    PUBLIC_URL: `http://${server.host}:${server.port}`,
    ALLOWED_ORIGINS: `http://${page.host}:${page.port}`,
    DATABASE_URL: `sqlite:${example}/latchkey.db`,
  },
});
latchkey.on('error', (error) => fail(`The server cannot be started: ${error.message}. It needs Go 1.26.`));
let running = latchkey.pid !== undefined;
let ending = false;
latchkey.on('exit', (code) => {
  running = false;
  if (!ending) {
    fail(`The server ended by itself, with ${code ?? 'a signal'}: it says why above.`);
  }
  process.exit(0);
});
process.on('exit', endServer); // however this comes to its end
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, endServer);
}

process.env.VITE_LATCHKEY_URL = `http://${server.host}:${server.port}/graphql`;
const { createServer } = await import('vite');
const vite = await createServer({ root: example });
await vite.listen();
while (!(await isTaken(server.host, server.port))) {
  await new Promise((resolve) => setTimeout(resolve, 100));
}
console.log(`
  The example: http://${page.host}:${page.port}
  The server:  http://${server.host}:${server.port}
  Ctrl-C ends both.
`);

// This process ends when the server has.
function endServer() {
  ending = true;
  if (running) {
    process.kill(-latchkey.pid, 'SIGINT');
  }
}

function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: repository, stdio: 'inherit' });
  if (status !== 0) {
    fail(`${command} ${args.join(' ')} failed.`);
  }
}

function isTaken(host, port) {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
