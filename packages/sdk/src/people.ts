// The client for people (and what acts for them): approvals, halts, and looking at what happened.
import type {
  ApprovalStatus,
  ApprovalView,
  CallAnswer,
  CallStatus,
  Erasure,
  Receipt,
  ResolutionRequest,
  RunView,
  ToolView,
  UndoPlan,
  UndoRequest,
  UndoStep,
} from '@countersign/contract/wire.ts';
import type {
  AlertState,
  AlertView,
  ConnectorView,
  HaltRequest,
  HaltView,
  QuotaView,
  SealingKeyRotation,
  SecretView,
} from '@countersign/contract/wire-operations.ts';
import type {
  AgentList,
  AgentView,
  BreakGlassRequest,
  BreakGlassView,
  PasskeyInvitation,
  PasskeyView,
  PersonView,
  SessionView,
  StatusView,
  WhoAmI,
} from '@countersign/contract/wire-principals.ts';
import type { KeySource } from './key.ts';
import { Session } from './session.ts';

export interface PeopleOptions {
  /** Base URL of the broker. Must be https unless the host is loopback. */
  readonly url: string;
  /** Name of the person in the bundle. Not needed with a `token`. */
  readonly person?: string | undefined;
  /** The person's private key: a JWK, a PKCS#8 PEM text, or a function that answers one. */
  readonly key?: KeySource | undefined;
  /** Instead of person and key: the token of a log-in (`countersign login`). */
  readonly token?: string | undefined;
  /** Allow plain http to a host that is not loopback. */
  readonly insecure?: boolean | undefined;
  /** Stands in for the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/** A vote is cast on an approval that was shown: its digest goes along, so that it counts for that deed only. */
export interface Shown {
  readonly approval_id: string;
  readonly deed_digest: string;
}

/**
 * A person's connection to the broker.
 *
 * ```ts
 * const ana = new People({ url, person: 'ana', key });
 * for (const approval of await ana.listApprovals()) {
 *   console.log(approval.summary);
 *   await ana.vote(approval, 'approve');
 * }
 * ```
 */
export class People {
  readonly #session: Session;

  constructor(options: PeopleOptions) {
    this.#session = new Session({ ...options, name: options.person ?? '' });
  }

  /** Approvals of the person's tenant, newest first; the open ones when no status is named. */
  async listApprovals(
    options: { readonly status?: ApprovalStatus | undefined; readonly limit?: number | undefined } = {},
  ): Promise<readonly ApprovalView[]> {
    const query = { status: options.status ?? 'open', limit: options.limit };
    return (await this.#session.request<{ approvals: ApprovalView[] }>('GET', '/v1/approvals', { query }))
      .approvals;
  }

  /** One approval: the sentence, the exact arguments, what was prepared, the rules that ask, the digest. */
  showApproval(approvalId: string): Promise<ApprovalView> {
    return this.#session.request('GET', `/v1/approvals/${encodeURIComponent(approvalId)}`);
  }

  /**
   * Votes on the deed that was shown. Throws `CountersignProblem`: `conflict` when the deed is another one by now or
   * the approval is no longer open, `forbidden` when this person does not count for any rule that asks.
   */
  vote(shown: Shown, verdict: 'approve' | 'reject', reason?: string): Promise<ApprovalView> {
    const body = { verdict, deed_digest: shown.deed_digest, ...(reason === undefined ? {} : { reason }) };
    return this.#session.request('POST', `/v1/approvals/${encodeURIComponent(shown.approval_id)}/votes`, {
      body,
    });
  }

  /** Stops an agent, a tool, a connector, a run, the tenant or everything. For operators. */
  setHalt(request: HaltRequest): Promise<HaltView> {
    return this.#session.request('POST', '/v1/halts', { body: request });
  }

  /** Ends a halt. For operators. */
  async liftHalt(haltId: string): Promise<void> {
    await this.#session.request('DELETE', `/v1/halts/${encodeURIComponent(haltId)}`);
  }

  /** The halts in force. */
  async listHalts(): Promise<readonly HaltView[]> {
    return (await this.#session.request<{ halts: HaltView[] }>('GET', '/v1/halts')).halts;
  }

  /** Agents and orchestrators: who answers for each, how it stands, what of it is stale. For operators. */
  listAgents(): Promise<AgentList> {
    return this.#session.request('GET', '/v1/agents');
  }

  /** One agent or orchestrator. For operators. */
  showAgent(name: string): Promise<AgentView> {
    return this.#session.request('GET', `/v1/agents/${encodeURIComponent(name)}`);
  }

  /**
   * Suspends, resumes or retires at once, beside the bundle. Agents and orchestrators: for operators; people: for
   * admins. Throws `CountersignProblem`: `conflict` for a retirement, and for what the bundle itself says.
   */
  setStatus(kind: StatusKind, name: string, verb: StatusVerb, reason: string): Promise<StatusView> {
    const path = `/v1/${FOLDERS[kind]}/${encodeURIComponent(name)}/${verb}`;
    return this.#session.request('POST', path, { body: { reason } });
  }

  /** Makes every token of an agent worthless that was issued until now. For operators. */
  revokeTokens(
    agent: string,
    reason: string,
  ): Promise<{ readonly agent: string; readonly until_ms: number }> {
    return this.#session.request('POST', `/v1/agents/${encodeURIComponent(agent)}/revocation`, {
      body: { reason },
    });
  }

  /** Has the broker sign tokens with a new key; `drop`: those signed before are worthless at once. For admins. */
  rotateKeys(request: {
    readonly reason: string;
    readonly drop?: boolean;
  }): Promise<{ readonly kid: string; readonly retired: readonly string[] }> {
    return this.#session.request('POST', '/v1/keys/rotation', { body: request });
  }

  /** How far quotas are used up, the fullest first. For operators. */
  async listQuotas(options: { readonly limit?: number | undefined } = {}): Promise<readonly QuotaView[]> {
    const query = { ...options };
    return (await this.#session.request<{ quotas: QuotaView[] }>('GET', '/v1/quotas', { query })).quotas;
  }

  /** Secrets of the sealed store by name; never their values. For admins and auditors. */
  async listSecrets(): Promise<readonly SecretView[]> {
    return (await this.#session.request<{ secrets: SecretView[] }>('GET', '/v1/secrets')).secrets;
  }

  /** Sets a secret, or a new version of it. For admins. The answer is free of the value. */
  setSecret(name: string, value: string): Promise<SecretView> {
    return this.#session.request('POST', `/v1/secrets/${encodeURIComponent(name)}`, { body: { value } });
  }

  /** Destroys a secret with all its versions. Refused as `conflict` while the bundle refers to it, unless forced. */
  removeSecret(name: string, options: { readonly force?: boolean } = {}): Promise<SecretView> {
    const query = options.force === true ? { force: 'yes' } : {};
    return this.#session.request('DELETE', `/v1/secrets/${encodeURIComponent(name)}`, { query });
  }

  /** Wraps every data key with a new key-encryption key. For admins. */
  rotateSealingKey(): Promise<SealingKeyRotation> {
    return this.#session.request('POST', '/v1/sealing-key/rotation');
  }

  /** Connectors: what runs and waits at the broker, and which breakers are open. For operators. */
  async listConnectors(): Promise<readonly ConnectorView[]> {
    return (await this.#session.request<{ connectors: ConnectorView[] }>('GET', '/v1/connectors')).connectors;
  }

  /** Calls, newest first. `status: 'in_doubt'` lists those whose outcome is not known. */
  async listCalls(
    options: {
      readonly status?: CallStatus | undefined;
      readonly agent?: string | undefined;
      readonly run?: string | undefined;
      readonly limit?: number | undefined;
      readonly before?: string | undefined;
    } = {},
  ): Promise<readonly CallAnswer[]> {
    const query = { ...options };
    return (await this.#session.request<{ calls: CallAnswer[] }>('GET', '/v1/calls', { query })).calls;
  }

  /** One call as it stands. */
  showCall(callId: string): Promise<CallAnswer> {
    return this.#session.request('GET', `/v1/calls/${encodeURIComponent(callId)}`);
  }

  /** Says what became of a call in doubt or unverified. For operators. */
  resolveCall(callId: string, request: ResolutionRequest): Promise<CallAnswer> {
    return this.#session.request('POST', `/v1/calls/${encodeURIComponent(callId)}/resolution`, {
      body: request,
    });
  }

  /** Severe outcomes that people are told of, newest first. For operators. */
  async listAlerts(
    options: {
      readonly state?: AlertState | undefined;
      /** Whether somebody has acknowledged them; both when it is left out. */
      readonly acknowledged?: boolean | undefined;
      readonly limit?: number | undefined;
      readonly before?: string | undefined;
    } = {},
  ): Promise<readonly AlertView[]> {
    const { acknowledged, ...rest } = options;
    const query = {
      ...rest,
      ...(acknowledged === undefined ? {} : { acknowledged: acknowledged ? 'yes' : 'no' }),
    };
    return (await this.#session.request<{ alerts: AlertView[] }>('GET', '/v1/alerts', { query })).alerts;
  }

  /** Says that this person has seen an alert; recorded. For operators. */
  ackAlert(alertId: string): Promise<AlertView> {
    return this.#session.request('POST', `/v1/alerts/${encodeURIComponent(alertId)}/ack`);
  }

  /** Undoes one call, or says in a dry run what would undo it. For operators. */
  undoCall(callId: string, request: Pick<UndoRequest, 'dry_run'> = {}): Promise<UndoStep> {
    return this.#session.request('POST', `/v1/calls/${encodeURIComponent(callId)}/undo`, { body: request });
  }

  /** Undoes the writes of a run, newest first, or says in a dry run what would undo them. For operators. */
  undoRun(runId: string, request: UndoRequest = {}): Promise<UndoPlan> {
    return this.#session.request('POST', `/v1/runs/${encodeURIComponent(runId)}/undo`, { body: request });
  }

  /** Runs, newest first. */
  async listRuns(options: { readonly limit?: number | undefined } = {}): Promise<readonly RunView[]> {
    return (await this.#session.request<{ runs: RunView[] }>('GET', '/v1/runs', { query: { ...options } }))
      .runs;
  }

  /** One run: who, why, bound to what, with which labels. */
  showRun(runId: string): Promise<RunView> {
    return this.#session.request('GET', `/v1/runs/${encodeURIComponent(runId)}`);
  }

  /** Ends a run. For operators. */
  endRun(runId: string): Promise<RunView> {
    return this.#session.request('POST', `/v1/runs/${encodeURIComponent(runId)}/end`);
  }

  /** Tools as the broker shows them to this principal. */
  async tools(): Promise<readonly ToolView[]> {
    return (await this.#session.request<{ tools: ToolView[] }>('GET', '/v1/tools')).tools;
  }

  /** Entries of a log in order, from `from` on. For auditors and operators. */
  readLedger(
    options: {
      readonly log?: string | undefined;
      readonly from?: number | undefined;
      readonly limit?: number | undefined;
    } = {},
  ): Promise<LedgerPage> {
    return this.#session.request('GET', '/v1/ledger/entries', { query: { ...options } });
  }

  /** A ledger entry with its inclusion proof and the signed checkpoint. For auditors. */
  showReceipt(log: string, seq: number): Promise<Receipt> {
    return this.#session.request('GET', `/v1/ledger/receipts/${encodeURIComponent(log)}/${seq}`);
  }

  /** Erases the payload of an entry, with who and why on record; refused while something needs it. For admins. */
  erasePayload(log: string, seq: number, reason: string): Promise<Erasure> {
    const path = `/v1/ledger/entries/${encodeURIComponent(log)}/${seq}/erase`;
    return this.#session.request('POST', path, { body: { reason } });
  }

  /** The newest signed checkpoint and the key that verifies it: keep it, to notice a ledger that was rolled back. */
  latestCheckpoint(log?: string): Promise<Checkpoint> {
    return this.#session.request('GET', '/v1/ledger/checkpoint', { query: { log } });
  }

  /** Loads the bundle folder anew and puts it into force; a broken one is refused and the old one goes on. */
  activateBundle(): Promise<Activated> {
    return this.#session.request('POST', '/v1/bundle');
  }

  /** Who is asking, with the roles held now. */
  whoAmI(): Promise<WhoAmI> {
    return this.#session.request('GET', '/v1/me');
  }

  /** People of the tenant. For operators, auditors and admins. */
  async listPeople(): Promise<readonly PersonView[]> {
    return (await this.#session.request<{ people: PersonView[] }>('GET', '/v1/people')).people;
  }

  /** Sessions in use: one's own, or as an admin those of `person`. */
  async listSessions(person?: string): Promise<readonly SessionView[]> {
    return (
      await this.#session.request<{ sessions: SessionView[] }>('GET', '/v1/sessions', { query: { person } })
    ).sessions;
  }

  /** Ends a session; `current`: the one that asks. */
  async endSession(sessionId: string): Promise<void> {
    await this.#session.request('DELETE', `/v1/sessions/${encodeURIComponent(sessionId)}`);
  }

  /** Ends all sessions of a person and what the provider said of them: oneself, or as an admin anybody. */
  revokePerson(name: string): Promise<{ readonly sessions: number }> {
    return this.#session.request('POST', `/v1/people/${encodeURIComponent(name)}/revoke`);
  }

  /** A link with which a passkey is registered for a person, once: for oneself, or as an admin for anybody. */
  invitePasskey(name: string): Promise<PasskeyInvitation> {
    return this.#session.request('POST', `/v1/people/${encodeURIComponent(name)}/passkeys`);
  }

  /** Passkeys: one's own, or as an admin those of `person`. */
  async listPasskeys(person?: string): Promise<readonly PasskeyView[]> {
    return (
      await this.#session.request<{ passkeys: PasskeyView[] }>('GET', '/v1/passkeys', { query: { person } })
    ).passkeys;
  }

  /** Removes a passkey: an own one, or as an admin one of `person`. */
  async removePasskey(credentialId: string, person?: string): Promise<void> {
    const path = `/v1/passkeys/${encodeURIComponent(credentialId)}`;
    await this.#session.request('DELETE', path, { query: { person } });
  }

  /** Takes a role in an emergency, for a limited time; people are alerted, and it is recorded. */
  beginBreakGlass(request: BreakGlassRequest): Promise<BreakGlassView> {
    return this.#session.request('POST', '/v1/break-glass', { body: request });
  }

  /** Roles taken in an emergency that last. */
  async listBreakGlass(): Promise<readonly BreakGlassView[]> {
    return (await this.#session.request<{ break_glass: BreakGlassView[] }>('GET', '/v1/break-glass'))
      .break_glass;
  }

  /** Gives a role back before its time. */
  endBreakGlass(id: string): Promise<BreakGlassView> {
    return this.#session.request('DELETE', `/v1/break-glass/${encodeURIComponent(id)}`);
  }

  /** The bundle in force. */
  showBundle(): Promise<BundleView> {
    return this.#session.request('GET', '/v1/bundle');
  }
}

export type StatusKind = 'agent' | 'orchestrator' | 'person';
export type StatusVerb = 'suspend' | 'resume' | 'retire';
const FOLDERS = { agent: 'agents', orchestrator: 'orchestrators', person: 'people' } as const;

export interface Checkpoint {
  readonly log: string;
  /** Signed note (C2SP). */
  readonly checkpoint: string;
  /** Verifier key of the note's signer (C2SP). */
  readonly vkey: string;
}

export interface BundleView {
  /** `sha256:<hex>` over all files. */
  readonly revision: string;
  readonly activated_at_ms: number;
  readonly tools: number;
  readonly agents: number;
}

export interface Activated extends BundleView {
  readonly warnings: readonly unknown[];
}

export interface LedgerPage {
  readonly log: string;
  readonly entries: readonly {
    readonly seq: number;
    /** Canonical JSON: exactly the bytes that were hashed. */
    readonly entry: string;
    /** Canonical JSON of the payload, unless it was erased. */
    readonly payload?: string;
  }[];
}
