// What this door calls below it: the walk, and the views and deeds of people and orchestrators.
import type { listAgents, showAgent } from '#admin/agents.ts';
import type { ackAlert, listAlerts } from '#admin/alerts.ts';
import type { listApprovals, showApproval, vote } from '#admin/approvals.ts';
import type { activateBundle, showBundle } from '#admin/bundle.ts';
import type { listCalls, showCall } from '#admin/calls.ts';
import type { listConnectors } from '#admin/connectors.ts';
import type { eraseEntry } from '#admin/erasure.ts';
import type { liftHalt, listHalts, setHalt } from '#admin/halts.ts';
import type { latestCheckpoint, readLedger, showReceipt } from '#admin/ledger.ts';
import type { listQuotas } from '#admin/quotas.ts';
import type { resolveCall } from '#admin/resolution.ts';
import type { endRun, listRuns, openRun, showRun } from '#admin/runs.ts';
import type { resumePrincipal, setStatus } from '#admin/statuses.ts';
import type { revokeAgentTokens, revokeByForm, rotateKeys } from '#admin/tokens.ts';
import type { findTool, listTools } from '#admin/tools.ts';
import type { undoCall, undoRun } from '#admin/undo.ts';
import type { askCall, performCall } from '#call/perform-call.ts';

/** The functions of lower floors, as one value, so that the wire can be tested without a store. */
export interface Deeds {
  readonly askCall: typeof askCall;
  readonly performCall: typeof performCall;
  readonly showCall: typeof showCall;
  readonly listCalls: typeof listCalls;
  readonly resolveCall: typeof resolveCall;
  readonly undoCall: typeof undoCall;
  readonly undoRun: typeof undoRun;
  readonly listTools: typeof listTools;
  readonly findTool: typeof findTool;
  readonly openRun: typeof openRun;
  readonly showRun: typeof showRun;
  readonly listRuns: typeof listRuns;
  readonly endRun: typeof endRun;
  readonly listApprovals: typeof listApprovals;
  readonly showApproval: typeof showApproval;
  readonly vote: typeof vote;
  readonly setHalt: typeof setHalt;
  readonly liftHalt: typeof liftHalt;
  readonly listHalts: typeof listHalts;
  readonly listAgents: typeof listAgents;
  readonly showAgent: typeof showAgent;
  readonly setStatus: typeof setStatus;
  readonly resumePrincipal: typeof resumePrincipal;
  readonly listConnectors: typeof listConnectors;
  readonly listQuotas: typeof listQuotas;
  readonly listAlerts: typeof listAlerts;
  readonly ackAlert: typeof ackAlert;
  readonly readLedger: typeof readLedger;
  readonly showReceipt: typeof showReceipt;
  readonly latestCheckpoint: typeof latestCheckpoint;
  readonly eraseEntry: typeof eraseEntry;
  readonly revokeByForm: typeof revokeByForm;
  readonly revokeAgentTokens: typeof revokeAgentTokens;
  readonly rotateKeys: typeof rotateKeys;
  readonly activateBundle: typeof activateBundle;
  readonly showBundle: typeof showBundle;
}
