// Decides what an HTTP answer says about the deed: done, refused, or not known.
import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, type Json } from '@countersign/contract/json.ts';
import { mayHaveBeenDone } from '#rules/retry.ts';
import type { Reply } from '../connector.ts';
import { tooDeep } from '../json-depth.ts';
import { bareType, isJsonType, type Operation } from './compile-operation.ts';
import type { Exchanged } from './exchange.ts';
import { readRetryHint } from './read-retry-hint.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly response: Json;
}

const QUOTE_MAX = 300;

/** A usable success, or the reply that everything else amounts to. */
export function readAnswer(
  exchanged: Exchanged,
  operation: Operation,
  mode: 'read' | 'write',
  now_ms: number,
): { readonly answer: Answer } | { readonly reply: Reply } {
  if (exchanged.kind === 'not_sent' || exchanged.kind === 'unknown') return { reply: exchanged };
  const { status, headers } = exchanged;
  if (status < 200 || status > 299) return { reply: refusal(exchanged, mode, now_ms) };
  if (exchanged.kind === 'broken') return { reply: useless(exchanged.reason, mode) };
  const response = parseBody(exchanged.body, headers, operation.mediaTypes(status) ?? []);
  if (typeof response === 'string') return { reply: useless(response, mode) };
  return { answer: { status, headers, response: response.value } };
}

/** What the vendor says of itself: the usual members of an error body, on one line, cut. Foreign text. */
export function vendorMessage(body: Json): string | null {
  if (!isJsonObject(body)) return null;
  const { error, errors, errorMessages, message, detail, title, error_description: described } = body;
  const inner = isJsonObject(error) ? vendorMessage(error) : error;
  const lists = [errorMessages, errors].flatMap((it) => (Array.isArray(it) ? (it as readonly Json[]) : []));
  const first = lists.map((it) => (isJsonObject(it) ? vendorMessage(it) : it)).find(isText);
  // Jira names fields: {"errors": {"project": "..."}}.
  const field = isJsonObject(errors) ? Object.values(errors).find(isText) : undefined;
  const found = [message, inner, described, first, field, detail, title].find(isText);
  return found === undefined ? null : found.replace(/\s+/g, ' ').slice(0, QUOTE_MAX);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

/** A success that says nothing usable: the deed may well be done; a read may simply be asked again. */
export function useless(reason: string, mode: 'read' | 'write'): Reply {
  return mode === 'write' ? { kind: 'unknown', reason, timed_out: false } : { kind: 'rejected', reason };
}

function refusal(
  exchanged: Extract<Exchanged, { kind: 'answered' | 'broken' }>,
  mode: 'read' | 'write',
  now_ms: number,
): Reply {
  const { status, headers } = exchanged;
  const hint = readRetryHint(status, headers, now_ms);
  const said = exchanged.kind === 'answered' ? messageIn(exchanged.body, headers) : null;
  const redirect = status >= 300 && status < 400 ? '; redirects are not followed' : '';
  const reason = `HTTP ${status}${said === null ? '' : `: ${said}`}${redirect}`;
  if (mode === 'write' && !refusesByStatus(status, headers))
    return { kind: 'unknown', reason, timed_out: false, hint };
  return { kind: 'rejected', reason, detail: { status }, hint };
}

/** Whether a write was not carried out; 503 says so only where the server says when to come back. */
function refusesByStatus(status: number, headers: IncomingHttpHeaders): boolean {
  return !mayHaveBeenDone(status) || (status === 503 && headers['retry-after'] !== undefined);
}

function messageIn(body: Buffer, headers: IncomingHttpHeaders): string | null {
  const parsed = parseBody(body, headers, []);
  return typeof parsed === 'string' ? null : vendorMessage(parsed.value);
}

/** JSON by its media type; text only where the description names that type; nothing is null. */
function parseBody(
  body: Buffer,
  headers: IncomingHttpHeaders,
  described: readonly string[],
): { readonly value: Json } | string {
  if (body.length === 0) return { value: null };
  const type = String(headers['content-type'] ?? '');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return 'the answer is not UTF-8';
  }
  if (!isJsonType(type)) {
    const bare = bareType(type);
    if (bare.startsWith('text/') && bare !== 'text/html' && described.includes(bare)) return { value: text };
    return `the answer is ${bare === '' ? 'of no stated type' : `of type ${bare.slice(0, 60)}`}, not JSON`;
  }
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return 'the answer is not valid JSON';
  }
  return tooDeep(value) ? 'the answer is nested too deeply' : { value };
}
