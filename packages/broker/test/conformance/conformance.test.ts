// The official conformance suite of 2026-07-28 against the broker: discovery, tools, headers, versions, errors.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type GovernedUpstream, openGovernedUpstream } from './governed-upstream.ts';
import { runProgram } from './run-program.ts';

interface Check {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
}

/** The door's own tests cover the same ground, with a catalogue that has such a tool. */
const NO_MIRRORED_TOOL = 'bundles do not take the keyword x-mcp-header yet, so no tool has one';

/** Each with the checks in it that cannot pass here, and why. A check that passes after all is a stale entry. */
const SCENARIOS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'server-stateless': {
    'sep-2575-server-rejects-undeclared-capability':
      'no sampling passes the broker, declared or not: the call fails instead',
    'sep-2575-missing-capability-http-400': 'as above',
  },
  'tools-list': {},
  'tools-call-simple-text': {},
  'tools-call-image': {},
  'tools-call-audio': {},
  'tools-call-embedded-resource': {},
  'tools-call-mixed-content': {},
  'tools-call-error': {},
  'tools-call-with-progress': { 'tools-call-with-progress': 'progress of an upstream is not passed on yet' },
  'server-sse-multiple-streams': {},
  'dns-rebinding-protection': {},
  caching: {
    'sep-2549-prompts-list-caching-hints': 'prompts are not offered',
    'sep-2549-resources-list-caching-hints': 'resources are not offered',
    'sep-2549-resources-templates-list-caching-hints': 'resources are not offered',
  },
  'http-header-validation': {},
  'http-custom-header-server-validation': {
    'sep-2243-server-no-xmcp-tool': NO_MIRRORED_TOOL,
    'sep-2243-server-decode-base64': NO_MIRRORED_TOOL,
    'sep-2243-server-validate-param-match': NO_MIRRORED_TOOL,
    'sep-2243-server-reject-invalid-param-chars': NO_MIRRORED_TOOL,
    'sep-2243-server-reject-param-mismatch': NO_MIRRORED_TOOL,
  },
  'input-required-result-unsupported-methods': {},
};

let governed: GovernedUpstream;
let folder: string;
const checks = new Map<string, readonly Check[]>();

before(async () => {
  governed = await openGovernedUpstream();
  folder = mkdtempSync(join(tmpdir(), 'conformance-'));
  const args = ['server', '--url', governed.proxied, '--requirements', '2026-07-28', '-o', folder];
  const ran = await runProgram('conformance', args);
  for (const name of readdirSync(folder)) {
    const scenario = /^server-(.+)-\d{4}-\d{2}-\d{2}T/.exec(name)?.[1];
    if (scenario !== undefined) {
      checks.set(scenario, JSON.parse(readFileSync(join(folder, name, 'checks.json'), 'utf8')));
    }
  }
  assert.ok(checks.size > 0, ran.out + ran.err);
});

after(async () => {
  await governed.close();
  rmSync(folder, { recursive: true, force: true });
});

for (const [scenario, exceptions] of Object.entries(SCENARIOS)) {
  test(`conformance: ${scenario}`, () => {
    const found = checks.get(scenario);
    assert.ok(found !== undefined && found.length > 0, 'the scenario did not run');
    const failed = found.filter(({ status }) => status === 'FAILURE' || status === 'WARNING');
    const unexpected = failed.filter(({ id }) => !Object.hasOwn(exceptions, id));
    assert.deepEqual(
      unexpected.map(({ id, errorMessage }) => `${id}: ${errorMessage}`),
      [],
    );
    const failing = new Set(failed.map(({ id }) => id));
    assert.deepEqual(
      Object.keys(exceptions).filter((id) => !failing.has(id)),
      [],
      'stale exceptions',
    );
  });
}
