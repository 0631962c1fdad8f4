// Compiles how people log in, how long they stay, and who may take a role in an emergency.
import type { JsonObject } from '@countersign/contract/json.ts';
import { referenceOf } from './connector-credential.ts';
import { parseDuration } from './duration.ts';
import type { LoginSettings, PeopleSettings, RoleRule } from './login-settings.ts';
import { hintFor } from './mistake.ts';

type Wrong = (pointer: string, message: string, hint?: string) => void;

const HOUR_MS = 3_600_000;

/** `written`: countersign.yaml, whose shape is right; `root`: the folder that references to files start from. */
export function peopleSettings(
  written: JsonObject,
  tenants: readonly string[],
  root: string,
  wrong: Wrong,
): PeopleSettings {
  const sessions = (written.sessions ?? {}) as Record<string, string>;
  const glass = (written.break_glass ?? {}) as unknown as Partial<PeopleSettings['break_glass']> & {
    readonly max?: string;
  };
  const within = (pointer: string, text: string, most_ms: number, most: string): number => {
    const ms = parseDuration(text);
    if (ms > most_ms) wrong(pointer, `expected at most ${most}`);
    return ms;
  };
  const login = written.login as JsonObject | undefined;
  return {
    login: login === undefined ? null : loginOf(login, tenants, root, wrong, within),
    sessions: {
      idle_ms: within('/sessions/idle', sessions.idle ?? '30m', 8 * HOUR_MS, '8h'),
      max_ms: within('/sessions/max', sessions.max ?? '10h', 24 * HOUR_MS, '24h'),
      cli_ms: within('/sessions/cli', sessions.cli ?? '8h', 24 * HOUR_MS, '24h'),
    },
    break_glass: {
      people: glass.people ?? [],
      groups: glass.groups ?? [],
      roles: glass.roles ?? ['operator'],
      max_ms: within('/break_glass/max', glass.max ?? '1h', 8 * HOUR_MS, '8h'),
    },
  };
}

function loginOf(
  login: JsonObject,
  tenants: readonly string[],
  root: string,
  wrong: Wrong,
  within: (pointer: string, text: string, most_ms: number, most: string) => number,
): LoginSettings {
  const { client_secret, client_key } = login;
  if (client_secret !== undefined && client_key !== undefined)
    wrong('/login/client_key', 'expected client_secret or client_key, not both');
  const reference = (key: 'client_secret' | 'client_key'): string | null =>
    login[key] === undefined ? null : referenceOf(login[key], `/login/${key}`, root, wrong);
  const scopes = (login.scopes ?? ['openid', 'profile']) as string[];
  if (!scopes.includes('openid'))
    wrong('/login/scopes', 'without openid the provider does not say who it was', 'add openid');
  const rules = login.roles as unknown as readonly (Omit<RoleRule, 'groups' | 'tenant'> &
    Partial<RoleRule>)[];
  return {
    issuer: login.issuer as string,
    client_id: login.client_id as string,
    client_secret: reference('client_secret'),
    client_key: reference('client_key'),
    scopes,
    person: (login.person ?? 'sub') as string,
    display_name: (login.display_name ?? 'name') as string,
    groups: (login.groups ?? 'groups') as string,
    groups_ttl_ms: within('/login/groups_ttl', (login.groups_ttl ?? '24h') as string, 168 * HOUR_MS, '7d'),
    allow_private: (login.allow_private ?? false) as LoginSettings['allow_private'],
    roles: rules.map(({ group, roles, groups = [], tenant = tenants[0] ?? 'default' }, index) => {
      if (!tenants.includes(tenant))
        wrong(`/login/roles/${index}/tenant`, `no tenant "${tenant}"`, hintFor(tenant, tenants));
      return { group, roles, groups, tenant };
    }),
  };
}
