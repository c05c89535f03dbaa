"""POST /v1/chat/completions: messages by the model's template, then as a completion."""
