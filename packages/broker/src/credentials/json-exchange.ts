// One JSON request to an issuer's API and its answer; says of a refusal its status, and nothing of its text.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import { MintRefused } from './mint-refused.ts';
import type { CheckedNetwork } from './network.ts';

export interface JsonRequest {
  readonly method: 'POST' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Json;
}

/** The status and, where the answer is a JSON object, that. */
export async function exchangeJson(
  network: CheckedNetwork,
  { method, url, headers, body }: JsonRequest,
): Promise<{ readonly status: number; readonly json: JsonObject | null }> {
  const answer = await network.send(url, {
    method,
    headers: {
      accept: 'application/json',
      'user-agent': 'countersign',
      ...headers,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  let json: unknown = null;
  try {
    json = JSON.parse(text);
  } catch {
    // Not JSON: there is no object in it.
  }
  return { status: answer.status, json: isJsonObject(json as Json) ? (json as JsonObject) : null };
}

/** The object of a request that was granted. `what`: the issuer. Throws `MintRefused`. */
export async function grantedJson(
  network: CheckedNetwork,
  what: string,
  request: JsonRequest,
): Promise<JsonObject> {
  const { status, json } = await exchangeJson(network, request);
  if (status !== 200 && status !== 201) throw new MintRefused(`${what} answered with HTTP status ${status}`);
  if (json === null) throw new MintRefused(`${what} answered no JSON object`);
  return json;
}
