// The resources, prompts and completions of upstreams that one agent may read, and the governed read behind each.
import type { ListedPrompt } from '#bundle/passed-reads.ts';
import { visibleTools } from '#call/visible.ts';
import type { World } from '#call/world.ts';
import type { Agent } from '#rules/principal.ts';
import type { Tool } from '#rules/tool.ts';

export interface PassedRead {
  readonly kind: 'resources' | 'prompts' | 'completions';
  /** Name of the tool that reads it. */
  readonly tool: string;
  readonly connector: string;
  /** Whether its connector lists what these arguments ask for. */
  readonly lists: (args: unknown) => boolean;
  /** URIs and templates. */
  readonly uris: readonly string[];
  readonly prompts: readonly ListedPrompt[];
}

/** Only what the agent may read under some circumstances, in the order of the tools' names. */
export function passedReads(world: World, agent: Agent): PassedRead[] {
  return [...visibleTools(world.bundle(), agent).values()].flatMap((tool) => {
    const read = passedRead(tool);
    return read === null ? [] : [read];
  });
}

function passedRead(tool: Tool): PassedRead | null {
  const { resources, prompts, completions } = tool.bind.operation;
  const kind =
    resources !== undefined
      ? 'resources'
      : prompts !== undefined
        ? 'prompts'
        : completions !== undefined
          ? 'completions'
          : null;
  if (kind === null || tool.bind.operation.tool !== undefined) return null;
  return {
    kind,
    tool: tool.name,
    connector: tool.connector,
    lists: (args) => tool.checkInput(args).length === 0,
    uris: (resources ?? []) as readonly string[],
    prompts: (prompts ?? []) as unknown as readonly ListedPrompt[],
  };
}
