// Gets the bench agent's access token for the MCP endpoint: client credentials with a signed assertion (RFC 7523).
import { type KeyObject, randomUUID, sign } from 'node:crypto';

/** Answers the value of the Authorization header. `base` is the broker's address without a trailing slash. */
export async function getToken(base: string, agent: string, key: KeyObject): Promise<string> {
  const metadata = (await (await fetch(`${base}/.well-known/oauth-authorization-server`)).json()) as {
    issuer: string;
    token_endpoint: string;
  };
  const answer = await fetch(metadata.token_endpoint, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: agent,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion(metadata.issuer, agent, key),
      resource: `${base}/mcp`,
    }),
  });
  const body = (await answer.json()) as { access_token?: string; error?: string; error_description?: string };
  if (body.access_token === undefined) {
    throw new Error(
      `expected a token for ${agent}, got ${answer.status} ${body.error}: ${body.error_description}`,
    );
  }
  return `Bearer ${body.access_token}`;
}

function assertion(issuer: string, agent: string, key: KeyObject): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: agent, sub: agent, aud: issuer, jti: randomUUID(), iat: now, exp: now + 60 };
  const signed = `${encode({ alg: 'EdDSA', typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`;
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
