// The principals of a bundle: agents, orchestrators and people, each with public keys or foreign identities only.
import type { JsonObject } from '@countersign/contract/json.ts';
import { type Problem, problem } from '@countersign/contract/problem.ts';
import type { PersonRole, PrincipalStatus } from '@countersign/contract/wire-principals.ts';
import type { FederatedIdentity } from './federation.ts';
import type { Narrowing } from './narrowing.ts';

/** `observe` = reads only, `suggest` = every write is held, `act` = policy decides. */
export type AgentMode = 'observe' | 'suggest' | 'act';
/** From the loosest to the strictest. */
const STRICTNESS: readonly PrincipalStatus[] = ['active', 'suspended', 'retired'];

/** The stricter of what the reviewed file says and what people have set beside it. */
export function stricterStatus(one: PrincipalStatus, other: PrincipalStatus): PrincipalStatus {
  return STRICTNESS.indexOf(one) > STRICTNESS.indexOf(other) ? one : other;
}

/** What a principal that is not active is told, wherever it tries. */
export function inactiveProblem({ name, status }: Pick<Principal, 'name' | 'status'>): Problem {
  return problem('agent_suspended', `"${name}" is ${status}; ask its owner.`);
}

interface PrincipalBase {
  /** Unique in the bundle; also the OAuth `client_id`. */
  readonly name: string;
  readonly tenant: string;
  readonly status: PrincipalStatus;
  /** Id of a suspension or retirement, set beside the bundle, that this reviewed file takes back. */
  readonly reinstates?: string;
  /** Public JWKs that verify the principal's client assertions. */
  readonly keys: readonly JsonObject[];
  /** How foreign issuers know the principal. */
  readonly identities: readonly FederatedIdentity[];
}

export interface Agent extends PrincipalBase {
  readonly kind: 'agent';
  /** Name of the person who answers for the agent. */
  readonly owner: string;
  readonly purpose: string;
  readonly roles: readonly string[];
  readonly mode: AgentMode;
  /** Whether its tokens must be bound to a key that it proves with each request (RFC 9449). Absent: as it likes. */
  readonly dpop?: 'optional' | 'required';
  /** Only of an agent as the token of a call shows it: what that token carries less than the agent may. */
  readonly narrowed?: Narrowing;
}

/** From the strictest to the widest. */
const MODES: readonly AgentMode[] = ['observe', 'suggest', 'act'];

/** The agent as `narrowed` shows it, through the hands of others: in the strictest mode of them all. */
export function agentThrough(agent: Agent, narrowed: Narrowing, hands: readonly Agent[]): Agent {
  const mode = MODES.find((each) => agent.mode === each || hands.some((hand) => hand.mode === each))!;
  return { ...agent, mode, narrowed };
}

/**
 * The agent as a call that undoes one of its calls is judged: an operator acts in its name, so that neither its
 * suspension nor its mode keeps what it did from being undone.
 */
export function agentUndone(agent: Agent): Agent {
  return { ...agent, mode: 'act', status: 'active' };
}

export interface Orchestrator extends PrincipalBase {
  readonly kind: 'orchestrator';
  readonly owner: string;
  readonly purpose: string;
  /** Agents it may open runs for. */
  readonly agents: readonly string[];
  /** Keys of bound context it may set. */
  readonly context: readonly string[];
}

export interface Person extends PrincipalBase {
  readonly kind: 'person';
  readonly display_name: string;
  readonly roles: readonly PersonRole[];
  readonly groups: readonly string[];
  /** Of people whom only a provider knows: which identity there. */
  readonly vouched?: string;
  /** Id of the emergency in which one of the roles was taken, while that lasts. */
  readonly break_glass?: string;
}

/** What an entry about a person's deed says more while a role was taken in an emergency. */
export function underGlass({ break_glass }: Person): { readonly break_glass?: string } {
  return break_glass === undefined ? {} : { break_glass };
}

export type Principal = Agent | Orchestrator | Person;
