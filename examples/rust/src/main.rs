//! Writes text after a prompt, piece by piece: generate MODEL PROMPT SEED MAX_TOKENS
mod ffi;
mod gpt2edge;

use std::error::Error;
use std::io::Write;

fn generate(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let (model, prompt, seed, max_tokens) = match arguments {
        [model, prompt, seed, max_tokens] => (model, prompt, seed, max_tokens),
        _ => return Err("usage: generate MODEL PROMPT SEED MAX_TOKENS".into()),
    };
    let model = gpt2edge::Model::open(model)?;
    let mut text = model.text(prompt, seed.parse()?, max_tokens.parse()?)?;
    let mut out = std::io::stdout();
    while let Some(piece) = text.next_piece()? {
        out.write_all(piece)?;
        out.flush()?;
    }
    Ok(())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Err(error) = generate(&arguments) {
        eprintln!("generate: {error}");
        std::process::exit(1);
    }
}
