// Revoking tokens and rotating their keys: recorded, and in force before it is answered.
import { tenantLog } from '#call/logs.ts';
import { refreshRevoked } from '#call/refresh-revoked.ts';
import { type Rotated, rotateKeys as rotate } from '#call/rotate-keys.ts';
import type { World } from '#call/world.ts';
import type { TokenIssuer, TokenKeeper } from '#identity/create-identity.ts';
import type { OAuthFailure } from '#identity/oauth-error.ts';
import { type Person, underGlass } from '#rules/principal.ts';
import { appendEntry } from '#store/ledger.ts';
import { revokePrincipal, revokeToken } from '#store/revocations.ts';
import { fail, hasRole, notFound, ok, type Result } from './result.ts';

type Tokens = TokenIssuer & TokenKeeper;

/** RFC 7009: the token, and all that was made from it. What is no token of ours is answered as if it had been one. */
export async function revokeByForm(
  world: World,
  tokens: Tokens,
  form: URLSearchParams,
): Promise<{ readonly ok: true } | OAuthFailure> {
  const found = await tokens.findRevoked(form);
  if (!found.ok) return found;
  const { token, by } = found;
  if (token === null) return { ok: true };
  const of = token.principals[0]!;
  // Names of people are personal data: they stay out of the entry.
  const kind = world.bundle().principals.get(of)?.kind;
  const named = kind === 'agent' || kind === 'orchestrator';
  await world.store.write(async (tx) => {
    await revokeToken(tx, token);
    await appendEntry(tx, {
      log: tenantLog(token.tenant),
      at_ms: world.clock.now(),
      kind: 'tokens.revoked',
      facts: { ...(named ? { [kind]: of } : {}), token: token.token_id },
      payload: { by: by.name, ...(named ? {} : { of }) },
    });
  });
  await refreshRevoked(world, tokens);
  return { ok: true };
}

/** Every token of an agent that was issued until now, and what was made from them. By operators and admins. */
export async function revokeAgentTokens(
  world: World,
  tokens: Tokens,
  person: Person,
  name: string,
  reason: string,
): Promise<Result<{ readonly agent: string; readonly until_ms: number }>> {
  if (!hasRole(person, 'operator', 'admin')) return fail('forbidden', 'Operators and admins revoke tokens.');
  const agent = world.bundle().agents.get(name);
  if (agent === undefined || agent.tenant !== person.tenant) return notFound();
  const until_ms = world.clock.now();
  await world.store.write(async (tx) => {
    await revokePrincipal(tx, { tenant: agent.tenant, principal: name, until_ms });
    await appendEntry(tx, {
      log: tenantLog(agent.tenant),
      at_ms: until_ms,
      kind: 'tokens.revoked',
      facts: { agent: name, until_ms, ...underGlass(person) },
      payload: { by: person.name, reason },
    });
  });
  await refreshRevoked(world, tokens);
  return ok({ agent: name, until_ms });
}

/** By admins: a new key signs from now on. `drop`: all tokens signed before are worthless at once. */
export async function rotateKeys(
  world: World,
  tokens: Tokens,
  person: Person,
  { drop, reason }: { readonly drop: boolean; readonly reason: string },
): Promise<Result<Rotated>> {
  if (!hasRole(person, 'admin')) return fail('forbidden', 'Only an admin rotates keys.');
  return ok(await rotate(world, tokens, { drop, by: { person, reason } }));
}
