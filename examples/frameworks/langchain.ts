// An agent with LangChain.js whose tools go through the broker.
import type { Countersign } from '@countersign/sdk';
import { langchainTools } from '@countersign/sdk/langchain';
import { ToolSet } from '@countersign/sdk/tool-set';
import type { BaseChatModel } from '@langchain/core/language_models/chat_models';
import { type BaseMessage, HumanMessage } from '@langchain/core/messages';

export async function answerTicket(chatModel: BaseChatModel, countersign: Countersign, prompt: string) {
  const set = await ToolSet.load(countersign);
  const tools = langchainTools(set);
  const model = chatModel.bindTools?.(tools);
  if (model === undefined) throw new TypeError('expected a chat model that can call tools');
  const messages: BaseMessage[] = [new HumanMessage(prompt)];
  for (;;) {
    const reply = await model.invoke(messages);
    messages.push(reply);
    if (!reply.tool_calls?.length) {
      // What people have not decided yet is carried out by the broker once they have; here we wait for it.
      const outcomes = await set.waitForAll({ timeout_s: 600 });
      return { text: reply.text, outcomes };
    }
    for (const call of reply.tool_calls) {
      const tool = tools.find(({ name }) => name === call.name);
      if (tool === undefined)
        throw new Error(`the model asked for a tool that it was not offered: ${call.name}`);
      messages.push(await tool.invoke({ ...call, type: 'tool_call' }));
    }
  }
}
