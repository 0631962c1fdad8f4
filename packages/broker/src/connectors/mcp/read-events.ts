// Splits a Server-Sent Events stream into the data of its events, as it arrives.

/** Feeds chunks; `onData` gets the data of each complete event. Comments and event names are ignored. */
export interface EventReader {
  push(chunk: Buffer): void;
  /** Where a stream that broke off goes on: the last complete event's id, and the server's word on when to ask. */
  mark(): EventMark | null;
}

export interface EventMark {
  readonly id: string;
  readonly retry_ms: number | null;
}

/** An id goes back as a header, so only what a header can carry is one. */
const ID = /^[\x20-\x7e]{1,1024}$/;

export function createEventReader(onData: (data: string) => void): EventReader {
  const decoder = new TextDecoder('utf-8');
  let rest = '';
  let data: string[] = [];
  let pending = '';
  let id = '';
  let retry_ms: number | null = null;
  const line = (text: string): void => {
    if (text === '') {
      id = pending;
      if (data.length > 0) onData(data.join('\n'));
      data = [];
      return;
    }
    const value = text.slice(text.indexOf(':') + 1).replace(/^ /, '');
    if (text.startsWith('id:')) pending = ID.test(value) ? value : '';
    else if (text.startsWith('retry:') && /^\d{1,7}$/.test(value)) retry_ms = Number(value);
    if (!text.startsWith('data')) return;
    if (text === 'data') data.push('');
    else if (text[4] === ':') data.push(text.slice(text[5] === ' ' ? 6 : 5));
  };
  return {
    push(chunk) {
      rest += decoder.decode(chunk, { stream: true });
      // A lone CR at the very end may be half of a CRLF; it waits for the next chunk.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? '';
      for (const text of lines) line(text);
    },
    mark: () => (id === '' ? null : { id, retry_ms }),
  };
}
