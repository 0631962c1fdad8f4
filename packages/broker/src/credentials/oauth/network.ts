// What the OAuth client reaches the network through; built where addresses are checked, handed in by main.ts.

/** Every request of the room goes through this, so that no discovered address escapes the connector's limits. */
export interface OauthNetwork {
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
