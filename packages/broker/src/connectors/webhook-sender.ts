// Tells one webhook: signs the message as Standard Webhooks says, and dials only an address that may be dialled.
import { createHmac } from 'node:crypto';
import { Agent, errors, request } from 'undici';
import type { Webhook } from '#bundle/bundle.ts';
import { AddressRefused, checkEndpoint, createConnectorConnect } from './checked-address.ts';

export interface WebhookMessage {
  /** The same at every try, so that a receiver can drop repeats. */
  readonly id: string;
  readonly type: string;
  readonly body: string;
  readonly now_ms: number;
}

/** `reason` is in our words, free of secrets and of what the receiver said. `final`: trying again is of no use. */
export type Told =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: string; readonly final: boolean; readonly wait_ms: number };

/** Never rejects. */
export type WebhookSender = (webhook: Webhook, message: WebhookMessage, signal: AbortSignal) => Promise<Told>;

export interface SenderDeps {
  /** The value behind a reference; its errors name the reference only. */
  readonly readSecret: (reference: string) => Promise<string>;
  readonly timeout_ms: number;
}

const CONNECT_MS = 3_000;
/** Nothing of an answer is used but its status; a long one is cut off. */
const MOST_BYTES = 64 * 1024;
/** What Standard Webhooks asks of a secret. */
const SECRET_BYTES = { least: 24, most: 64 };

export function createWebhookSender({ readSecret, timeout_ms }: SenderDeps): WebhookSender {
  return async (webhook, message, signal) => {
    const failed = (reason: string): Told => ({ ok: false, reason, final: false, wait_ms: 0 });
    const url = checkEndpoint(webhook.url, webhook.allow_private);
    if (typeof url === 'string') return failed(url);
    const key = await readKey(webhook.secret, readSecret);
    if (typeof key === 'string') return failed(key);
    // One connection for one message: alerts are rare, and nothing is kept open towards a stranger.
    const agent = new Agent({
      connect: createConnectorConnect(webhook.allow_private, CONNECT_MS),
      maxResponseSize: MOST_BYTES,
    });
    const deadline = AbortSignal.timeout(timeout_ms);
    try {
      const answer = await request(url, {
        dispatcher: agent,
        method: 'POST',
        headers: headersOf(message, key),
        body: message.body,
        signal: AbortSignal.any([signal, deadline]),
      });
      answer.body.on('error', () => undefined).destroy();
      return judge(answer.statusCode, answer.headers['retry-after']);
    } catch (error) {
      return failed(deadline.aborted ? `no answer within ${timeout_ms} ms` : reasonOf(error));
    } finally {
      await agent.destroy();
    }
  };
}

/** Headers of the message, and the signature over id, time and body. */
function headersOf({ id, type, body, now_ms }: WebhookMessage, key: Buffer): Record<string, string> {
  const timestamp = String(Math.floor(now_ms / 1000));
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return {
    'content-type': type,
    'user-agent': 'countersign',
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${signature}`,
  };
}

/** The key of a webhook, or why there is none; read at every try, so that a changed secret needs no restart. */
async function readKey(reference: string, readSecret: SenderDeps['readSecret']): Promise<Buffer | string> {
  let secret: string;
  try {
    secret = (await readSecret(reference)).trim();
  } catch {
    return `the secret at ${reference} cannot be read`;
  }
  const text = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)?.[1];
  const key = Buffer.from(text ?? '', 'base64');
  const { least, most } = SECRET_BYTES;
  return key.length >= least && key.length <= most
    ? key
    : `the secret at ${reference} must read whsec_ and ${least} to ${most} bytes in base64`;
}

function judge(status: number, retryAfter: string | string[] | undefined): Told {
  if (status >= 200 && status < 300) return { ok: true };
  const redirect = status >= 300 && status < 400 ? ': redirects are not followed' : '';
  // 410: the receiver says that it wants no more of them.
  const seconds = typeof retryAfter === 'string' && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : 0;
  return {
    ok: false,
    reason: `HTTP ${status}${redirect}`,
    final: status === 410,
    wait_ms: seconds * 1000,
  };
}

/** Codes of the network and of undici, and what we said ourselves; nothing else goes on. */
function reasonOf(error: unknown): string {
  if (error instanceof AddressRefused) return error.message;
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  if (error instanceof errors.UndiciError) return error.code;
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown };
  return typeof code === 'string' ? code : String(name);
}
