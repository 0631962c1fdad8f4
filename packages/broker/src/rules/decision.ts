// The shapes of the one decision function: what policy sees and what it answers.
import type { ApprovalAsk } from '@countersign/contract/wire.ts';

export interface EntityUid {
  readonly type: string;
  readonly id: string;
}

/** Stands where a fact is not known yet; policy that depends on it is undecided, never wrong. */
export const UNKNOWN: unique symbol = Symbol('unknown');

/**
 * A value of policy context. Integers are Cedar longs; lists are sets; objects are records. Extension
 * values and entity references use Cedar's JSON escapes `{__extn: {fn, arg}}` and `{__entity: {type, id}}`.
 */
export type FactValue =
  | boolean
  | number
  | bigint
  | string
  | readonly FactValue[]
  | { readonly [key: string]: FactValue }
  | typeof UNKNOWN;

export interface FactEntity {
  readonly uid: EntityUid;
  readonly attrs: { readonly [key: string]: FactValue };
  /** All ancestors, not only the direct ones, as `Type::"id"` keys (see `entityKey`). */
  readonly ancestors: ReadonlySet<string>;
  readonly tags?: { readonly [key: string]: FactValue };
}

/** Facts of one request. `entities` answers undefined for an entity without attributes or parents. */
export interface DecisionRequest {
  readonly principal: EntityUid;
  readonly action: EntityUid;
  readonly resource: EntityUid | typeof UNKNOWN;
  readonly context: { readonly [key: string]: FactValue } | typeof UNKNOWN;
  readonly entities: (key: string) => FactEntity | undefined;
  /** The call carries out more than its manifest says: it is judged as one of `Action::"egress"`, whatever the tool. */
  readonly egress?: true;
}

/** What every relevant policy said about one request. Ids are `@id`s, sorted. */
export interface Judgement {
  /** Permits that apply. */
  readonly permits: readonly string[];
  /** Forbids that apply. */
  readonly forbids: readonly string[];
  readonly errors: readonly { readonly policy: string; readonly message: string }[];
  /** Policies that could not be decided because they read an UNKNOWN. */
  readonly unknownPermits: readonly string[];
  readonly unknownForbids: readonly string[];
}

/** `@approval("2 of finance excluding owner")`, parsed. */
export interface ApprovalRule {
  readonly rule: string;
  readonly quorum: number;
  readonly group: string;
  readonly excluding: readonly string[];
  readonly because: string;
}

/** The verdict over all resources of a call, after the approval overlay. */
export type Decision =
  | { readonly verdict: 'permit'; readonly policies: readonly string[] }
  | {
      readonly verdict: 'deny';
      /** Forbids or erring policies that decided; empty when nothing permits. Of `on_facts`: those that may have. */
      readonly policies: readonly string[];
      readonly reason: 'no_permit' | 'forbidden' | 'policy_error' | 'on_facts';
      /** `@because` of the deciding policies, where they carry one. */
      readonly because: readonly string[];
    }
  | {
      readonly verdict: 'hold';
      readonly policies: readonly string[];
      readonly asks: readonly ApprovalRule[];
    };

/** The compiled policies of a bundle. */
export interface PolicySet {
  /** Judges one request by the policies whose scope can match its action. */
  judge(request: DecisionRequest): Judgement;
  readonly approvals: ReadonlyMap<string, ApprovalRule>;
  readonly because: ReadonlyMap<string, string>;
}

/** An ask with how many valid votes it has, as people and callers see it. */
export type CountedAsk = ApprovalAsk;
