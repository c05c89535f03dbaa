// Writes text after a prompt, piece by piece: generate MODEL PROMPT SEED MAX_TOKENS
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

func generate(arguments []string) error {
	if len(arguments) != 4 {
		return errors.New("usage: generate MODEL PROMPT SEED MAX_TOKENS")
	}
	seed, err := strconv.ParseUint(arguments[2], 10, 64)
	if err != nil {
		return err
	}
	maxTokens, err := strconv.ParseInt(arguments[3], 10, 64)
	if err != nil {
		return err
	}
	model, err := OpenModel(arguments[0])
	if err != nil {
		return err
	}
	defer model.Close()
	text, err := model.Text(arguments[1], seed, maxTokens)
	if err != nil {
		return err
	}
	defer text.Close()
	return write(text, os.Stdout)
}

func write(text *Text, out io.Writer) error {
	for {
		piece, err := text.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := out.Write(piece); err != nil {
			return err
		}
	}
}

func main() {
	if err := generate(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}
