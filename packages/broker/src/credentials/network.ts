// What this room reaches the network through; built where addresses are checked, handed in by main.ts.

/** What a credential block says about the addresses of its issuer. */
export interface NetworkRules {
  /** Whether private and loopback addresses may be dialled: all, or those listed. */
  readonly allow_private: boolean | readonly string[];
  /** Certificates (PEM) of the authorities that are believed instead of the usual ones. */
  readonly ca?: string;
}

/** Every request of the room goes through this, so that no address escapes the connector's limits. */
export interface CheckedNetwork {
  /** Why an address that a server named is not used, or null. */
  refuse(url: string): string | null;
  /** Bounded in time and size; follows no redirect; rejects without a word of what was sent. */
  send(
    url: string,
    what?: {
      readonly method?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string | URLSearchParams | null | undefined;
      readonly head_only?: boolean;
    },
  ): Promise<Response>;
  close(): Promise<void>;
}
