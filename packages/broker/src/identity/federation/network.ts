// What federation reaches the network through; built where addresses are checked, handed in by main.ts.

/** Every address of an issuer is asked through this, so that none escapes what its entry allows. */
export interface IssuerNetwork {
  /** Why an address that an issuer named is not used, or null. */
  refuse(url: string): string | null;
  /** A GET, bounded in time and size, that follows no redirect; rejects without a word of what was answered. */
  send(url: string): Promise<Response>;
  close(): Promise<void>;
}
