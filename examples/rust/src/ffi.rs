//! What this program uses of gpt2edge.h, by hand.
//!
//! Structs say their size, so they may end after the last field that is used: the library takes the
//! defaults of the others.
use std::os::raw::{c_char, c_void};

pub type Status = i32;
pub const OK: Status = 0;
pub const END: Status = 1;

#[repr(C)]
pub struct Model {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct Text {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct TextOptions {
    pub size: usize,
    pub max_tokens: i64,
    pub stop: *const *const c_char,
    pub n_stop: usize,
    pub min_tokens: i32,
    pub ignore_eos: i32,
    pub max_time: f64,
    pub allow_special: i32,
    pub logprobs: i32,
    pub has_seed: i32,
    pub seed: u64,
}

#[repr(C)]
pub struct Piece {
    pub size: usize,
    pub text: *const u8,
    pub n_text: usize,
}

extern "C" {
    pub fn gpt2edge_error_message() -> *const c_char;
    pub fn gpt2edge_model_open(
        path: *const c_char,
        options: *const c_void,
        model: *mut *mut Model,
    ) -> Status;
    pub fn gpt2edge_model_close(model: *mut Model) -> Status;
    pub fn gpt2edge_text_options_init(options: *mut TextOptions, size: usize) -> Status;
    pub fn gpt2edge_text_open(
        model: *mut Model,
        prompt: *const u8,
        n_prompt: usize,
        options: *const TextOptions,
        text: *mut *mut Text,
    ) -> Status;
    pub fn gpt2edge_text_close(text: *mut Text) -> Status;
    pub fn gpt2edge_text_next(text: *mut Text, piece: *mut Piece) -> Status;
}
