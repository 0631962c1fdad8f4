// Which outcomes people are told of at once, what such an alert says, and when a failed delivery is tried again.
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { CallStatus } from '@countersign/contract/wire.ts';
import type { AlertKind } from '@countersign/contract/wire-operations.ts';
import { backoff_ms } from './retry.ts';

/** An alert about one call, or about a role taken in an emergency: ids, names and codes only, fit for any receiver. */
export interface Alert {
  readonly id: string;
  readonly tenant: string;
  readonly call_id: string;
  readonly agent: string;
  readonly run: string;
  readonly tool: string;
  readonly kind: AlertKind;
  /** Of the call when the alert was raised. */
  readonly status: CallStatus;
  /** Code of the problem, where there is one. */
  readonly problem: string | null;
  readonly at_ms: number;
  /** What it is about when it is about no call: then what names a call is empty. */
  readonly glass: { readonly id: string; readonly person: string } | null;
}

/** The alert that a recorded status is by itself, whoever recorded it. */
export function alertOfStatus(status: CallStatus): AlertKind | null {
  return status === 'in_doubt' || status === 'unverified' ? status : null;
}

/** Where that which it is about is seen. */
export function linkOf({ glass, call_id }: Pick<Alert, 'glass' | 'call_id'>, base_url: string): string {
  return glass === null ? `${base_url}/v1/calls/${call_id}` : `${base_url}/v1/break-glass`;
}

/**
 * The message to a webhook: a CloudEvents 1.0 event in JSON (structured mode). Without arguments, results and texts of
 * others. INVARIANT: the same bytes at every try, so that a receiver may compare them.
 */
export function alertEvent(alert: Alert, base_url: string): string {
  const { id, tenant, call_id, agent, run, tool, kind, status, problem, at_ms, glass } = alert;
  const time = new Date(at_ms).toISOString();
  return canonicalize({
    specversion: '1.0',
    id,
    source: base_url,
    type: glass === null ? `countersign.call.${kind}` : `countersign.people.${kind}`,
    subject: glass === null ? call_id : glass.id,
    time,
    datacontenttype: 'application/json',
    data: {
      ...{ alert_id: id, tenant, kind },
      ...(glass === null
        ? { call_id, agent, run_id: run, tool, status }
        : { break_glass_id: glass.id, person: glass.person }),
      ...(problem === null ? {} : { problem }),
      link: linkOf(alert, base_url),
      time,
    },
  });
}

/** After this many tries a delivery is given up: about ten hours, so that a receiver may be away for a night. */
export const TRIES_MOST = 20;
const BACKOFF = { base_ms: 5_000, max_ms: 7_200_000 };

/**
 * How long to wait after the `tries`-th try failed. `chance`: from 0 up to, not including, 1. `asked_ms`: what the
 * receiver asked for, heeded up to the longest wait.
 */
export function waitAfter(tries: number, chance: number, asked_ms = 0): number {
  return Math.max(backoff_ms(BACKOFF, tries, chance), Math.min(asked_ms, BACKOFF.max_ms));
}
