"""POST /v1/completions: from the fields of a request to texts of the engine and back."""
