// Builds the connector of a bundle's connector file by its kind.
import type { ConnectorSpec } from '#bundle/bundle.ts';
import { createCommandConnector } from './command/command-connector.ts';
import type { Connector } from './connector.ts';
import { type ConnectorDeps, ConnectorRefused } from './connector-deps.ts';
import { createHandlerConnector } from './handler/handler-connector.ts';
import { createMcpConnector } from './mcp/mcp-connector.ts';
import { createOpenapiConnector } from './openapi/openapi-connector.ts';
import { createSqlConnector } from './sql/sql-connector.ts';

/** The kinds of connector. Listed nowhere else. */
const KINDS: Readonly<Record<string, (spec: ConnectorSpec, deps: ConnectorDeps) => Promise<Connector>>> = {
  command: createCommandConnector,
  handler: createHandlerConnector,
  mcp: createMcpConnector,
  openapi: createOpenapiConnector,
  sql: createSqlConnector,
};

/**
 * Builds and opens a connector. Rejects with `ConnectorRefused` when the file is wrong or the isolation it asks
 * for is unavailable; an upstream that is merely down does not reject.
 */
export function createConnector(spec: ConnectorSpec, deps: ConnectorDeps): Promise<Connector> {
  const create = Object.hasOwn(KINDS, spec.kind) ? KINDS[spec.kind] : undefined;
  if (create !== undefined) return create(spec, deps);
  const known = Object.keys(KINDS).join(', ');
  return Promise.reject(
    new ConnectorRefused(`connector ${spec.name}: unknown kind "${spec.kind}"; expected ${known}`),
  );
}
