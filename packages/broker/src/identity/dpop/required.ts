// Whether a principal's tokens must be bound to a key that it proves with each request.
import type { Bundle } from '#bundle/bundle.ts';
import type { Principal } from '#rules/principal.ts';

/** Agents alone: the bundle says it of all of them, or the file of one says it of that one. */
export function dpopRequired(principal: Principal, { settings }: Pick<Bundle, 'settings'>): boolean {
  if (principal.kind !== 'agent') return false;
  return principal.dpop === 'required' || settings.tokens.dpop === 'required';
}
