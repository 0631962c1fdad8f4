// How a run, its agent, a tool and the bundle stand: what admission looks at once more, remembered by the one writer.
import type { StoredStatus } from './statuses.ts';
import type { Tx } from './tx.ts';

export interface Standing {
  readonly labels_version: number;
  readonly ended_at_ms: number | null;
  /** Id of a halt in force that covers the run, its agent, the tool or its connector. */
  readonly halt: string | null;
  /** What people have set for the agent beside the bundle; null: nothing, or the call undoes another. */
  readonly agent_status: StoredStatus['status'] | null;
  /** Revision of the bundle activated last; null before the first. */
  readonly revision: string | null;
}

export interface Subject {
  readonly tenant: string;
  readonly run: string;
  readonly agent: string;
  readonly tool: string;
  /** Behind the tool, as the bundle that judged the call has it. */
  readonly connector: string;
  /** The call undoes another: halts of the agent and of the run do not cover it, nor does a suspension. */
  readonly undo: boolean;
}

/** Standings kept; beyond this all are forgotten and read again. */
const STANDINGS_MAX = 10_000;

/** A run, and the runs that it was opened under. */
const RUNS_ABOVE = `with recursive above (id, parent) as (
    select r.id, r.parent_run_id from runs r where r.id = ?
    union select r.id, r.parent_run_id from runs r join above on r.id = above.parent)
  select id from above`;
const STANDING = `select labels_version, ended_at_ms,
    (select h.id from halts h where h.lifted_at_ms is null and (h.scope = 'everything' or
      ((h.tenant is null or h.tenant = ?) and (h.scope = 'tenant' or (h.scope = 'agent' and h.target = ?)
        or (h.scope = 'tool' and h.target = ?) or (h.scope = 'connector' and h.target = ?)
        or (h.scope = 'run' and h.target in (${RUNS_ABOVE}))))) limit 1) as halt,
    (select s.status from statuses s where s.tenant = ? and s.principal = ?) as agent_status,
    (select revision from activations order by number desc limit 1) as revision
  from runs where id = ? and tenant = ?`;

/** How they stand right now; undefined when the tenant has no such run. */
export function standingOf(tx: Tx, subject: Subject): Promise<Standing | undefined> {
  const { tenant, run, agent, tool, connector, undo } = subject;
  const covered = undo ? { agent: '', run: '' } : { agent, run };
  const values = [
    ...[tenant, covered.agent, tool, connector, covered.run],
    ...[tenant, covered.agent, run, tenant],
  ];
  return tx.get<Standing & object>(STANDING, ...values);
}

/**
 * INVARIANT: one process writes the store, and its writer forgets all standings after every unit of work that may have
 * changed one, and whenever a transaction is rolled back. So a remembered standing is the one in the store.
 */
export class Standings {
  readonly #known = new Map<string, Standing>();

  async of(tx: Tx, subject: Subject): Promise<Standing | undefined> {
    const { tenant, run, agent, tool, connector, undo } = subject;
    const key = `${tenant}\n${run}\n${agent}\n${tool}\n${connector}${undo ? '\nundo' : ''}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const standing = await standingOf(tx, subject);
    if (standing === undefined) return undefined;
    if (this.#known.size >= STANDINGS_MAX) this.#known.clear();
    this.#known.set(key, standing);
    return standing;
  }

  forget(): void {
    this.#known.clear();
  }
}
