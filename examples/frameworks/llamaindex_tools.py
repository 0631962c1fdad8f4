# The agent's tools for LlamaIndex in Python, by MCP.
import httpx2
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec

from countersign_auth import TokenFlow


class CountersignAuth(TokenFlow, httpx2.Auth):
    pass


async def load_tools(url: str, agent: str, key_pem: str, run_token: str | None):
    client = BasicMCPClient(f"{url}/mcp", auth=CountersignAuth(url, agent, key_pem, run_token))
    return await McpToolSpec(client=client).to_tool_list_async()


async def call(tool, arguments: dict) -> str:
    return str(await tool.acall(**arguments))
