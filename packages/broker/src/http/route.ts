// The shape of one HTTP route: who may use it, what it takes, what it answers. Everything else follows from it.

import type { IncomingHttpHeaders } from 'node:http';
import type { JsonObject } from '@countersign/contract/json.ts';
import { type Problem, type ProblemCode, problem } from '@countersign/contract/problem.ts';
import type { PersonRole } from '@countersign/contract/wire-principals.ts';
import type { Activation } from '#admin/bundle.ts';
import type { Viewer } from '#admin/calls.ts';
import type { Result } from '#admin/result.ts';
import type { World } from '#call/world.ts';
import type { SealedStore } from '#credentials/sealed/sealed-store.ts';
import type { TokenIssuer, TokenKeeper } from '#identity/create-identity.ts';
import type { Presented } from '#identity/identity.ts';
import type { Provider } from '#identity/people/provider.ts';
import type { Agent, Orchestrator, Person, Principal } from '#rules/principal.ts';
import type { AnswerSchema } from './answer-schemas.ts';
import type { Deeds } from './deeds.ts';
import type { ShownSession } from './people/identify.ts';
import type { RequestSchema } from './request-schemas.ts';

/** Kinds of principal, or roles of people (`person`: whatever the roles); a route is for every principal that one of them fits. */
export type Grantee = 'agent' | 'orchestrator' | 'person' | PersonRole;

/** What routes reach: the world, the functions of lower floors, the token endpoint's issuer and the sealed store. */
export interface Reach {
  readonly world: World;
  readonly deeds: Deeds;
  readonly tokens: TokenIssuer & TokenKeeper;
  readonly activation: Activation;
  readonly provider: Provider;
  readonly sealed: SealedStore;
  /** The whole table, for the route that describes it. */
  readonly routes: () => readonly Route[];
  /** True when the broker can serve calls. */
  readonly ready: () => Promise<boolean>;
  /** Aborts when the server closes: whoever waits answers what it has. */
  readonly closing: AbortSignal;
}

/** A request whose caller is known and whose parts fit their schemas. */
export interface Asking {
  readonly reach: Reach;
  /** Null on open routes only. */
  readonly principal: Principal | null;
  /** The run that an agent's token is for. */
  readonly run_id: string | null;
  /** What the request presented; null on open routes, and where a person's session speaks. */
  readonly presented: Presented | null;
  /** Where a person's session speaks instead of a token. */
  readonly session: ShownSession | null;
  /** Of the connection that the request came over. */
  readonly address: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string | number>>;
  readonly headers: IncomingHttpHeaders;
  /** Fits the route's request schema; a form on the token route; undefined where there is none. */
  readonly body: unknown;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Answered =
  | Answer
  | { readonly problem: Problem; readonly headers?: Readonly<Record<string, string>> };

export interface Route {
  /** `operationId` of OpenAPI. */
  readonly id: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** OpenAPI path template. */
  readonly path: string;
  readonly summary: string;
  readonly who: 'anyone' | readonly Grantee[];
  /** Open also with a token that carries less than its agent may: what is answered heeds that. */
  readonly narrowed?: true;
  /** Query parameters by name: schemas of a string or an integer. */
  readonly query?: Readonly<Record<string, JsonObject>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?:
    | { readonly schema: RequestSchema; readonly optional?: true }
    | { readonly form: JsonObject };
  /** Status → schema of the body. */
  readonly answers: Readonly<Record<number, AnswerSchema>>;
  /** Codes beside those that any route may answer. */
  readonly problems?: readonly ProblemCode[];
  readonly handle: (asking: Asking) => Promise<Answered> | Answered;
}

/** Problems of every guarded route; OpenAPI lists them with each. */
export const guardedProblems: readonly ProblemCode[] = [
  'invalid_request',
  'unauthenticated',
  'forbidden',
  'agent_suspended',
  'unavailable',
  'internal',
];

/** True when the route is for this principal. */
export function mayUse(route: Route, principal: Principal): boolean {
  if (route.who === 'anyone') return true;
  if (principal.kind === 'agent' && principal.narrowed !== undefined && route.narrowed !== true) return false;
  if (route.who.includes(principal.kind)) return true;
  if (principal.kind !== 'person') return false;
  return principal.roles.some((role) => (route.who as readonly Grantee[]).includes(role));
}

/** What a principal of the wrong kind is told: nothing about what lies behind the route. */
export function notForYou(route: Route): Problem {
  const grantees = route.who === 'anyone' ? [] : route.who;
  const isKind = (each: Grantee) => each === 'agent' || each === 'orchestrator' || each === 'person';
  const roles = grantees.filter((each) => !isKind(each));
  const kinds = grantees.filter(isKind).map((each) => (each === 'person' ? 'people' : `${each}s`));
  if (roles.length > 0) kinds.push(`people who are ${roles.join(', ')}`);
  return problem('forbidden', `This is for ${kinds.join(' and ')}.`);
}

/** The answer of a function behind the door, under a name where it is a list. */
export function answer<T>(
  result: Result<T>,
  shape: (value: T) => unknown = (value) => value,
  status = 200,
): Answered {
  return result.ok ? { status, body: shape(result.value) } : { problem: result.problem };
}

// INVARIANT: the server has compared the principal with `who` before a handler runs; these only tell the compiler.

export function agentOf({ principal }: Asking): Agent {
  if (principal?.kind !== 'agent') throw new Error('a route for agents ran for somebody else');
  return principal;
}

export function orchestratorOf({ principal }: Asking): Orchestrator {
  if (principal?.kind !== 'orchestrator') throw new Error('a route for orchestrators ran for somebody else');
  return principal;
}

export function personOf({ principal }: Asking): Person {
  if (principal?.kind !== 'person') throw new Error('a route for people ran for somebody else');
  return principal;
}

export function principalOf({ principal }: Asking): Principal {
  if (principal === null) throw new Error('a guarded route ran without a principal');
  return principal;
}

export function presentedOf({ presented }: Asking): Presented {
  if (presented === null) throw new Error('a guarded route ran without a token');
  return presented;
}

export function viewerOf(asking: Asking): Viewer {
  return { principal: principalOf(asking), run_id: asking.run_id };
}
