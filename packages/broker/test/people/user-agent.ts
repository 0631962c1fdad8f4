// A browser without pictures: cookies by host name as browsers keep them, redirects, and the provider's forms filled in.

export interface Page {
  readonly url: string;
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

export class UserAgent {
  /** By host name without a port: browsers do not tell ports apart. */
  readonly #jars = new Map<string, Map<string, string>>();

  cookies(host: string): Map<string, string> {
    const jar = this.#jars.get(host) ?? new Map<string, string>();
    this.#jars.set(host, jar);
    return jar;
  }

  /** One request, no redirect followed. `headers` are added. */
  async send(url: string, init: RequestInit = {}): Promise<Page> {
    const { hostname } = new URL(url);
    const jar = this.cookies(hostname);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      ...init,
      redirect: 'manual',
      headers: { ...(cookie === '' ? {} : { cookie }), ...(init.headers as Record<string, string>) },
    });
    for (const set of response.headers.getSetCookie()) {
      const [name = '', value = ''] = set.split(';', 1)[0]!.split(/=(.*)/s);
      if (/Max-Age=0/i.test(set) || value === '') jar.delete(name);
      else jar.set(name, value);
    }
    return { url, status: response.status, text: await response.text(), headers: response.headers };
  }

  /** Follows redirects, stops before `until` matches an address. */
  async open(url: string, init: RequestInit = {}, until?: RegExp): Promise<Page> {
    let page = await this.send(url, init);
    for (let steps = 0; steps < 20; steps++) {
      const location = page.headers.get('location');
      if (location === null) return page;
      const next = new URL(location, page.url).href;
      if (until?.test(next) === true) return { ...page, url: next };
      page = await this.send(next);
    }
    throw new Error(`the browser goes round in circles at ${page.url}`);
  }

  /** A form as the page of the same origin would send it. */
  post(
    url: string,
    fields: Readonly<Record<string, string>>,
    headers: Record<string, string> = {},
  ): Promise<Page> {
    return this.open(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        origin: new URL(url).origin,
        ...headers,
      },
      body: new URLSearchParams(fields).toString(),
    });
  }

  /** Signs in at the provider as `login` and agrees; answers the page where that ends, or stops before `until`. */
  async logIn(start: string, login: string, until?: RegExp): Promise<Page> {
    let page = await this.open(start, {}, until);
    for (let steps = 0; steps < 6; steps++) {
      const prompt = /name="prompt" value="(login|consent)"/.exec(page.text)?.[1];
      if (prompt === undefined || until?.test(page.url) === true) return page;
      const form = prompt === 'login' ? `prompt=login&login=${login}&password=any` : 'prompt=consent';
      const action = /<form[^>]* action="([^"]+)"/.exec(page.text)?.[1] ?? page.url;
      page = await this.open(
        new URL(action, page.url).href,
        { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: form },
        until,
      );
    }
    throw new Error(`the provider asks again and again: ${page.text.slice(0, 200)}`);
  }
}

/** The token that a page of this session carries in its forms. */
export function csrfIn(page: Page): string {
  return /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
}
