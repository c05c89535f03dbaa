module gpt2edge.example/generate

go 1.18
