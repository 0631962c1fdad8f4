// Writes the bundle that the governed side of the bench runs on: one agent, one tool, a hundred policies.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { lookupOrder } from './order.ts';
import { benchPolicies } from './policies.ts';

export interface BenchBundle {
  /** The bundle's folder. */
  readonly folder: string;
  /** Where the broker keeps its store and keys. */
  readonly dataDir: string;
  readonly agent: string;
  readonly agentKey: KeyObject;
  readonly policies: number;
}

/**
 * Writes everything under `root`. `toolDigest` is the pinned digest of the upstream's tool definition. `more`: files
 * beside or instead of these, by path. JSON is YAML, so that nothing here depends on a YAML writer.
 */
export function writeBundle(
  root: string,
  port: number,
  upstream: URL,
  toolDigest: string,
  more: Readonly<Record<string, unknown>> = {},
): BenchBundle {
  const folder = join(root, 'countersign');
  const dataDir = join(root, 'data');
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const policies = benchPolicies();
  const files: Record<string, unknown> = {
    'countersign.yaml': {
      listen: { host: '127.0.0.1', port },
      data_dir: '../data',
      context: { ticket: { type: 'string', pattern: '^ZD-[0-9]+$', maxLength: 16 } },
      approvals: { default: '1 of support-leads' },
      // A bench is a loop.
      loops: { identical: 0, identical_reads: 0, failing: 0 },
    },
    'agents/bench-agent.yaml': {
      name: 'bench-agent',
      owner: 'maya',
      purpose: 'Looks up orders as fast as it can.',
      roles: ['support'],
      mode: 'act',
      keys: [publicKey.export({ format: 'jwk' })],
    },
    'people/maya.yaml': {
      name: 'maya',
      display_name: 'Maya',
      roles: ['approver', 'operator', 'auditor'],
      groups: ['support-leads', 'finance'],
      keys: [generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })],
    },
    'connectors/upstream.yaml': {
      name: 'upstream',
      kind: 'mcp',
      owner: 'maya',
      transport: { http: { url: upstream.href, allow_private: true } },
    },
    'tools/lookup_order.yaml': {
      name: lookupOrder.name,
      version: '1.0.0',
      owner: 'maya',
      connector: 'upstream',
      description: lookupOrder.description,
      effect: 'read',
      input: lookupOrder.inputSchema,
      resources: ["'shop:order/' + args.order_id"],
      bind: { mcp: { tool: lookupOrder.name, digest: toolDigest, args: { order_id: '=args.order_id' } } },
      timeout: '5s',
      output: { schema: lookupOrder.outputSchema },
      summary: ['look up order ', '=args.order_id'],
    },
    ...more,
  };
  for (const [name, content] of Object.entries(files)) {
    const text = typeof content === 'string' ? content : JSON.stringify(content, null, 2);
    writeText(join(folder, name), `${text}\n`);
  }
  writeText(join(folder, 'policies/bench.cedar'), policies.join('\n'));
  return { folder, dataDir, agent: 'bench-agent', agentKey: privateKey, policies: policies.length };
}

function writeText(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
