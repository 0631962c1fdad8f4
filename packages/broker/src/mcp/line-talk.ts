// The talk of one walk over the line of its caller: what it is told and asked while its call is carried out.
import { isCanonical } from '@countersign/contract/canonical.ts';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Asking, Demand, Notice, Talk, Watching } from '#connectors/connector.ts';
import { askClient } from './ask-client.ts';
import type { Line, Terms } from './line.ts';
import { messageText } from './wire.ts';

/** How often an upstream may ask in the middle of one call. */
const MOST_ASKED = 16;

/** The talk of one walk; `demanded` is read after it. */
export class LineTalk implements Talk {
  readonly left: () => boolean;
  readonly notice: ((notice: Notice) => void) | null;
  readonly log_level: string | null;
  readonly capabilities: JsonObject;
  readonly responses: JsonObject | null;
  readonly state: string | null;
  readonly ask: NonNullable<Talk['ask']> | null;
  readonly exchanged: JsonObject[] = [];
  readonly watch: Watching | null;
  demanded: Demand | null = null;

  constructor(line: Line, terms: Terms, watch: Watching | null = null) {
    const { stream } = line;
    const { progressToken } = terms;
    this.left = line.left;
    this.log_level = terms.log_level;
    this.capabilities = terms.capabilities;
    this.responses = terms.responses;
    this.state = terms.state;
    this.watch = watch;
    this.ask = line.session === null || stream === null ? null : (asking) => this.#ask(line, asking);
    this.notice =
      stream === null || (progressToken === null && terms.log_level === null)
        ? null
        : (notice) => {
            const message = noticeText(notice, progressToken);
            if (message !== null) stream.send(message);
          };
  }

  /** INVARIANT: what is asked and answered can be recorded, or it is not asked. */
  async #ask(line: Line, asking: Asking): Promise<JsonObject | null> {
    const asked = { method: asking.method, params: asking.params };
    if (!isCanonical(asked) || this.exchanged.length >= MOST_ASKED) return null;
    const answer = await askClient(line, asking);
    if (answer === null || !isCanonical(answer)) return null;
    this.exchanged.push({ ...asked, answer });
    return answer;
  }

  demand(demand: Demand): void {
    this.demanded = demand;
  }
}

function noticeText(notice: Notice, progressToken: string | number | null): string | null {
  switch (notice.kind) {
    case 'progress': {
      if (progressToken === null) return null;
      const { progress, total } = notice;
      const params = { progressToken, progress, ...(total === undefined ? {} : { total }) };
      return messageText('notifications/progress', params);
    }
    case 'message':
      return messageText('notifications/message', { level: notice.level, data: notice.data });
  }
}
