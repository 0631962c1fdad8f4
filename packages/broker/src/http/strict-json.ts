// JSON bodies of a scope: one decode, by the strict reader, of bytes that are said to be JSON in UTF-8 and nothing else.
import { parseStrict } from '@countersign/contract/canonical.ts';
import { problem } from '@countersign/contract/problem.ts';
import type { FastifyInstance } from 'fastify';
import type { World } from '#call/world.ts';
import { Refusal } from './send-answer.ts';

export function acceptStrictJson(scope: FastifyInstance, world: World): void {
  scope.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(request.headers['content-type']!)?.[1];
    const encoding = request.headers['content-encoding'];
    if (
      (charset !== undefined && charset.toLowerCase() !== 'utf-8') ||
      (encoding ?? 'identity') !== 'identity'
    ) {
      const why = problem(
        'unsupported_media_type',
        'Expected content-type application/json, in UTF-8, not encoded.',
      );
      return done(new Refusal(why));
    }
    if (body.length === 0) return done(null, undefined);
    const { depth, body_bytes } = world.bundle().settings.limits;
    const decoded = parseStrict(body as Buffer, { depth, bytes: body_bytes });
    if (decoded.ok) return done(null, decoded.value);
    const issues = [{ pointer: decoded.pointer ?? '', message: decoded.message }];
    done(
      new Refusal(
        problem('invalid_request', `The body is not acceptable JSON: ${decoded.message}.`, { issues }),
      ),
    );
  });
}
