// The way to the identity provider and back: what this browser began is kept here, and taken once.
import type { JsonObject } from '@countersign/contract/json.ts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { logIn } from '#admin/log-in.ts';
import type { Opened } from '#admin/sessions.ts';
import type { World } from '#call/world.ts';
import type { Provider, ProviderPending } from '#identity/people/provider.ts';
import { newSecret, secretDigest } from '#identity/people/secrets.ts';
import { keepCeremony, takeCeremony } from '#store/ceremonies.ts';
import { Allowance } from './allowance.ts';
import { type CookiePlace, readCookie, setCookie } from './cookies.ts';
import { nextPage } from './next-page.ts';
import { failedPage, tenantsPage } from './pages.ts';
import { sendPage } from './send-page.ts';

const BEGUN_MS = 600_000;

interface Begun {
  readonly pending: ProviderPending;
  readonly next: string;
  readonly tenant: string | null;
}

export interface ProviderPages {
  start(request: FastifyRequest, reply: FastifyReply, place: CookiePlace): Promise<FastifyReply>;
  /** A session and where to go; null: the answer has been sent. */
  callback(
    request: FastifyRequest,
    reply: FastifyReply,
    place: CookiePlace,
  ): Promise<{ readonly opened: Opened; readonly next: string } | null>;
}

export function providerPages(world: World, provider: Provider): ProviderPages {
  // A whole office may share an address; what it fills the store with is forgotten after ten minutes.
  const starts = new Allowance({ per_s: 5, burst: 100 });
  const failed = (reply: FastifyReply, why: string): FastifyReply => {
    world.log.warn('a log-in of a person failed', { why });
    return sendPage(reply, failedPage(), 400);
  };
  return {
    async start(request, reply, place) {
      const { login } = world.bundle().settings.people;
      const now = world.clock.now();
      if (login === null) return failed(reply, 'the settings name no provider');
      if (!starts.take(request.ip, now)) return failed(reply, 'too many from one address');
      const { next, tenant } = request.query as Record<string, unknown>;
      const secret = newSecret(world.random);
      try {
        const { url, pending } = await provider.begin(login, `${place.origin}/login/callback`);
        const begun: Begun = {
          pending,
          next: nextPage(next),
          tenant: typeof tenant === 'string' ? tenant : null,
        };
        const data = begun as unknown as JsonObject;
        await world.store.write((tx) =>
          keepCeremony(tx, 'provider', secretDigest(secret), data, now + BEGUN_MS),
        );
        // The address of the provider comes from its own metadata, checked; nothing of the request is in it.
        return reply
          .header('set-cookie', setCookie(place, place.begun, secret, BEGUN_MS / 1000))
          .redirect(url, 303);
      } catch (error) {
        return failed(reply, (error as Error).message);
      }
    },
    async callback(request, reply, place) {
      const { login } = world.bundle().settings.people;
      const secret = readCookie(request.headers, place.begun);
      if (login === null || secret === null) {
        failed(reply, 'this browser began no log-in');
        return null;
      }
      const begun = await world.store.write((tx) =>
        takeCeremony<Begun>(tx, 'provider', secretDigest(secret), world.clock.now()),
      );
      if (begun === undefined) {
        failed(reply, 'the log-in was ended before, or too long ago');
        return null;
      }
      const { searchParams } = new URL(request.url, place.origin);
      try {
        const claims = await provider.finish(login, begun.pending, searchParams);
        const done = await logIn(world, login, claims, begun.tenant);
        if (done.kind === 'in') return { opened: done.opened, next: begun.next };
        if (done.kind === 'choose') sendPage(reply, tenantsPage(done.tenants, begun.next));
        else failed(reply, done.why);
      } catch (error) {
        failed(reply, (error as Error).message);
      }
      return null;
    },
  };
}
