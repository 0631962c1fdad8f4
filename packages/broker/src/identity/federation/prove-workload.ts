// Workload identity (RFC 7523 §2.2): a client that holds no key of ours shows what its platform says of it.
import type { Principal } from '#rules/principal.ts';
import type { Federation, ForeignContext, ForeignUse } from './federation.ts';
import { identify } from './identify.ts';
import type { ForeignToken } from './verify-foreign.ts';

export type Workload =
  | { readonly ok: true; readonly principal: Principal }
  /** `why` is for the log alone. */
  | { readonly ok: false; readonly why: string };

/**
 * The agent or orchestrator that a foreign token proves, whatever its status; spent and recorded. `name` is who it must
 * be, where the request says so.
 */
export async function proveWorkload(
  text: string,
  name: string | null,
  use: ForeignUse,
  federation: Federation,
  context: ForeignContext,
): Promise<Workload> {
  const verified = await federation.verify(text, context);
  if (!verified.ok) return verified;
  return acceptWorkload(verified.token, name, use, federation, context);
}

/** The same for a token that was verified already. */
export async function acceptWorkload(
  token: ForeignToken,
  name: string | null,
  use: ForeignUse,
  federation: Federation,
  context: ForeignContext,
): Promise<Workload> {
  const refused = (why: string): Workload => ({ ok: false, why: `issuer ${token.issuer.name}: ${why}` });
  // A grant says that a user lets a client act, not that whoever holds it is that client.
  if (token.issuer.preset === 'id-jag') return refused('a grant proves no client');
  const principal = identify(token, context.bundle);
  if (typeof principal === 'string') return { ok: false, why: principal };
  if (principal.kind === 'person') return refused('people log in');
  if (name !== null && name !== principal.name) return refused('client_id names another');
  const first = await federation.accept({ token, principal, use }, context);
  return first ? { ok: true, principal } : refused('the token was used before');
}
