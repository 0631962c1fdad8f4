// What the run asks of an upstream: to be reached through a fault proxy, and to say past it what was done.

/** One thing that was done, as the upstream itself tells it. */
export interface Deed {
  readonly upstream: string;
  /** The call that asked for it. */
  readonly call_id: string;
  /** What its caller named it by: the idempotency key, which goes along as an argument. */
  readonly note: string;
}

export interface Upstream {
  readonly name: string;
  /** What disturbs it, by kind. */
  readonly faults: { readonly counts: ReadonlyMap<string, number>; calm(): void };
  /** Waits for what is still on its way, then asks the upstream past the proxy. */
  deeds(): Promise<readonly Deed[]>;
  stop(): Promise<void>;
}
