// The HTTP door with the real walk behind it.
import type { FastifyInstance } from 'fastify';
import { listAgents, showAgent } from '#admin/agents.ts';
import { ackAlert, listAlerts } from '#admin/alerts.ts';
import { listApprovals, showApproval, vote } from '#admin/approvals.ts';
import { activateBundle, showBundle } from '#admin/bundle.ts';
import { listCalls, showCall } from '#admin/calls.ts';
import { listConnectors } from '#admin/connectors.ts';
import { eraseEntry } from '#admin/erasure.ts';
import { liftHalt, listHalts, setHalt } from '#admin/halts.ts';
import { latestCheckpoint, readLedger, showReceipt } from '#admin/ledger.ts';
import { listQuotas } from '#admin/quotas.ts';
import { resolveCall } from '#admin/resolution.ts';
import { endRun, listRuns, openRun, showRun } from '#admin/runs.ts';
import { resumePrincipal, setStatus } from '#admin/statuses.ts';
import { revokeAgentTokens, revokeByForm, rotateKeys } from '#admin/tokens.ts';
import { describeTool, describeTools } from '#admin/tools.ts';
import { undoCall, undoRun } from '#admin/undo.ts';
import { askCall, performCall } from '#call/perform-call.ts';
import type { World } from '#call/world.ts';
import type { Deeds } from './deeds.ts';
import { routes } from './routes.ts';
import { type ServerOptions, serveHttp } from './serve-http.ts';

const deeds: Deeds = {
  ...{ askCall, performCall, showCall, listCalls, listTools: describeTools, findTool: describeTool },
  ...{ openRun, showRun, listRuns, endRun, listApprovals, showApproval, vote },
  ...{
    setHalt,
    resolveCall,
    undoCall,
    undoRun,
    liftHalt,
    listHalts,
    listAgents,
    showAgent,
    setStatus,
    resumePrincipal,
    listConnectors,
    listQuotas,
    listAlerts,
    ackAlert,
    readLedger,
    showReceipt,
    latestCheckpoint,
    eraseEntry,
    revokeByForm,
    revokeAgentTokens,
    rotateKeys,
    activateBundle,
    showBundle,
  },
};

/** The server, not listening yet: register the other doors on it, then `listen`. `close` ends long polls at once. */
export function createServer(world: World, options: ServerOptions): FastifyInstance {
  return serveHttp(world, routes, deeds, options);
}
