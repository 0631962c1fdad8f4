// What a policy reads while it runs: the variables of one request, and its entities.
import type { RecordValue, Value } from './cedar-value.ts';
import { EntityRef } from './cedar-value.ts';
import type { DecisionRequest, FactEntity } from './decision.ts';
import { UNKNOWN } from './decision.ts';

/** Ancestors of actions by key. What stands here is not asked of `DecisionRequest.entities`. */
export type ActionAncestors = ReadonlyMap<string, ReadonlySet<string>>;

/** One request under judgement. Made once per request, shared by all policies. */
export class Frame {
  readonly request: DecisionRequest;
  readonly principal: EntityRef;
  readonly action: EntityRef;
  readonly resource: EntityRef | typeof UNKNOWN;
  readonly context: RecordValue | typeof UNKNOWN;
  private readonly actionAncestors: ActionAncestors;
  private readonly principalFacts: FactEntity | undefined;
  private readonly principalAncestors: ReadonlySet<string> | undefined;

  constructor(request: DecisionRequest, actionAncestors: ActionAncestors) {
    this.request = request;
    this.actionAncestors = actionAncestors;
    this.principal = new EntityRef(request.principal.type, request.principal.id);
    this.action = new EntityRef(request.action.type, request.action.id);
    this.resource =
      request.resource === UNKNOWN ? UNKNOWN : new EntityRef(request.resource.type, request.resource.id);
    this.context = request.context;
    // Nearly every policy asks for the principal's roles, so they are found once.
    this.principalFacts = request.entities(this.principal.key);
    this.principalAncestors = actionAncestors.get(this.principal.key) ?? this.principalFacts?.ancestors;
  }

  /** The facts of an entity; undefined when there are none, which is not an error by itself. */
  entity(ref: EntityRef): FactEntity | undefined {
    return ref === this.principal ? this.principalFacts : this.request.entities(ref.key);
  }

  /** Whether `ref` is the entity of key `ancestor` or below it. */
  isIn(ref: EntityRef, ancestor: string): boolean {
    if (ref.key === ancestor) return true;
    if (ref === this.principal) return this.principalAncestors?.has(ancestor) ?? false;
    const ancestors = this.actionAncestors.get(ref.key) ?? this.entity(ref)?.ancestors;
    return ancestors?.has(ancestor) ?? false;
  }
}

/** A compiled expression. Throws CedarError where Cedar would err. */
export type Evaluate = (frame: Frame) => Value;
