// Builds the HTTP server from the route table: guard, caller, body, checks, handler, answer, in this order.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Issue, problem } from '@countersign/contract/problem.ts';
import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from 'fastify';
import type { Activation } from '#admin/bundle.ts';
import type { World } from '#call/world.ts';
import type { SealedStore } from '#credentials/sealed/sealed-store.ts';
import type { TokenIssuer, TokenKeeper } from '#identity/create-identity.ts';
import type { Presented } from '#identity/identity.ts';
import type { Provider } from '#identity/people/provider.ts';
import type { Principal } from '#rules/principal.ts';
import { nameRequests } from './bare-door.ts';
import { NOTHING_HERE } from './call-routes.ts';
import { compileChecks } from './check-request.ts';
import type { Deeds } from './deeds.ts';
import { guardRequest } from './guard-request.ts';
import { identifyPerson, presentedSession, type ShownSession } from './people/identify.ts';
import { servePages } from './people/serve-pages.ts';
import { mayUse, notForYou, type Reach, type Route } from './route.ts';
import { problemOf, refuseSocket, SECURITY_HEADERS, sendJson, sendProblem } from './send-answer.ts';
import { acceptStrictJson } from './strict-json.ts';
import { acceptForms, sendOAuthFailure } from './token-form.ts';

const HEADERS_BYTES_MAX = 16_384;
const REQUEST_TIMEOUT_MS = 30_000;
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

export interface ServerOptions {
  /** The token endpoint and the keys behind it. */
  readonly tokens: TokenIssuer & TokenKeeper;
  readonly activation: Activation;
  /** Where people log in, when the settings name a provider. */
  readonly provider: Provider;
  readonly sealed: SealedStore;
  /** True when calls can be served: the store answers. */
  readonly ready: () => Promise<boolean>;
}

interface Asker {
  readonly principal: Principal;
  readonly run_id: string | null;
  readonly presented: Presented | null;
  readonly session: ShownSession | null;
}

/**
 * The server with every route of the table, not listening yet. Other doors may register on it before it listens:
 * the guard of Host, Origin and headers holds for them too; bodies they parse themselves, in a scope of their own.
 */
export function serveHttp(
  world: World,
  routes: readonly Route[],
  deeds: Deeds,
  options: ServerOptions,
): FastifyInstance {
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    bodyLimit: world.bundle().settings.limits.body_bytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: 256 },
    http: { maxHeaderSize: HEADERS_BYTES_MAX, headersTimeout: REQUEST_TIMEOUT_MS, requireHostHeader: false },
    genReqId: nameRequests(world.random),
    clientErrorHandler: refuseSocket,
    frameworkErrors: (error, request, reply) => {
      reply.headers(SECURITY_HEADERS);
      return sendProblem(reply as unknown as FastifyReply, problemOf(error, request, world), world);
    },
  });
  const closing = new AbortController();
  const reach: Reach = { world, deeds, ...options, closing: closing.signal, routes: () => routes };

  app.removeAllContentTypeParsers();
  app.server.on('checkExpectation', refuseExpectation);
  app.addHook('preClose', (done) => {
    // A connection that falls idle from now on ends, instead of holding up the close.
    app.server.keepAliveTimeout = 1;
    closing.abort();
    done();
  });
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(SECURITY_HEADERS).header('x-request-id', request.id);
    const why = guardRequest(request.raw, world.base_url());
    if (why === null) done();
    else sendProblem(reply, why, world);
  });
  app.setErrorHandler((error: FastifyError, request, reply) =>
    sendProblem(reply, problemOf(error, request, world), world),
  );
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, NOTHING_HERE, world));
  void app.register(async (scope) => {
    acceptStrictJson(scope, world);
    for (const route of routes) {
      if (route.body !== undefined && 'form' in route.body) continue;
      addRoute(scope, route, reach);
    }
    refuseOtherMethods(scope, routes, world);
  });
  servePages(app, world, options.provider);
  void app.register(async (scope) => {
    acceptForms(scope);
    scope.setErrorHandler((error: FastifyError, request, reply) =>
      sendOAuthFailure(reply, problemOf(error, request, world)),
    );
    for (const route of routes) {
      if (route.body !== undefined && 'form' in route.body) addRoute(scope, route, reach);
    }
  });
  return app;
}

function addRoute(scope: FastifyInstance, route: Route, reach: Reach): void {
  const { world } = reach;
  const checks = compileChecks(route);
  const askers = new WeakMap<FastifyRequest, Asker>();
  scope.route({
    method: route.method,
    url: route.path.replace(/\{(\w+)\}/g, ':$1'),
    // Before the body is read: a stranger learns nothing about bodies and makes us parse none.
    onRequest: (request, reply, done) => {
      if (route.who === 'anyone') return done();
      const shown = presentedSession(request.headers, world.base_url());
      if (shown !== null) {
        identifyPerson(world, shown, request.headers, route.method !== 'GET').then((identified) => {
          if (!identified.ok) return void sendProblem(reply, identified.problem, world);
          const { person: principal, session } = identified;
          if (!mayUse(route, principal)) return void sendProblem(reply, notForYou(route), world);
          askers.set(request, { principal, run_id: null, presented: null, session });
          done();
        }, done);
        return;
      }
      const { authorization, dpop } = request.headers as Record<string, string | undefined>;
      const presenting = { authorization, dpop, method: request.method, path: pathOf(request.url) };
      const authentication = world.identity.present(presenting, 'v1');
      const { headers } = authentication;
      for (let i = 0; i < headers.length; i += 2) reply.header(headers[i]!, headers[i + 1]!);
      if (!authentication.ok && !(route.id === 'performCall' && authentication.principal?.kind === 'agent')) {
        return void sendProblem(reply, authentication.problem, world);
      }
      // The walk stops the call of a suspended agent itself, and records that.
      const { principal: named, run_id } = authentication.ok
        ? authentication.caller
        : { principal: authentication.principal!, run_id: null };
      const principal = named.kind === 'person' ? world.people.withGlass(named, world.clock.now()) : named;
      if (!mayUse(route, principal)) return void sendProblem(reply, notForYou(route), world);
      askers.set(request, { principal, run_id, presented: authentication.presented, session: null });
      done();
    },
    handler: async (request, reply) => {
      const issues = checks.body(request.body ?? undefined);
      if (issues.length > 0) return sendProblem(reply, misfit('body', issues), world);
      const query = route.who === 'anyone' ? { values: {} } : checks.query(request.query);
      if ('issues' in query) return sendProblem(reply, misfit('query', query.issues), world);
      const asker = askers.get(request);
      const answered = await route.handle({
        reach,
        principal: asker?.principal ?? null,
        run_id: asker?.run_id ?? null,
        presented: asker?.presented ?? null,
        session: asker?.session ?? null,
        address: request.ip,
        params: request.params as Record<string, string>,
        query: query.values,
        headers: request.headers,
        body: request.body,
      });
      if (answered.headers !== undefined) reply.headers(answered.headers);
      if ('problem' in answered) return sendProblem(reply, answered.problem, world);
      return sendJson(reply, answered.status, answered.body);
    },
  });
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

function misfit(part: 'body' | 'query', issues: readonly Issue[]) {
  const { pointer, message } = issues[0]!;
  const where = pointer === '' ? '' : `${pointer}: `;
  return problem('invalid_request', `The ${part} does not fit: ${where}${message}.`, { issues });
}

/** 405 with `Allow` for every path of the table: the methods that it does not have. */
function refuseOtherMethods(scope: FastifyInstance, routes: readonly Route[], world: World): void {
  const byPath = new Map<string, string[]>();
  for (const { path, method } of routes) byPath.set(path, [...(byPath.get(path) ?? []), method]);
  for (const [path, allowed] of byPath) {
    const allow = allowed.join(', ');
    scope.route({
      method: METHODS.filter((method) => !allowed.includes(method)),
      url: path.replace(/\{(\w+)\}/g, ':$1'),
      // Answered before any body is read.
      onRequest: (_request, reply) => {
        sendProblem(reply.header('allow', allow), problem('method_not_allowed', `Expected ${allow}.`), world);
      },
      handler: () => {},
    });
  }
}

function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const body = JSON.stringify(problem('invalid_request', 'The Expect header asks for something unknown.'));
  response
    .writeHead(400, { ...SECURITY_HEADERS, 'content-type': 'application/problem+json', connection: 'close' })
    .end(body);
}
