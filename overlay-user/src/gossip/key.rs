//! A key of the gossip, and the id that says in clear which one a datagram was sealed with.

use std::{fmt, io, str::FromStr};

use rustix::rand::{GetRandomFlags, getrandom};

/// Which key it is; says nothing of the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; Self::LEN]);

/// A key: whoever has it is a member.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    id: KeyId,
    secret: [u8; Self::LEN],
}

/// Why a text is no key's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no key's id, which is 8 hexadecimal digits; copy one of those that are listed")]
pub struct InvalidKeyId;

impl KeyId {
    /// Its length in bytes.
    pub(super) const LEN: usize = 4;

    pub(super) const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    pub(super) const fn to_bytes(self) -> [u8; Self::LEN] {
        self.0
    }
}

impl Key {
    /// The length of the secret in bytes.
    pub(super) const LEN: usize = 32;

    /// A new key, of the kernel's random numbers.
    ///
    /// # Errors
    ///
    /// Where the kernel gives none.
    pub fn generate() -> io::Result<Self> {
        Ok(Self { id: KeyId(random()?), secret: random()? })
    }

    pub(super) const fn from_parts(id: KeyId, secret: [u8; Self::LEN]) -> Self {
        Self { id, secret }
    }

    /// Which key it is.
    pub fn id(&self) -> KeyId {
        self.id
    }

    pub(super) const fn secret(&self) -> &[u8; Self::LEN] {
        &self.secret
    }
}

/// Random bytes of the kernel. So few come whole, once the kernel has any (getrandom(2)).
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let length = getrandom(&mut bytes, GetRandomFlags::empty())?;
    if length < N {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Key {
    /// Never the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        // `from_str_radix` takes a sign.
        if text.len() != 2 * Self::LEN || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidKeyId);
        }
        u32::from_str_radix(text, 16).map(|id| Self(id.to_be_bytes())).map_err(|_| InvalidKeyId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_eight_digits() {
        let id = KeyId([0x0a, 0, 0xff, 1]);
        assert_eq!(id.to_string(), "0a00ff01");
        assert_eq!("0a00ff01".parse(), Ok(id));
        for text in ["", "0a00ff0", "0a00ff011", "+a00ff01", "0a00ff0g", "0a00ff0é"] {
            assert_eq!(text.parse::<KeyId>(), Err(InvalidKeyId), "{text}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let key = Key::from_parts(KeyId([1, 2, 3, 4]), [0xab; Key::LEN]);
        assert_eq!(format!("{key:?}"), "Key { id: 01020304, .. }");
    }

    #[test]
    fn two_keys_differ() {
        let (one, other) = (Key::generate().expect("a key"), Key::generate().expect("a key"));
        assert_ne!(one.secret, other.secret);
        assert_ne!(one.secret, [0; Key::LEN]);
    }
}
