// What a connector gets from outside: time, log, its own credential, and the folders that nothing may reach.
import type { ConnectorSpec } from '#bundle/bundle.ts';
import type { Credential, Refusal } from '#rules/credential.ts';

/** Log lines of connectors carry the connector's name in `fields`; never a secret. */
export interface ConnectorLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface ConnectorDeps {
  readonly clock: { now(): number };
  readonly log: ConnectorLog;
  /**
   * The credential with which the connector itself connects: to list tools, and for the environment of a child
   * process. Null when the connector has none. Rejects when it cannot be had now; the connector tries again.
   */
  readonly connectionCredential: (spec: ConnectorSpec) => Promise<Credential | null>;
  /**
   * Told when an upstream answered 401 or 403 to a credential that its provider can renew. Answers why the request
   * did not happen, or null to go by what the upstream said.
   */
  readonly credentialRefused?: (spec: ConnectorSpec, refusal: Refusal) => Promise<string | null>;
  /** Absolute folders that no connector may reach: bundle, store, keys. */
  readonly protect?: readonly string[];
  /** Largest answer of an upstream in bytes; default 4 MiB. */
  readonly response_bytes?: number;
}

export const DEFAULT_RESPONSE_BYTES = 4 * 1024 * 1024;

/** The connector cannot be built as its file says; the message says what to change or to install. */
export class ConnectorRefused extends Error {
  override readonly name = 'ConnectorRefused';
}
