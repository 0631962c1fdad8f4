// One request to an issuer and its JSON answer: what is refused is told by status and code, never by foreign text.
import { isJsonObject, type Json, type JsonObject } from '@countersign/contract/json.ts';
import type { CheckedNetwork } from './network.ts';

export interface Asked {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: JsonObject | URLSearchParams;
}

export type Told =
  | { readonly ok: true; readonly body: JsonObject }
  /** `status` null: nothing was answered. `reason` is in our words. */
  | { readonly ok: false; readonly status: number | null; readonly reason: string };

/** `who`: the issuer, for the reason. */
export async function askJson(
  network: CheckedNetwork,
  who: string,
  url: string,
  asked: Asked,
): Promise<Told> {
  const { method, headers = {}, body } = asked;
  const json = body !== undefined && !(body instanceof URLSearchParams);
  const type = json ? 'application/json' : 'application/x-www-form-urlencoded';
  let status: number;
  let told: Json;
  try {
    const answer = await network.send(url, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': type }) },
      ...(body === undefined ? {} : { body: json ? JSON.stringify(body) : body }),
    });
    status = answer.status;
    const text = await answer.text();
    told = text === '' ? {} : (JSON.parse(text) as Json);
  } catch (error) {
    // The text of an error may quote what a server wrote, and a server may have written what it was sent.
    const { code, name } = error as { readonly code?: unknown; readonly name?: unknown };
    return { ok: false, status: null, reason: `${who} did not answer: ${String(code ?? name)}` };
  }
  if (status >= 400 || status < 200)
    return { ok: false, status, reason: `${who} refused with ${status}${codeIn(told)}` };
  if (status >= 300 || !isJsonObject(told))
    return { ok: false, status, reason: `${who} answered something else than was asked for` };
  return { ok: true, body: told };
}

/** The code of an error, where it has the form of one: RFC 6749 `error`, Google's `error.status`. */
function codeIn(told: Json): string {
  if (!isJsonObject(told)) return '';
  const { error } = told;
  const code = isJsonObject(error ?? null) ? (error as JsonObject).status : error;
  return typeof code === 'string' && /^[A-Za-z_]{3,40}$/.test(code) ? ` ${code}` : '';
}
