// Splits a Server-Sent Events stream into the data of its events, as it arrives.

/** Feeds chunks; `onData` gets the data of each complete event. Comments, ids and event names are ignored. */
export interface EventReader {
  push(chunk: Buffer): void;
}

export function createEventReader(onData: (data: string) => void): EventReader {
  const decoder = new TextDecoder('utf-8');
  let rest = '';
  let data: string[] = [];
  const line = (text: string): void => {
    if (text === '') {
      if (data.length > 0) onData(data.join('\n'));
      data = [];
      return;
    }
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
  };
}
