//! Frames in files: those of the corpus, and those that were found, made small.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use overlay_tests::Family;

use crate::{
    judge::{Expected, Found, Judge},
    outer::fix_ip,
};

/// Where the corpus is: each file a frame that ours once treated otherwise than it must, or might have.
pub(crate) fn corpus() -> PathBuf {
    root().join("tests/corpus")
}

/// The root of the workspace.
fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Where frames that were found are left.
pub(crate) fn findings() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    named.unwrap_or_else(|| root().join("target")).join("fuzz")
}

/// The frames of the corpus, by name.
pub(crate) fn read(dir: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut cases = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "hex") {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let frame = parse(&text).with_context(|| format!("{} is no frame in hex", path.display()))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            cases.push((name, frame));
        }
    }
    cases.sort();
    Ok(cases)
}

/// A frame from its text: hexadecimal digits, spaces, and lines that begin with #.
fn parse(text: &str) -> Option<Vec<u8>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let digits: Vec<u32> = lines
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16))
        .collect::<Option<_>>()?;
    digits
        .len()
        .is_multiple_of(2)
        .then(|| digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

/// The text of a frame.
pub(crate) fn hex(frame: &[u8]) -> String {
    let mut text = String::new();
    for line in frame.chunks(16) {
        let bytes: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = writeln!(text, "{}", bytes.join(" "));
    }
    text
}

/// What was expected of a frame, and what was met, in a line each.
pub(crate) fn describe(found: &Found) -> [String; 2] {
    let delivered = |bytes: &[u8]| format!("delivered, {} bytes", bytes.len());
    let expected = match &found.expected {
        Expected::Deliver(bytes) => delivered(bytes),
        Expected::Count(row) => {
            let row = &crate::differences::DIFFERENCES[*row];
            format!("dropped as {} ({})", row.counted.name(), row.name)
        }
        Expected::Drop => "not delivered".to_owned(),
    };
    let met = match (&found.delivered, found.counted.as_slice()) {
        (Some(bytes), _) => delivered(bytes),
        (None, []) => "not delivered, and nothing counted".to_owned(),
        (None, counted) => format!("dropped as {}", counted.join(", ")),
    };
    let at = match (&found.expected, &found.delivered) {
        (Expected::Deliver(expected), Some(met)) => {
            let at = expected.iter().zip(met).position(|(a, b)| a != b);
            at.map_or(String::new(), |at| format!("; the first other byte is at {at}"))
        }
        _ => String::new(),
    };
    [format!("must be  {expected}"), format!("was      {met}{at}")]
}

/// Writes a frame that was found.
pub(crate) fn write(name: &str, found: &Found) -> Result<PathBuf> {
    let dir = findings();
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let path = dir.join(format!("{name}.hex"));
    let [must, was] = describe(found);
    let text = format!("# {must}\n# {was}\n{}", hex(&found.frame));
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Makes a frame smaller for as long as ours does the same wrong with it. `base` is what it was mutated from.
pub(crate) fn shrink(judge: &mut Judge, mut best: Found, base: &[u8]) -> Result<Found> {
    // What was mutated and does not matter is taken back.
    if base.len() == best.frame.len() {
        for at in 0..base.len() {
            let mut frame = best.frame.clone();
            frame[at] = base[at];
            keep(judge, &mut best, frame)?;
        }
    }
    let family = Family::of(&best.frame);
    let mut by = best.frame.len();
    while by > 0 {
        let mut frame = best.frame.clone();
        if frame.len() >= family.inner() + by {
            frame.truncate(frame.len() - by);
            for (at, from) in [family.ip_length(), (family.udp() + 4, family.udp())] {
                let length = (frame.len() - from) as u16;
                frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
            }
            if keep(judge, &mut best, frame)? {
                continue;
            }
        }
        by /= 2;
    }
    // What is left of the payload.
    for at in family.inner() + 14..best.frame.len() {
        let mut frame = best.frame.clone();
        frame[at] = 0;
        keep(judge, &mut best, frame)?;
    }
    Ok(best)
}

/// Takes a frame for the best one if ours does the same wrong with it, as it is or with its outer checksum made anew.
fn keep(judge: &mut Judge, best: &mut Found, frame: Vec<u8>) -> Result<bool> {
    let mut fixed = frame.clone();
    fix_ip(&mut fixed);
    for frame in [frame, fixed] {
        if frame == best.frame {
            continue;
        }
        if let Some(found) = judge.single(&frame, 1)?
            && kind(&found) == kind(best)
        {
            *best = found;
            return Ok(true);
        }
    }
    Ok(false)
}

/// What is wrong: what was expected and what was met, without the bytes.
fn kind(found: &Found) -> (u8, Option<usize>, bool, &[&'static str]) {
    let (expected, row) = match found.expected {
        Expected::Deliver(_) => (0, None),
        Expected::Count(row) => (1, Some(row)),
        Expected::Drop => (2, None),
    };
    (expected, row, found.delivered.is_some(), &found.counted)
}
