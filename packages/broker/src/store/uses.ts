// When keys were first seen, and when principals, keys and tools were last used: what tells the stale ones.
import type { Tx } from './tx.ts';

export interface StoredKey {
  readonly principal: string;
  readonly thumbprint: string;
  readonly first_seen_at_ms: number;
  /** When it last signed for a token; null: never yet. */
  readonly last_used_at_ms: number | null;
}

/** A key of a bundle that is put in force; one that was seen before keeps its age. */
export async function noteKey(
  tx: Tx,
  key: { readonly tenant: string; readonly principal: string; readonly thumbprint: string },
  at_ms: number,
): Promise<void> {
  await tx.run(
    `insert into principal_keys (tenant, principal, thumbprint, first_seen_at_ms) values (?, ?, ?, ?)
     on conflict (tenant, principal, thumbprint) do nothing`,
    ...[key.tenant, key.principal, key.thumbprint, at_ms],
  );
}

export async function listKeys(tx: Tx, tenant: string): Promise<StoredKey[]> {
  return tx.all<StoredKey & object>(
    'select principal, thumbprint, first_seen_at_ms, last_used_at_ms from principal_keys where tenant = ?',
    tenant,
  );
}

/** A principal has proved itself for a token. `thumbprint`: of the registered key that signed; null where none did. */
export async function noteToken(
  tx: Tx,
  use: { readonly tenant: string; readonly principal: string; readonly thumbprint: string | null },
  at_ms: number,
): Promise<void> {
  const { tenant, principal, thumbprint } = use;
  await tx.run(
    `insert into token_uses (tenant, principal, at_ms) values (?, ?, ?)
     on conflict (tenant, principal) do update set at_ms = max(at_ms, excluded.at_ms)`,
    ...[tenant, principal, at_ms],
  );
  if (thumbprint === null) return;
  await tx.run(
    'update principal_keys set last_used_at_ms = ? where tenant = ? and principal = ? and thumbprint = ?',
    ...[at_ms, tenant, principal, thumbprint],
  );
}

/** When each principal of the tenant last proved itself for a token. */
export async function tokenUses(tx: Tx, tenant: string): Promise<ReadonlyMap<string, number>> {
  const rows = await tx.all<{ principal: string; at_ms: number }>(
    'select principal, at_ms from token_uses where tenant = ?',
    tenant,
  );
  return new Map(rows.map(({ principal, at_ms }) => [principal, at_ms]));
}

/** A principal or a tool of a bundle that is put in force; one that was seen before keeps its age. */
export async function noteSeen(
  tx: Tx,
  kind: 'principal' | 'tool',
  name: string,
  at_ms: number,
): Promise<void> {
  await tx.run(
    'insert into first_seen (kind, name, at_ms) values (?, ?, ?) on conflict (kind, name) do nothing',
    ...[kind, name, at_ms],
  );
}

/** Since when an activated bundle has each of a kind. */
export async function firstSeen(tx: Tx, kind: 'principal' | 'tool'): Promise<ReadonlyMap<string, number>> {
  const rows = await tx.all<{ name: string; at_ms: number }>(
    'select name, at_ms from first_seen where kind = ?',
    kind,
  );
  return new Map(rows.map(({ name, at_ms }) => [name, at_ms]));
}

export interface ToolUse {
  readonly tenant: string;
  readonly agent: string;
  readonly tool: string;
  readonly at_ms: number;
}

export async function noteToolUses(tx: Tx, uses: readonly ToolUse[]): Promise<void> {
  for (const { tenant, agent, tool, at_ms } of uses) {
    await tx.run(
      `insert into tool_uses (tenant, agent, tool, at_ms) values (?, ?, ?, ?)
       on conflict (tenant, agent, tool) do update set at_ms = max(at_ms, excluded.at_ms)`,
      ...[tenant, agent, tool, at_ms],
    );
  }
}

export async function listToolUses(tx: Tx, tenant: string): Promise<ToolUse[]> {
  return tx.all<ToolUse & object>(
    'select tenant, agent, tool, at_ms from tool_uses where tenant = ?',
    tenant,
  );
}
