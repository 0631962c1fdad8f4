// Compiles the scope of a policy: tests on principal and resource, and which actions it can match.
import type { Evaluate, Frame } from './cedar-frame.ts';
import { CedarUnsupported, entityIn, fieldsOf, typeNameIn } from './cedar-node.ts';
import { isOfType } from './cedar-operators.ts';
import type { Value } from './cedar-value.ts';
import { type EntityRef, entityKey } from './cedar-value.ts';
import { UNKNOWN } from './decision.ts';

type Variable = (frame: Frame) => EntityRef | typeof UNKNOWN;

/** Which actions a policy's scope matches: one exactly, or any of (or below) the listed ones. */
export type ActionScope =
  | { readonly op: 'all' }
  | { readonly op: '=='; readonly key: string }
  | { readonly op: 'in'; readonly keys: readonly string[] };

/** The test of `principal` or `resource`; undefined where the scope leaves it open. Never errs. */
export function compileScope(json: unknown, variable: Variable): Evaluate | undefined {
  switch (operatorOf(json)) {
    case 'All':
      fieldsOf(json, ['op']);
      return undefined;
    case '==': {
      const key = keyIn(fieldsOf(json, ['op', 'entity']).entity);
      return (frame) => onKnown(variable(frame), (ref) => ref.key === key);
    }
    case 'in': {
      const key = keyIn(fieldsOf(json, ['op', 'entity']).entity);
      return (frame) => onKnown(variable(frame), (ref) => frame.isIn(ref, key));
    }
    case 'is':
      return compileIsScope(json, variable);
    default:
      throw new CedarUnsupported(`the scope ${JSON.stringify(json)}`);
  }
}

function compileIsScope(json: unknown, variable: Variable): Evaluate {
  const { entity_type, in: ancestor } = fieldsOf(json, ['op', 'entity_type'], ['in']);
  const type = typeNameIn(entity_type);
  if (ancestor === undefined) return (frame) => isOfType(variable(frame), type);
  const key = keyIn(fieldsOf(ancestor, ['entity']).entity);
  return (frame) => onKnown(variable(frame), (ref) => ref.type === type && frame.isIn(ref, key));
}

export function compileActionScope(json: unknown): ActionScope {
  switch (operatorOf(json)) {
    case 'All':
      fieldsOf(json, ['op']);
      return { op: 'all' };
    case '==':
      return { op: '==', key: keyIn(fieldsOf(json, ['op', 'entity']).entity) };
    case 'in': {
      const { entity, entities } = fieldsOf(json, ['op'], ['entity', 'entities']);
      if (entity !== undefined && entities === undefined) return { op: 'in', keys: [keyIn(entity)] };
      if (entity === undefined && Array.isArray(entities)) return { op: 'in', keys: entities.map(keyIn) };
      break;
    }
    default:
  }
  throw new CedarUnsupported(`the action scope ${JSON.stringify(json)}`);
}

function operatorOf(json: unknown): unknown {
  return typeof json === 'object' && json !== null ? (json as { op?: unknown }).op : undefined;
}

function keyIn(json: unknown): string {
  return entityKey(entityIn(json));
}

function onKnown(ref: EntityRef | typeof UNKNOWN, test: (ref: EntityRef) => boolean): Value {
  return ref === UNKNOWN ? UNKNOWN : test(ref);
}
