// The compiled bundle: everything the broker may do, immutable, named by its digest.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Issue } from '@countersign/contract/problem.ts';
import type { AlertKind } from '@countersign/contract/wire-operations.ts';
import type { PolicySet } from '#rules/decision.ts';
import type { Expression, Template } from '#rules/expression.ts';
import type { FactBase } from '#rules/facts.ts';
import type { TrustedIssuer } from '#rules/federation.ts';
import type { FlowRule } from '#rules/flow-rule.ts';
import type { LoopLimits } from '#rules/loop.ts';
import type { Agent, Orchestrator, Person, Principal } from '#rules/principal.ts';
import type { Quota } from '#rules/quota.ts';
import type { Tool } from '#rules/tool.ts';
import type { PeopleSettings } from './login-settings.ts';

export interface Settings {
  readonly listen: { readonly host: string; readonly port: number };
  /** Issuer and base of all audiences; null: derived from the address that was bound. */
  readonly public_url: string | null;
  /** Folder of the store and the keys, absolute. */
  readonly data_dir: string;
  readonly tenants: readonly string[];
  /** Foreign issuers whose tokens are believed. */
  readonly issuers: readonly TrustedIssuer[];
  /** Types of bound context, by key: each a JSON Schema of a string, integer or boolean. */
  readonly context: Readonly<Record<string, JsonObject>>;
  /** Labels that manifests may use besides untrusted, private and secret. */
  readonly labels: readonly string[];
  readonly approvals: {
    /** Rule of baseline policies and of suggest mode, e.g. `1 of support-leads`; null: such calls are denied. */
    readonly default: string | null;
    readonly ttl_ms: number;
    readonly max_open_per_agent: number;
  };
  readonly people: PeopleSettings;
  readonly tokens: {
    readonly access_ttl_ms: number;
    readonly run_ttl_ms: number;
    readonly one_call_ttl_ms: number;
    /** Age at which the signing key gives way to a new one. */
    readonly rotate_keys_ms: number;
    /** `required`: of all agents, whatever their own files say. */
    readonly dpop: 'optional' | 'required';
    /** Whether every proof must carry a nonce of ours. */
    readonly dpop_nonce: boolean;
  };
  readonly runs: { readonly ambient_idle_ms: number };
  readonly idempotency: { readonly keep_ms: number; readonly content_key: 'off' | 'writes' };
  readonly limits: {
    readonly body_bytes: number;
    readonly depth: number;
    readonly result_bytes: number;
  };
  readonly quotas: readonly Quota[];
  readonly loops: LoopLimits;
  readonly alerts: { readonly webhooks: readonly Webhook[] };
  /** When keys are old, and when agents and tools count as unused: what `agents --stale` lists. */
  readonly agents: { readonly key_max_age_ms: number; readonly unused_after_ms: number };
  readonly sealing: Sealing;
  readonly activation: { readonly quorum: number };
  /** Baseline policies set aside, each by name, with a reason and an end. */
  readonly waivers: readonly {
    readonly policy: string;
    readonly reason: string;
    readonly by: string;
    readonly expires: string;
  }[];
}

/** Where the key is that wraps the data keys of the sealed store. */
export type Sealing =
  /** A file in the data folder, made at the first start. */
  | { readonly kind: 'own-file' }
  /** `env:NAME` or `file:/path`: keys in base64, the current one first. */
  | { readonly kind: 'key'; readonly reference: string }
  /** The transit engine of Vault or OpenBao. */
  | {
      readonly kind: 'transit';
      readonly url: string;
      readonly namespace: string | null;
      readonly mount: string;
      readonly key: string;
      /** Reference to its token. */
      readonly token: string;
      readonly allow_private: boolean | readonly string[];
    };

/** Whom severe outcomes are told. */
export interface Webhook {
  readonly url: string;
  /** As of connectors: whether the address may be private or loopback. */
  readonly allow_private: boolean | readonly string[];
  /** Reference to the secret that signs: `env:NAME`, `file:/path` or `sealed:NAME`. */
  readonly secret: string;
  /** Null: all. */
  readonly kinds: readonly AlertKind[] | null;
}

export interface ConnectorSpec {
  readonly name: string;
  readonly kind: 'mcp' | 'sql' | 'openapi' | 'command' | 'handler';
  readonly owner: string;
  /** Fixed part by kind, checked by the connector file's schema; paths are absolute. */
  readonly options: JsonObject;
  /** Where the connector's credential comes from: references, never the secret. */
  readonly credential: { readonly provider: string; readonly options: JsonObject } | null;
}

/** A connector of a bundle: how it is reached, and how its use is governed. */
export interface BundledConnector extends ConnectorSpec {
  readonly flow: FlowRule;
}

/** A read that has to confirm a key of bound context before a run is opened with it. */
export interface ContextVerifier {
  readonly key: string;
  /** Name of the read. */
  readonly tool: string;
  /** In whose name it is read: one agent for each tenant. */
  readonly as: readonly string[];
  /** Its arguments, from `bound`. */
  readonly args: Template;
  /** Over `response` (what the tool answers) and `bound`; all must be true. */
  readonly expect: readonly Expression[];
}

export interface Bundle {
  /** `sha256:<hex>` over the canonical form of all files. */
  readonly revision: string;
  readonly settings: Settings;
  readonly agents: ReadonlyMap<string, Agent>;
  readonly orchestrators: ReadonlyMap<string, Orchestrator>;
  readonly people: ReadonlyMap<string, Person>;
  /** All principals by name; names are unique across kinds. */
  readonly principals: ReadonlyMap<string, Principal>;
  /** Members of each group: names of people. */
  readonly groups: ReadonlyMap<string, ReadonlySet<string>>;
  readonly connectors: ReadonlyMap<string, BundledConnector>;
  readonly tools: ReadonlyMap<string, Tool>;
  readonly policies: PolicySet;
  /** What the facts of all calls share: entities and typed views, built once. */
  readonly facts: FactBase;
  /** Mistakes of a value for a declared key of bound context; empty when it fits. */
  readonly checkContext: (key: string, value: unknown) => readonly Issue[];
  /** By key of bound context. */
  readonly verifiers: ReadonlyMap<string, ContextVerifier>;
  readonly tests: readonly TestCase[];
  /** Cedar schema generated from the manifests, for people and editors. */
  readonly cedar_schema: string;
  /** Canonical text of every file, by path relative to the bundle: what the revision digests. */
  readonly files: Readonly<Record<string, string>>;
}

/** One case of tests/*.yaml: a call with its facts, and the verdict that is expected. */
export interface TestCase {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  readonly agent: string;
  readonly tool: string;
  readonly args: JsonObject;
  readonly bound: JsonObject;
  readonly claimed: JsonObject;
  readonly prepared: JsonObject;
  readonly labels: readonly string[];
  /** The call undoes another. */
  readonly undo: boolean;
  readonly now_ms: number;
  /** Rules whose quorum has approved. */
  readonly approved: readonly string[];
  readonly expect: 'permit' | 'deny' | 'hold';
  /** Ids of exactly the policies that decide, when given. */
  readonly by: readonly string[] | null;
  /** Text that the reason contains, when given. */
  readonly reason: string | null;
}

/** One mistake in a bundle. Lines and columns count from 1. */
export interface Mistake {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  /** What to do, e.g. the nearest known name. */
  readonly hint?: string;
  readonly severity: 'error' | 'warning';
}

export type Loaded =
  | { readonly ok: true; readonly bundle: Bundle; readonly warnings: readonly Mistake[] }
  | { readonly ok: false; readonly mistakes: readonly Mistake[] };
