// Takes the secrets of the credential out of everything a reply carries.

import { createRedactor, type Redactor } from '#rules/redact-secrets.ts';
import type { Credential, Reply } from './connector.ts';

/** Redactors by the list of secrets they were made of; providers hand out the same list for the same secret. */
const redactors = new WeakMap<readonly string[], Redactor>();

export function redactReply(reply: Reply, credential: Credential | null): Reply {
  if (credential === null || credential.secrets.length === 0) return reply;
  let redactor = redactors.get(credential.secrets);
  if (redactor === undefined) {
    redactor = createRedactor(credential.secrets);
    redactors.set(credential.secrets, redactor);
  }
  if (reply.kind === 'ok') return { kind: 'ok', response: redactor.json(reply.response) };
  const reason = redactor.text(reply.reason);
  if (reply.kind === 'rejected' && reply.detail !== undefined)
    return { ...reply, reason, detail: redactor.json(reply.detail) };
  return { ...reply, reason };
}
