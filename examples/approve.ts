// A person looks at what waits, and approves what the command line names.
//
//   COUNTERSIGN_URL=… COUNTERSIGN_KEY=ana.jwk node examples/approve.ts            lists
//   COUNTERSIGN_URL=… COUNTERSIGN_KEY=ana.jwk node examples/approve.ts apr_…      approves one
import { readFileSync } from 'node:fs';
import { People } from '@countersign/sdk/people';

const { COUNTERSIGN_URL: url = 'http://127.0.0.1:8787', COUNTERSIGN_KEY: keyFile = 'ana.jwk' } = process.env;
const [wanted] = process.argv.slice(2);

const ana = new People({ url, person: 'ana', key: JSON.parse(readFileSync(keyFile, 'utf8')) });
for (const approval of await ana.listApprovals()) {
  console.log(approval.approval_id, approval.summary);
  if (approval.approval_id !== wanted) continue;
  // The vote carries the digest of what was just shown, so it cannot count for another deed.
  const { status } = await ana.vote(approval, 'approve', 'promised by phone');
  console.log(status);
}
