// The shapes in which agents, orchestrators and people are shown and kept (snake_case, times in epoch ms).
import type { JsonObject } from './json.ts';

export type PrincipalStatus = 'active' | 'suspended' | 'retired';

/** POST /v1/agents/{name}/suspend, …/resume, …/retire. */
export interface StatusRequest {
  readonly reason: string;
}

/** How a principal stands: the stricter of what the bundle says and what was set beside it. */
export interface StatusView {
  readonly status: PrincipalStatus;
  /** What an operator has set, beside the bundle. */
  readonly set?: {
    /** Named under `reinstates` in its file, a reviewed change takes it back. */
    readonly status_id: string;
    readonly status: 'suspended' | 'retired';
    readonly reason: string;
    readonly by: string;
    readonly at_ms: number;
  };
}

/** Why an agent, an orchestrator or a tool should be looked at. */
export const STALE_KINDS = ['owner_left', 'old_key', 'unused', 'unused_tool'] as const;
export interface StaleFinding {
  readonly kind: (typeof STALE_KINDS)[number];
  /** The owner, the thumbprint of the key, or the tool; the name itself where all of it is unused. */
  readonly what: string;
  /** Since when: the key is known, or the last use. Absent for owners. */
  readonly since_ms?: number;
}

/** An agent or orchestrator as its keepers see it. */
export interface AgentView extends StatusView {
  readonly name: string;
  readonly kind: 'agent' | 'orchestrator';
  readonly owner: string;
  /** `missing`: there is no such person in the bundle. */
  readonly owner_status: PrincipalStatus | 'missing';
  readonly purpose: string;
  /** Of agents. */
  readonly mode?: 'observe' | 'suggest' | 'act';
  readonly roles: readonly string[];
  /** When it last got a token or called a tool; null: never yet. */
  readonly last_used_at_ms: number | null;
  readonly keys: readonly {
    /** RFC 7638. */
    readonly thumbprint: string;
    /** When a bundle with it was first put in force. */
    readonly first_seen_at_ms: number;
    readonly last_used_at_ms: number | null;
  }[];
  /** How foreign issuers know it. */
  readonly identities: readonly { readonly issuer: string; readonly claims: JsonObject }[];
  /** Tools that some policy could let it call. */
  readonly tools: readonly { readonly name: string; readonly last_used_at_ms: number | null }[];
  readonly stale: readonly StaleFinding[];
}

export interface AgentList {
  readonly agents: readonly AgentView[];
  /** Tools of the bundle that nobody in the tenant has called for `agents.unused_after`. */
  readonly unused_tools: readonly { readonly name: string; readonly last_used_at_ms: number | null }[];
}

export type PersonRole = 'approver' | 'operator' | 'auditor' | 'admin';

/** A person as people see one another. */
export interface PersonView {
  readonly name: string;
  readonly display_name: string;
  readonly status: PrincipalStatus;
  /** Those held now, one taken in an emergency among them. */
  readonly roles: readonly PersonRole[];
  readonly groups: readonly string[];
  /** `provider`: known by the last log-in alone, until `valid_until_ms`. */
  readonly source: 'bundle' | 'provider';
  readonly valid_until_ms?: number;
  /** An emergency that lasts. */
  readonly break_glass_id?: string;
}

/** Who is asking, and by what. */
export interface WhoAmI extends PersonView {
  readonly tenant: string;
  readonly via: 'key' | 'provider' | 'passkey';
  readonly session?: SessionView;
  /** Of a session in a browser: what a page sends as `x-csrf-token` with every request that changes something. */
  readonly csrf_token?: string;
}

export interface SessionView {
  readonly session_id: string;
  /** `browser`: a cookie. `cli`: the token of `countersign login`. */
  readonly kind: 'browser' | 'cli';
  readonly via: 'provider' | 'passkey';
  readonly created_at_ms: number;
  readonly last_used_at_ms: number;
  readonly expires_at_ms: number;
}

export interface PasskeyView {
  readonly credential_id: string;
  readonly label: string;
  readonly created_at_ms: number;
  readonly last_used_at_ms?: number;
}

/** A link with which somebody registers one passkey, once. */
export interface PasskeyInvitation {
  readonly person: string;
  readonly url: string;
  readonly expires_at_ms: number;
}

export interface BreakGlassRequest {
  readonly role?: 'operator' | 'admin';
  readonly reason: string;
  readonly for_ms?: number;
}

/** A role taken in an emergency. */
export interface BreakGlassView {
  readonly break_glass_id: string;
  readonly person: string;
  readonly role: PersonRole;
  readonly reason: string;
  readonly begun_at_ms: number;
  readonly ends_at_ms: number;
}
