// The promises of the run, held against what the upstreams, the store, the ledger and the callers each say by themselves.
import type { Wanted } from './load.ts';
import type { Deed } from './upstream.ts';

/** A row of the store. */
export interface CallRecord {
  readonly id: string;
  readonly effect: string;
  readonly status: string;
  readonly key: string | null;
}

/** What an entry of the ledger says of a call. */
export interface EntryRecord {
  readonly kind: string;
  readonly call: string;
  readonly status: string | null;
  readonly effect: string | null;
}

export interface Evidence {
  readonly deeds: readonly Deed[];
  readonly calls: readonly CallRecord[];
  readonly entries: readonly EntryRecord[];
  readonly wanted: readonly Wanted[];
  /** Ids that the broker lists as in doubt to a person. */
  readonly listed_in_doubt: readonly string[];
}

/** What was violated; empty when every promise held. Sentences with the ids to look for. */
export function check(evidence: Evidence): string[] {
  return [
    ...noDeedTwice(evidence),
    ...noDeedWithoutIntent(evidence),
    ...noCallLost(evidence),
    ...noOutcomeThatTheWorldDenies(evidence),
    ...noAnswerThatTheWorldDenies(evidence),
    ...noKeyForTwoCalls(evidence),
    ...noAnswerTakenBack(evidence),
  ];
}

function noDeedTwice({ deeds }: Evidence): string[] {
  return [
    ...repeated(deeds.map(({ upstream, call_id }) => `${upstream} did ${call_id}`)),
    // The caller's own name of it: also holds where one key had led to two calls.
    ...repeated(deeds.map(({ upstream, note }) => `${upstream} did what ${note} asked for`)),
  ].map(([what, times]) => `done twice: ${what} ${times} times`);
}

function noDeedWithoutIntent({ deeds, entries }: Evidence): string[] {
  const admitted = new Set(entries.filter(({ kind }) => kind === 'call.admitted').map(({ call }) => call));
  return deeds
    .filter(({ call_id }) => !admitted.has(call_id))
    .map(({ upstream, call_id }) => `done without an intent in the ledger: ${upstream} did ${call_id}`);
}

function noCallLost({ calls, entries, listed_in_doubt }: Evidence): string[] {
  const listed = new Set(listed_in_doubt);
  const settled = new Map<string, number>();
  for (const { kind, call } of entries)
    if (kind === 'call.settled') settled.set(call, (settled.get(call) ?? 0) + 1);
  const admitted = entries.filter(({ kind }) => kind === 'call.admitted').map(({ call }) => call);
  const rows = new Set(calls.map(({ id }) => id));
  return [
    ...admitted
      .filter((call) => !settled.has(call) && !listed.has(call))
      .map((call) => `lost: ${call} was admitted, has no outcome and is not listed as in doubt`),
    ...[...settled]
      .filter(([, times]) => times > 1)
      .map(([call, times]) => `settled ${times} times: ${call}`),
    ...repeated(admitted).map(([call, times]) => `admitted ${times} times: ${call}`),
    ...admitted
      .filter((call) => !rows.has(call))
      .map((call) => `lost: ${call} is in the ledger and not in the store`),
    ...calls
      .filter(({ status }) => status === 'running')
      .map(({ id }) => `lost: ${id} still runs, though nothing runs any more`),
  ];
}

/** What the ledger says happened, did; what it says did not, did not. */
function noOutcomeThatTheWorldDenies({ deeds, calls, entries }: Evidence): string[] {
  const done = new Set(deeds.map(({ call_id }) => call_id));
  const writes = new Set(calls.filter(({ effect }) => effect !== 'read').map(({ id }) => id));
  return entries.flatMap(({ kind, call, status }) => {
    if (kind === 'call.refused' && done.has(call))
      return [`the ledger says refused, the upstream did ${call}`];
    if (kind !== 'call.settled' || !writes.has(call)) return [];
    if (status === 'succeeded' && !done.has(call))
      return [`the ledger says succeeded, no upstream did ${call}`];
    if (status === 'failed' && done.has(call)) return [`the ledger says failed, the upstream did ${call}`];
    return [];
  });
}

function noAnswerThatTheWorldDenies({ deeds, wanted }: Evidence): string[] {
  const done = new Set(deeds.map(({ call_id }) => call_id));
  return wanted
    .filter(({ write }) => write)
    .flatMap(({ key, told }) =>
      told.flatMap(({ word, call_id, code }) => {
        if (word === 'succeeded' && !done.has(call_id))
          return [`${key} was told succeeded, no upstream did ${call_id}`];
        if (word === 'not done' && done.has(call_id))
          return [`${key} was told ${code}, the upstream did ${call_id}`];
        return [];
      }),
    );
}

/** A refused call leaves its key free; of admitted or waiting ones there is one at most. */
function noKeyForTwoCalls({ wanted, entries }: Evidence): string[] {
  const admitted = new Set(entries.filter(({ kind }) => kind === 'call.admitted').map(({ call }) => call));
  return wanted.flatMap(({ key, told }) => {
    const ids = new Set(told.map(({ call_id }) => call_id).filter((id) => admitted.has(id)));
    const clash = told.some(({ code }) => code === 'duplicate_key');
    return [
      ...(ids.size > 1 ? [`${key} got ${ids.size} calls: ${[...ids].join(', ')}`] : []),
      ...(clash ? [`${key} was refused as another request, though it was the same`] : []),
    ];
  });
}

/** Doubt may become certainty; certainty stays as it was. */
function noAnswerTakenBack({ wanted }: Evidence): string[] {
  return wanted.flatMap(({ key, told, unanswered }) => {
    const words = new Map<string, Set<string>>();
    for (const { call_id, word } of told)
      if (word !== 'open' && word !== 'in doubt')
        words.set(call_id, (words.get(call_id) ?? new Set()).add(word));
    const changed = [...words].filter(([, heard]) => heard.size > 1);
    return [
      ...changed.map(([call, heard]) => `${key} was told of ${call}: ${[...heard].join(', then ')}`),
      ...(unanswered ? [`${key} was never answered`] : []),
    ];
  });
}

function repeated(names: readonly string[]): [string, number][] {
  const times = new Map<string, number>();
  for (const name of names) times.set(name, (times.get(name) ?? 0) + 1);
  return [...times].filter(([, n]) => n > 1);
}
