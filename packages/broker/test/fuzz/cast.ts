// Who takes part: tokens of every kind, sessions, and ids of things that exist.
import { randomBytes } from 'node:crypto';
import type { JsonObject } from '@countersign/contract/json.ts';
import { issueAccessToken } from '#identity/access-token.ts';
import { openKeyFile } from '#identity/key-file.ts';
import { signingKey } from '#identity/signing-key.ts';
import type { Principal } from '#rules/principal.ts';

export type Resource = 'v1' | 'mcp';

/** What the generator may name. Values differ from run to run; the choice among them does not. */
export interface Cast {
  readonly host: string;
  readonly tokens: ReadonlyMap<string, string>;
  /** Tokens that open nothing. */
  readonly bad: readonly string[];
  /** Live sessions of the bot, and of another agent. */
  readonly sessions: { readonly own: readonly string[]; readonly foreign: readonly string[] };
  /** Ids by kind: calls, runs, approvals, halts, ledgers. */
  readonly ids: Readonly<Record<'call' | 'run' | 'approval' | 'halt' | 'log', string>>;
  readonly digest: string;
}

export const AGENTS = ['bot', 'other-bot', 'shy-bot', 'globex-bot'] as const;
export const OTHERS = ['desk', 'ana', 'ben', 'cleo', 'dora', 'gus'] as const;

/** Asks for a token; `key` is the principal's. */
export type TokenOf = (name: string, resource: Resource) => Promise<string>;

/** Tokens for everybody, and such as must open nothing: of another key, other audience, other time, other form. */
export async function castTokens(
  url: string,
  tokenKeyFile: string,
  tokenOf: TokenOf,
): Promise<Pick<Cast, 'tokens' | 'bad'>> {
  const tokens = new Map<string, string>();
  for (const name of [...AGENTS, ...OTHERS]) tokens.set(`${name} v1`, await tokenOf(name, 'v1'));
  for (const name of AGENTS) tokens.set(`${name} mcp`, await tokenOf(name, 'mcp'));
  const good = tokens.get('bot v1')!;
  const [head, claims, signature] = good.split('.') as [string, string, string];
  const own = signingKey(openKeyFile(tokenKeyFile));
  const sealed = (more: { now_ms?: number; issuer?: string; name?: string }): string =>
    issueAccessToken(own, {
      issuer: more.issuer ?? url,
      principal: { kind: 'agent', name: more.name ?? 'bot', tenant: 'acme' } as Principal,
      ...{ resource: 'v1', run_id: null, ttl_ms: 300_000 },
      token_id: randomBytes(9).toString('base64url'),
      now_ms: more.now_ms ?? Date.now(),
    }).token;
  const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url');
  const flipped = `${signature.slice(0, -6)}${signature.slice(-6) === 'AAAAAA' ? 'BBBBBB' : 'AAAAAA'}`;
  const bad = [
    ...['x', 'x.y.z', '....', 'a'.repeat(9_000), `${none}.${claims}.`, `${none}.${claims}.${signature}`],
    ...[`${head}.${claims}.${flipped}`, `${head}.${claims}`, `${claims}.${head}.${signature}`, `${good}=`],
    sealed({ now_ms: Date.now() - 3_600_000 }),
    sealed({ now_ms: Date.now() + 86_400_000 }),
    sealed({ issuer: 'http://127.0.0.1:1' }),
    sealed({ name: 'nobody' }),
  ];
  return { tokens, bad };
}

export const META: JsonObject = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'fuzz', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};
