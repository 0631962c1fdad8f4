// How people log in, how long they stay, and who may take a role in an emergency: as the settings say.
import type { PersonRole } from '@countersign/contract/wire-principals.ts';

/** The identity provider with which people log in. */
export interface LoginSettings {
  readonly issuer: string;
  readonly client_id: string;
  /** References; both null: a public client. */
  readonly client_secret: string | null;
  readonly client_key: string | null;
  readonly scopes: readonly string[];
  /** Names of claims. */
  readonly person: string;
  readonly display_name: string;
  readonly groups: string;
  readonly groups_ttl_ms: number;
  readonly allow_private: boolean | readonly string[];
  readonly roles: readonly RoleRule[];
}

/** What one of the provider's groups means here. */
export interface RoleRule {
  readonly group: string;
  readonly roles: readonly PersonRole[];
  readonly groups: readonly string[];
  readonly tenant: string;
}

export interface PeopleSettings {
  readonly login: LoginSettings | null;
  readonly sessions: { readonly idle_ms: number; readonly max_ms: number; readonly cli_ms: number };
  readonly break_glass: {
    readonly people: readonly string[];
    readonly groups: readonly string[];
    readonly roles: readonly PersonRole[];
    readonly max_ms: number;
  };
}
