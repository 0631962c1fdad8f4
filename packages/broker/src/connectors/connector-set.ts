// The running connectors of the bundle in force: unchanged ones stay, new ones start, gone ones end after a grace.
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Bundle, ConnectorSpec } from '#bundle/bundle.ts';
import type { Connector } from './connector.ts';
import type { ConnectorDeps } from './connector-deps.ts';

interface Running {
  readonly spec: string;
  readonly connector: Connector;
}

/** What mints a connector's own credential; of the bundle that the connector was started for. */
export interface ConnectionCredentials {
  readonly forConnection: ConnectorDeps['connectionCredential'];
  readonly refused: NonNullable<ConnectorDeps['credentialRefused']>;
}

type Create = (spec: ConnectorSpec, credentials: ConnectionCredentials) => Promise<Connector>;

/** Calls that were admitted under the old bundle get this long to finish on its connectors. */
const GRACE_MS = 30_000;

export class ConnectorSet {
  readonly #create: Create;
  #running: ReadonlyMap<string, Running> = new Map();
  /** By the connectors of a bundle, which it shares with its copies in which statuses differ. */
  readonly #of = new WeakMap<Bundle['connectors'], ReadonlyMap<string, Running>>();
  readonly #ending = new Map<Connector, NodeJS.Timeout>();

  constructor(create: Create) {
    this.#create = create;
  }

  /** The connector that a bundle's calls use, also while a newer bundle is in force already. */
  get(bundle: Bundle, name: string): Connector | undefined {
    return this.#of.get(bundle.connectors)?.get(name)?.connector;
  }

  /**
   * Readies the connectors of a bundle beside those that run. `commit` puts them in force; `abandon` closes what
   * was started for nothing. Rejects, with nothing left running, when a connector refuses its options.
   */
  async prepare(
    bundle: Bundle,
    credentials: ConnectionCredentials,
  ): Promise<{ commit: () => void; abandon: () => Promise<void> }> {
    const started: Connector[] = [];
    const abandon = async (): Promise<void> => {
      await Promise.all(started.map((connector) => connector.close()));
    };
    const ready = await Promise.allSettled(
      [...bundle.connectors.values()].map(async (spec): Promise<[string, Running]> => {
        // How much of it may be used at once is asked before it: a change of that leaves it running.
        const { flow: _, ...reached } = spec;
        const text = canonicalize(reached as unknown as JsonObject);
        const same = this.#running.get(spec.name);
        if (same?.spec === text) return [spec.name, same];
        const connector = await this.#create(spec, credentials);
        started.push(connector);
        return [spec.name, { spec: text, connector }];
      }),
    );
    const next = new Map<string, Running>();
    for (const each of ready) {
      if (each.status === 'rejected') {
        await abandon();
        throw each.reason;
      }
      next.set(...each.value);
    }
    const commit = (): void => {
      for (const [name, old] of this.#running) if (next.get(name) !== old) this.#endLater(old.connector);
      this.#running = next;
      this.#of.set(bundle.connectors, next);
    };
    return { commit, abandon };
  }

  /** Closes everything at once. */
  async close(): Promise<void> {
    const connectors = [...this.#running.values()].map((each) => each.connector);
    for (const [connector, timer] of this.#ending) {
      clearTimeout(timer);
      connectors.push(connector);
    }
    this.#running = new Map();
    this.#ending.clear();
    await Promise.all(connectors.map((connector) => connector.close()));
  }

  #endLater(connector: Connector): void {
    const timer = setTimeout(() => {
      this.#ending.delete(connector);
      void connector.close();
    }, GRACE_MS);
    timer.unref();
    this.#ending.set(connector, timer);
  }
}
