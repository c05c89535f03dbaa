package main

// #cgo pkg-config: gpt2edge
// #include <gpt2edge.h>
// #include <stdlib.h>
import "C"

import (
	"errors"
	"io"
	"runtime"
	"unsafe"
)

// call runs a function of the library, and makes an error of a status that is one. The message
// belongs to the thread, which therefore has to stay the same.
func call(function func() C.gpt2edge_status) (C.gpt2edge_status, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	status := function()
	if status < C.GPT2EDGE_OK {
		return status, errors.New(C.GoString(C.gpt2edge_error_message()))
	}
	return status, nil
}

// Model is weights in memory. Several goroutines may use one.
type Model struct{ handle *C.gpt2edge_model }

func OpenModel(path string) (*Model, error) {
	cPath := C.CString(path)
	defer C.free(unsafe.Pointer(cPath))
	var model Model
	_, err := call(func() C.gpt2edge_status {
		return C.gpt2edge_model_open(cPath, nil, &model.handle)
	})
	return &model, err
}

// Close frees the model. Texts that were begun with it may go on.
func (m *Model) Close() { C.gpt2edge_model_close(m.handle) }

// Text is a text in the making.
type Text struct{ handle *C.gpt2edge_text }

func (m *Model) Text(prompt string, seed uint64, maxTokens int64) (*Text, error) {
	var options C.gpt2edge_text_options
	C.gpt2edge_text_options_init(&options, C.sizeof_gpt2edge_text_options)
	options.has_seed = 1
	options.seed = C.uint64_t(seed)
	options.max_tokens = C.int64_t(maxTokens)

	cPrompt := C.CString(prompt)
	defer C.free(unsafe.Pointer(cPrompt))
	var text Text
	_, err := call(func() C.gpt2edge_status {
		return C.gpt2edge_text_open(m.handle, cPrompt, C.size_t(len(prompt)), &options, &text.handle)
	})
	return &text, err
}

// Next returns the next piece, or io.EOF at the end.
func (t *Text) Next() ([]byte, error) {
	piece := C.gpt2edge_piece{size: C.sizeof_gpt2edge_piece}
	status, err := call(func() C.gpt2edge_status {
		return C.gpt2edge_text_next(t.handle, &piece)
	})
	if err != nil {
		return nil, err
	}
	if status == C.GPT2EDGE_END {
		return nil, io.EOF
	}
	return C.GoBytes(unsafe.Pointer(piece.text), C.int(piece.n_text)), nil
}

// Close frees the text.
func (t *Text) Close() { C.gpt2edge_text_close(t.handle) }
