// Sends a page with the policy that all of them have: nothing from elsewhere, nothing inline, nowhere in a frame.
import type { FastifyReply } from 'fastify';

const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; " +
  "base-uri 'none'; frame-ancestors 'none'";

export function sendPage(reply: FastifyReply, page: string, status = 200): FastifyReply {
  return (
    reply
      .code(status)
      .header('content-security-policy', PAGE_POLICY)
      // With no-referrer a browser says Origin: null of our own forms; to other origins nothing is said here either.
      .header('referrer-policy', 'same-origin')
      .type('text/html; charset=utf-8')
      .send(Buffer.from(page))
  );
}
