//! Reading a text file that somebody else writes.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// Reads the file at `path`; the error is one sentence for people, without the path.
///
/// At most `limit` bytes are taken, and only a regular file is opened, because opening a FIFO waits for a writer.
pub(crate) fn read(path: &Path, limit: u64) -> Result<String, String> {
    let kind = fs::metadata(path).map_err(|error| unreadable(&error))?;
    if !kind.is_file() {
        return Err("this is not a regular file; name a file".to_owned());
    }
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(|error| unreadable(&error))?;
    file.by_ref().take(limit + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > limit {
        return Err(format!("the file is longer than {limit} bytes; make it shorter"));
    }
    decode(bytes)
}

/// The text that bytes are.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        format!("byte {} is not UTF-8; save the file as UTF-8", error.utf8_error().valid_up_to() + 1)
    })
}

fn unreadable(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        "there is no such file; create it, or name another".to_owned()
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "the file cannot be read for lack of permission; let the agent's user read it".to_owned()
    } else {
        format!("the file cannot be read ({error}); make it readable")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_says_why() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        assert_eq!(read(&path, 9), Err("there is no such file; create it, or name another".to_owned()));
        assert_eq!(read(directory.path(), 9), Err("this is not a regular file; name a file".to_owned()));
        fs::write(&path, b"ab\xff").expect("a write");
        assert_eq!(read(&path, 9), Err("byte 3 is not UTF-8; save the file as UTF-8".to_owned()));
        assert_eq!(read(&path, 2), Err("the file is longer than 2 bytes; make it shorter".to_owned()));
        fs::write(&path, "äb").expect("a write");
        assert_eq!(read(&path, 3), Ok("äb".to_owned()));
    }
}
