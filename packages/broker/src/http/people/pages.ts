// What people's pages say: log in, who am I, confirm a command line, passkeys. Text alone; no deed happens here.

import type { Person } from '#rules/principal.ts';
import type { DeviceCode } from '#store/device-codes.ts';
import type { StoredPasskey } from '#store/passkeys.ts';
import type { StoredSession } from '#store/sessions.ts';
import { type Html, html, pageOf } from './html.ts';
import { HOME } from './next-page.ts';

const SAID = html`<p id="said" role="status" aria-live="polite"></p>`;

export function loginPage(provider: boolean, next: string): string {
  const start = `/login/start?next=${encodeURIComponent(next)}`;
  const choice = provider
    ? html`<p><a class="button" href="${start}">Continue with your organisation</a></p>`
    : null;
  return pageOf(
    'Log in',
    html`${choice}
<p><button type="button" data-passkey="log-in" data-next="${next}">Use a passkey</button></p>
${SAID}
<p>No passkey yet? Ask an admin for a link, or run <code>countersign people invite YOUR-NAME</code>.</p>`,
    true,
  );
}

export function tenantsPage(tenants: readonly string[], next: string): string {
  const links = tenants.map((tenant) => {
    const address = `/login/start?tenant=${encodeURIComponent(tenant)}&next=${encodeURIComponent(next)}`;
    return html`<li><a href="${address}">${tenant}</a></li>`;
  });
  return pageOf('Where to?', html`<p>You have roles in several places.</p><ul>${links}</ul>`);
}

export function mePage(person: Person, session: StoredSession, csrf: string): string {
  const until = new Date(session.expires_at_ms).toISOString().slice(0, 16).replace('T', ' ');
  const glass =
    person.break_glass === undefined
      ? null
      : html`<p class="warning">You hold a role taken in an emergency (${person.break_glass}).</p>`;
  return pageOf(
    'You are logged in',
    html`${glass}
<dl>
<dt>Name</dt><dd>${person.display_name} (${person.name})</dd>
<dt>Tenant</dt><dd>${person.tenant}</dd>
<dt>Roles</dt><dd>${person.roles.join(', ') || 'none'}</dd>
<dt>Groups</dt><dd>${person.groups.join(', ') || 'none'}</dd>
<dt>Until</dt><dd>${until} UTC</dd>
</dl>
<p><a href="/passkeys">Passkeys</a></p>
<form method="post" action="/logout">${hidden('csrf', csrf)}<button>Log out</button></form>`,
  );
}

export function loggedOutPage(): string {
  return pageOf('You are logged out', html`<p><a class="button" href="/login">Log in</a></p>`);
}

/** One text for every reason: what went wrong stands in the log. */
export function failedPage(): string {
  return pageOf(
    'The log-in did not succeed',
    html`<p>Nothing was changed. You may lack a role here, or the log-in was begun in another window or too long ago.</p>
<p><a class="button" href="/login">Begin again</a></p>`,
  );
}

export function elsewherePage(): string {
  return pageOf(
    'Not over this connection',
    html`<p>People log in over https, or on the machine itself. Set <code>public_url</code> to an https address.</p>`,
  );
}

export function devicePage(csrf: string, code: string, told: string | null): string {
  const said = told === null ? null : html`<p class="warning" role="alert">${told}</p>`;
  return pageOf(
    'Let a command line act for you',
    html`${said}
<p>Type the code that <code>countersign login</code> shows in your terminal.</p>
<form method="post" action="/device">${hidden('csrf', csrf)}
<label for="user_code">Code</label>
<input type="text" id="user_code" name="user_code" value="${code}" required autocomplete="off" autocapitalize="characters" spellcheck="false" maxlength="12">
<button>Go on</button>
</form>`,
  );
}

export function confirmPage(
  person: Person,
  csrf: string,
  code: string,
  asked: DeviceCode,
  now_ms: number,
): string {
  const minutes = Math.max(0, Math.round((now_ms - asked.created_at_ms) / 60_000));
  const again = html`${hidden('csrf', csrf)}${hidden('user_code', code)}`;
  return pageOf(
    'Is this yours?',
    html`<p>A command line asks to act as <strong>${person.name}</strong> with all your roles: ${person.roles.join(', ')}.</p>
<p class="warning">Confirm only if you started <code>countersign login</code> yourself, just now, and your own terminal shows
exactly this code. If somebody sent you this link or code, it is an attack: refuse.</p>
<dl>
<dt>Code</dt><dd><code class="code">${code}</code></dd>
<dt>Asked from</dt><dd>${asked.asked_from}</dd>
<dt>Asked</dt><dd>${minutes === 0 ? 'less than a minute ago' : `${minutes} min ago`}</dd>
</dl>
<form method="post" action="/device/decide">${again}
<button name="decision" value="deny">Refuse</button>
<button name="decision" value="confirm">Yes, I started it: confirm</button>
</form>`,
  );
}

export function decidedPage(confirmed: boolean): string {
  return confirmed
    ? pageOf('Confirmed', html`<p>Your command line is logged in. You may close this window.</p>`)
    : pageOf('Refused', html`<p>Nobody got access. If you did not start this, tell an admin.</p>`);
}

export function passkeysPage(keys: readonly StoredPasskey[], csrf: string, fresh: boolean): string {
  const listed = keys.map((key) => html`<li>${key.label}, since ${dayOf(key.created_at_ms)}</li>`);
  const list: Html = keys.length === 0 ? html`<p>You have none yet.</p>` : html`<ul>${listed}</ul>`;
  if (!fresh)
    return pageOf(
      'Passkeys',
      html`${list}<p>To add one, log in anew first: this session is older than ten minutes.</p>
<p><a class="button" href="/login?again=1&amp;next=%2Fpasskeys">Log in anew</a></p>`,
    );
  return pageOf('Passkeys', html`${list}${registerForm(csrf)}<p><a href="${HOME}">Back</a></p>`, true);
}

export function invitedPage(): string {
  return pageOf(
    'Register your passkey',
    html`<p>You were given this link to register a passkey of your own. It works once.</p>${registerForm('')}`,
    true,
  );
}

function registerForm(csrf: string): Html {
  return html`<label for="label">Name of this device</label>
<input type="text" id="label" maxlength="64" value="My device" autocomplete="off">
<button type="button" data-passkey="register" data-csrf="${csrf}">Add a passkey</button>
${SAID}`;
}

function hidden(name: string, value: string): Html {
  return html`<input type="hidden" name="${name}" value="${value}">`;
}

function dayOf(at_ms: number): string {
  return new Date(at_ms).toISOString().slice(0, 10);
}
