"""The server: OpenAI's HTTP over an engine, and what the page asks."""
