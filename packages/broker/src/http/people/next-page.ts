// Where a browser goes after a log-in: one of our own pages by name, never an address that a request brought.

const PAGES = /^\/(?:me|passkeys|device(?:\?user_code=[A-Z]{4}-[A-Z]{4})?)$/;

export const HOME = '/me';

/** The page that was asked for, if it is one of ours; else the page about oneself. */
export function nextPage(asked: unknown): string {
  return typeof asked === 'string' && PAGES.test(asked) ? asked : HOME;
}
