// Runs the audits of GraphQL over HTTP by graphql-http against a server, one after another, and prints those
// that fail: `node audit.mjs URL`. It exits with 1 unless all pass, those that are only recommended included.
import { serverAudits } from 'graphql-http';

const url = process.argv[2];
const audits = serverAudits({ url, fetchFn: fetch });
const failures = [];
for (const audit of audits) {
  const result = await audit.fn();
  if (result.status !== 'ok') {
    failures.push(`${result.id} ${audit.name}: ${result.reason}`);
  }
}
for (const failure of failures) {
  console.log(failure);
}
console.log(`${audits.length - failures.length} of ${audits.length} audits passed`);
process.exitCode = failures.length === 0 && audits.length > 0 ? 0 : 1;
