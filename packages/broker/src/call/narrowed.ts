// What the token of a call carries less than its agent: kept with the call, written into the ledger, and told apart by.
import { canonicalize } from '@countersign/contract/canonical.ts';
import { problem } from '@countersign/contract/problem.ts';
import type { Facts } from '#rules/ledger-entry.ts';
import { type Narrowing, narrowingJson } from '#rules/narrowing.ts';
import type { Agent } from '#rules/principal.ts';
import type { StoredCall } from '#store/calls.ts';

/** Canonical JSON; null for a token that carries all that its agent may. Equal for tokens that carry the same. */
export function narrowedText({ narrowed }: Pick<Agent, 'narrowed'>): string | null {
  return narrowed === undefined ? null : canonicalize(narrowingJson(narrowed));
}

/** The same of a stored call. */
export function narrowedOfRow({ narrowed }: Pick<StoredCall, 'narrowed'>): Narrowing | null {
  return narrowed === null ? null : ({ call: null, ...JSON.parse(narrowed) } as Narrowing);
}

/** Facts of every entry about a call that somebody makes for its agent: the whole chain, the last one first. */
export function handFacts({ narrowed }: Pick<Agent, 'narrowed'>): Facts {
  return narrowed === undefined || narrowed.act.length === 0 ? {} : { act: narrowed.act };
}

/**
 * The stop of a call that its token does not carry. It names nothing but what the caller wrote itself: whether there is
 * such a tool, and what the call would have touched, are none of the business of whoever holds a narrow token.
 */
export function notCarried(tool: string) {
  const name = tool.slice(0, 64).replace(/[^\x20-\x7e]/g, '?');
  const detail = `Your token does not carry this call of "${name}"; ask for a token that does, if you may have one.`;
  return problem('insufficient_scope', detail);
}
