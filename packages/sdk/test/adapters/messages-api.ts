// A provider that speaks Anthropic's Messages API, whole or as a stream, and says what a script says.
import assert from 'node:assert/strict';
import { Streamed } from './model-server.ts';
import type { Script, Shown, Turn } from './story.ts';

export interface MessagesRequest {
  readonly stream?: boolean;
  /** What the SDK's tool runner sends in place of the messages that it sent before. */
  readonly thread?: { readonly previous_message_id?: string };
  readonly messages: readonly { readonly content: string | readonly Record<string, unknown>[] }[];
  readonly tools: readonly Record<string, unknown>[];
}

/** `prefix`: how the framework names the script's tools. */
export function messagesApi(script: Script, prefix = '') {
  /** The results that were shown up to a message. */
  const threads = new Map<string, readonly Shown[]>();
  return async (path: string, { messages, thread, stream }: MessagesRequest): Promise<unknown> => {
    assert.match(path, /^\/v1\/messages(\?|$)/);
    const blocks = messages.flatMap(({ content }) => (typeof content === 'string' ? [] : content));
    const results = blocks.filter((block) => block.type === 'tool_result');
    const shown = [
      ...(threads.get(thread?.previous_message_id ?? '') ?? []),
      ...results.map(({ content, is_error }) => ({ text: textOf(content), error: is_error === true })),
    ];
    const message = messageOf(await script(shown), `msg_${threads.size + 1}`, prefix);
    threads.set(message.id, shown);
    return stream === true ? new Streamed(eventsOf(message)) : message;
  };
}

const textOf = (content: unknown): string =>
  typeof content === 'string' ? content : (content as { text: string }[]).map(({ text }) => text).join('');

type Block =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'tool_use'; readonly id: string; readonly name: string; readonly input: object };

function messageOf({ calls, text }: Turn, id: string, prefix: string) {
  const uses = calls.map(
    ({ name, args }, index): Block => ({
      type: 'tool_use',
      id: `toolu_${id}_${index}`,
      name: `${prefix}${name}`,
      input: args,
    }),
  );
  return {
    id,
    type: 'message',
    role: 'assistant',
    model: 'scripted',
    stop_reason: calls.length > 0 ? 'tool_use' : 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 1, output_tokens: 1 },
    content: calls.length > 0 ? uses : [{ type: 'text', text } satisfies Block],
  };
}

function eventsOf(message: ReturnType<typeof messageOf>): { readonly type: string }[] {
  const { stop_reason, stop_sequence, usage } = message;
  const begun = { ...message, content: [], stop_reason: null };
  return [
    { type: 'message_start', message: begun } as { type: string },
    ...message.content.flatMap((block, index) => [
      { type: 'content_block_start', index, content_block: emptied(block) },
      { type: 'content_block_delta', index, delta: deltaOf(block) },
      { type: 'content_block_stop', index },
    ]),
    { type: 'message_delta', delta: { stop_reason, stop_sequence }, usage } as { type: string },
    { type: 'message_stop' },
  ];
}

const emptied = (block: Block): Block =>
  block.type === 'text' ? { ...block, text: '' } : { ...block, input: {} };

const deltaOf = (block: Block) =>
  block.type === 'text'
    ? { type: 'text_delta', text: block.text }
    : { type: 'input_json_delta', partial_json: JSON.stringify(block.input) };
