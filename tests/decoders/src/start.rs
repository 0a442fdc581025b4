//! What the process does before libFuzzer takes over.

use std::{env, fs, io, path::Path, process::exit};

use crate::{
    ALL, FAULTY,
    decoder::{CHOSEN, Decoder},
};

/// Chooses the decoder that `OVERLAY_DECODER` names. Where `OVERLAY_DECODERS_TO` names a directory, lays there what each
/// decoder starts from, and ends the process instead.
pub fn choose() {
    if let Some(to) = env::var_os("OVERLAY_DECODERS_TO") {
        if let Err(error) = lay_out(Path::new(&to)) {
            eprintln!("cannot write to {}: {error}", to.display());
            exit(1);
        }
        exit(0);
    }
    let name = env::var("OVERLAY_DECODER").unwrap_or_default();
    let Some(chosen) = all().map(|(decoder, _)| decoder).find(|decoder| decoder.name == name) else {
        let names: Vec<&str> = all().map(|(decoder, _)| decoder.name).collect();
        eprintln!("OVERLAY_DECODER is {name:?}; set it to one of: {}", names.join(", "));
        exit(64);
    };
    CHOSEN.get_or_init(|| chosen);
}

/// Every decoder, and its fault.
fn all() -> impl Iterator<Item = (Decoder, &'static str)> {
    ALL.into_iter().map(|decoder| (decoder, "none")).chain(FAULTY)
}

/// Writes seeds and dictionaries, `TO/NAME/seeds/N` and `TO/NAME/words`, and tells of each decoder:
/// `decoder: NAME: LONGEST: FAULT`.
fn lay_out(to: &Path) -> io::Result<()> {
    for (decoder, fault) in all() {
        let dir = to.join(decoder.name);
        fs::create_dir_all(dir.join("seeds"))?;
        for (number, seed) in (decoder.seeds)().into_iter().enumerate() {
            // Else the mutations would start from what is refused at once.
            assert!((decoder.read)(&seed), "{}: seed {number} is refused", decoder.name);
            fs::write(dir.join(format!("seeds/{number}")), seed)?;
        }
        fs::write(dir.join("words"), dictionary(&decoder))?;
        println!("decoder: {}: {}: {fault}", decoder.name, decoder.longest);
    }
    Ok(())
}

/// The words as libFuzzer reads them: one a line, in quotes, what is no letter or digit as `\xAB`.
fn dictionary(decoder: &Decoder) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("\\x{byte:02X}") }
    };
    let word = |word: &&str| format!("\"{}\"\n", word.bytes().map(byte).collect::<String>());
    // libFuzzer takes no empty file.
    let head = format!("# {}\n", decoder.name);
    decoder.words.iter().map(word).fold(head, |text, line| text + &line)
}
