// An agent with LangChain.js's createAgent whose tools go through the broker.
import type { Countersign } from '@countersign/sdk';
import { langchainTools } from '@countersign/sdk/langchain';
import { ToolSet } from '@countersign/sdk/tool-set';
import type { BaseChatModel } from '@langchain/core/language_models/chat_models';
import { createAgent } from 'langchain';

export async function answerTicket(model: BaseChatModel, countersign: Countersign, prompt: string) {
  const set = await ToolSet.load(countersign);
  const { messages } = await createAgent({ model, tools: langchainTools(set) }).invoke({ messages: prompt });
  // What people have not decided yet is carried out by the broker once they have; here we wait for it.
  const outcomes = await set.waitForAll({ timeout_s: 600 });
  return { text: messages.at(-1)?.text ?? '', outcomes };
}
