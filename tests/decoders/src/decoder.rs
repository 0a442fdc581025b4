//! `Decoder`: one of them, and the one that was chosen.

use std::sync::OnceLock;

/// Something that decodes what others wrote.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// Its name.
    pub name: &'static str,
    /// The longest input that is tried, in bytes.
    pub longest: usize,
    /// Words that its inputs are made of.
    pub words: &'static [&'static str],
    /// Inputs that it reads.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Reads an input, and checks what it made of it; whether it is one.
    pub read: fn(&[u8]) -> bool,
}

/// The decoder that this process tries.
pub(crate) static CHOSEN: OnceLock<Decoder> = OnceLock::new();

/// Has the chosen decoder read an input.
pub fn read(input: &[u8]) {
    let Some(decoder) = CHOSEN.get() else { panic!("no decoder was chosen") };
    (decoder.read)(input);
}
