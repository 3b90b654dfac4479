"""The tools, in the order the model sees them; a tool is one function in one file."""

from nanocode.tool import Tool
from nanocode.tools.bash import bash
from nanocode.tools.edit import edit
from nanocode.tools.find import find
from nanocode.tools.glob import glob
from nanocode.tools.grep import grep
from nanocode.tools.ls import ls
from nanocode.tools.mcp import mcp_call, mcp_inspect, mcp_search
from nanocode.tools.nanocode import nanocode
from nanocode.tools.read import read
from nanocode.tools.webfetch import webfetch
from nanocode.tools.websearch import websearch
from nanocode.tools.write import write

ALL: tuple[Tool, ...] = (
    *(read, write, edit, bash, glob, find, ls, grep),
    *(websearch, webfetch, mcp_search, mcp_inspect, mcp_call),
    nanocode,
)
