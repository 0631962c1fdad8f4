// Takes the secrets of the credential out of everything a reply carries.

import type { Json } from '@countersign/contract/json.ts';
import { createRedactor, type Redactor } from '#rules/redact-secrets.ts';
import type { Credential, Reply } from './connector.ts';

/** Redactors by the list of secrets they were made of; providers hand out the same list for the same secret. */
const redactors = new WeakMap<readonly string[], Redactor>();

function redactorOf({ secrets }: Credential): Redactor {
  let redactor = redactors.get(secrets);
  if (redactor === undefined) {
    redactor = createRedactor(secrets);
    redactors.set(secrets, redactor);
  }
  return redactor;
}

/** For what an upstream says beside its reply. */
export function redactJson<T extends Json>(value: T, credential: Credential | null): T {
  return credential === null ? value : (redactorOf(credential).json(value) as T);
}

export function redactReply(reply: Reply, credential: Credential | null): Reply {
  if (credential === null || credential.secrets.length === 0) return reply;
  const redactor = redactorOf(credential);
  if (reply.kind === 'ok') return { kind: 'ok', response: redactor.json(reply.response) };
  const reason = redactor.text(reply.reason);
  if (reply.kind === 'rejected' && reply.detail !== undefined)
    return { ...reply, reason, detail: redactor.json(reply.detail) };
  return { ...reply, reason };
}
