// Whether somebody logged in a short time ago: what lasts longer than the session itself asks for that.
import type { StoredSession } from '#store/sessions.ts';

const FRESH_MS = 600_000;

export function isFresh(
  { authenticated_at_ms }: Pick<StoredSession, 'authenticated_at_ms'>,
  now_ms: number,
): boolean {
  return now_ms - authenticated_at_ms <= FRESH_MS;
}
