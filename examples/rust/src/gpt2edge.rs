//! The library for safe Rust: handles that close themselves, and `Result` in place of statuses.
use std::ffi::{CStr, CString};
use std::fmt;
use std::mem::{size_of, zeroed};
use std::ptr::{null, null_mut};

use crate::ffi;

#[derive(Debug)]
pub struct Error(String);

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn checked(status: ffi::Status) -> Result<ffi::Status, Error> {
    if status >= ffi::OK {
        return Ok(status);
    }
    // SAFETY: a C string that is there until this thread's next call that fails.
    let message = unsafe { CStr::from_ptr(ffi::gpt2edge_error_message()) };
    Err(Error(message.to_string_lossy().into_owned()))
}

pub struct Model(*mut ffi::Model);

// SAFETY: any function of the library may be called from any thread, also on one handle.
unsafe impl Send for Model {}
unsafe impl Sync for Model {}

impl Model {
    pub fn open(path: &str) -> Result<Model, Error> {
        let path = CString::new(path).map_err(|_| Error("the path has a null character".into()))?;
        let mut model = null_mut();
        // SAFETY: `path` ends with a null character, and null options are the defaults.
        checked(unsafe { ffi::gpt2edge_model_open(path.as_ptr(), null(), &mut model) })?;
        Ok(Model(model))
    }

    pub fn text(&self, prompt: &str, seed: u64, max_tokens: i64) -> Result<Text, Error> {
        let mut text = null_mut();
        // SAFETY: zeros are a valid `TextOptions`, which is given with its size; the prompt is
        // given with its own, and copied.
        unsafe {
            let mut options: ffi::TextOptions = zeroed();
            checked(ffi::gpt2edge_text_options_init(
                &mut options,
                size_of::<ffi::TextOptions>(),
            ))?;
            options.has_seed = 1;
            options.seed = seed;
            options.max_tokens = max_tokens;
            let (start, n_bytes) = (prompt.as_ptr(), prompt.len());
            checked(ffi::gpt2edge_text_open(
                self.0, start, n_bytes, &options, &mut text,
            ))?;
        }
        Ok(Text(text))
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: closed once, here. A text that is still there keeps what it needs.
        unsafe { ffi::gpt2edge_model_close(self.0) };
    }
}

pub struct Text(*mut ffi::Text);

impl Text {
    /// The next piece, or `None` at the end. It is the library's until the next call.
    pub fn next_piece(&mut self) -> Result<Option<&[u8]>, Error> {
        // SAFETY: zeros are a valid `Piece`. What it points to lives until the text is used again,
        // which the borrow of `self` rules out.
        unsafe {
            let mut piece: ffi::Piece = zeroed();
            piece.size = size_of::<ffi::Piece>();
            if checked(ffi::gpt2edge_text_next(self.0, &mut piece))? == ffi::END {
                return Ok(None);
            }
            Ok(Some(std::slice::from_raw_parts(piece.text, piece.n_text)))
        }
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        // SAFETY: closed once, here.
        unsafe { ffi::gpt2edge_text_close(self.0) };
    }
}
