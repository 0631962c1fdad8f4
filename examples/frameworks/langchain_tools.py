# The agent's tools for LangChain in Python, by MCP.
import httpx
from langchain_mcp_adapters.client import MultiServerMCPClient

from countersign_auth import TokenFlow


class CountersignAuth(TokenFlow, httpx.Auth):
    pass


async def load_tools(url: str, agent: str, key_pem: str, run_token: str | None):
    auth = CountersignAuth(url, agent, key_pem, run_token)
    server = {"transport": "streamable_http", "url": f"{url}/mcp", "auth": auth}
    tools = await MultiServerMCPClient({"countersign": server}).get_tools()
    for tool in tools:
        # A refusal, and a call that waits for people, are for the model to read, not for the program to fail on.
        tool.handle_tool_error = True
    return tools


async def call(tool, arguments: dict) -> str:
    return str(await tool.ainvoke(arguments))
