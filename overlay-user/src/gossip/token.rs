//! The join token: one line that gives a new node a key and whom to ask first.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use data_encoding::BASE64URL_NOPAD;
use overlay_common::hash::fnv1a;

use super::key::{Key, KeyId};

/// What a token starts with; says its version.
const PREFIX: &str = "overlay1.";
/// As many seeds a token has at most.
pub const MOST_SEEDS: usize = 8;
/// The longest token, in characters; longer texts are not decoded.
const LONGEST: usize = 512;

/// A key, and the addresses of nodes that have it.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    key: Key,
    seeds: Vec<SocketAddr>,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The text is none.
    #[error("this is no join token; copy the whole line that `overlay cluster init` printed")]
    NoToken,
    /// Its number of seeds.
    #[error("a join token has 1 to {MOST_SEEDS} seeds, not {0}; name so many nodes of the cluster")]
    Seeds(usize),
    /// A seed that is another host's on every device.
    #[error(
        "the seed {0} is link-local, which other hosts cannot find; give an address that all hosts reach"
    )]
    LinkLocal(SocketAddr),
}

/// Whether an address has a meaning on one link only (RFC 3927, RFC 4291 section 2.5.6).
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

impl JoinToken {
    /// The token that gives this key and these seeds.
    ///
    /// # Errors
    ///
    /// Where there is no seed, or more than eight, or one is link-local.
    pub fn new(key: Key, seeds: Vec<SocketAddr>) -> Result<Self, TokenError> {
        if let Some(seed) = seeds.iter().find(|seed| is_link_local(seed.ip())) {
            return Err(TokenError::LinkLocal(*seed));
        }
        match seeds.len() {
            1..=MOST_SEEDS => Ok(Self { key, seeds }),
            other => Err(TokenError::Seeds(other)),
        }
    }

    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Whom to ask first.
    pub fn seeds(&self) -> &[SocketAddr] {
        &self.seeds
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.key.id().to_bytes().to_vec();
        bytes.extend(self.key.secret());
        for seed in &self.seeds {
            match seed.ip() {
                IpAddr::V4(ip) => {
                    bytes.push(4);
                    bytes.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    bytes.push(6);
                    bytes.extend(ip.octets());
                }
            }
            bytes.extend(seed.port().to_be_bytes());
        }
        let sum = checksum(&bytes);
        bytes.extend(sum);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (bytes, sum) = bytes.split_last_chunk()?;
        if checksum(bytes) != *sum {
            return None;
        }
        let (&id, rest) = bytes.split_first_chunk()?;
        let (&secret, mut rest) = rest.split_first_chunk()?;
        let mut seeds = Vec::new();
        while let Some((family, after)) = rest.split_first() {
            let (ip, after) = match family {
                4 => ip::<4>(after)?,
                6 => ip::<16>(after)?,
                _ => return None,
            };
            let (&port, after) = after.split_first_chunk()?;
            seeds.push(SocketAddr::new(ip, u16::from_be_bytes(port)));
            rest = after;
        }
        Self::new(Key::from_parts(KeyId::from_bytes(id), secret), seeds).ok()
    }
}

fn ip<const N: usize>(bytes: &[u8]) -> Option<(IpAddr, &[u8])>
where
    IpAddr: From<[u8; N]>,
{
    bytes.split_first_chunk::<N>().map(|(ip, rest)| (IpAddr::from(*ip), rest))
}

/// Tells a whole token from one that was cut off or mistyped.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let hash = fnv1a(bytes.iter().copied());
    ((hash ^ (hash >> 32)) as u32).to_be_bytes()
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64URL_NOPAD.encode(&self.to_bytes()))
    }
}

impl fmt::Debug for JoinToken {
    /// Never the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken").field("key", &self.key).field("seeds", &self.seeds).finish()
    }
}

impl FromStr for JoinToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let body = text.strip_prefix(PREFIX).filter(|_| text.len() <= LONGEST).ok_or(TokenError::NoToken)?;
        let bytes = BASE64URL_NOPAD.decode(body.as_bytes()).map_err(|_| TokenError::NoToken)?;
        Self::from_bytes(&bytes).ok_or(TokenError::NoToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(seeds: usize) -> JoinToken {
        let all = ["192.0.2.1:7946", "[2001:db8::1]:7946", "198.51.100.7:1", "[fd00::2]:65535"];
        let seeds = all.iter().cycle().take(seeds).map(|seed| seed.parse().expect("an address")).collect();
        let key = Key::from_parts(KeyId::from_bytes([1, 2, 3, 4]), [0xa5; Key::LEN]);
        JoinToken::new(key, seeds).expect("a token")
    }

    #[test]
    fn what_is_shown_is_read() {
        for seeds in 1..=MOST_SEEDS {
            let token = token(seeds);
            assert_eq!(token.to_string().parse(), Ok(token.clone()));
            assert_eq!(format!(" {token}\n").parse(), Ok(token), "copied with what surrounds it");
        }
    }

    #[test]
    fn a_seed_is_one_for_every_host() {
        let key = || Key::from_parts(KeyId::from_bytes([1, 2, 3, 4]), [0xa5; Key::LEN]);
        for (seed, is_one) in [
            ("[fe80::1]:7946", false),
            ("[fe80::1%2]:7946", false),
            ("169.254.1.1:7946", false),
            ("[fd00::1]:7946", true),
            ("192.168.1.1:7946", true),
        ] {
            let seed: SocketAddr = seed.parse().expect("an address");
            assert_eq!(JoinToken::new(key(), vec![seed]).is_ok(), is_one, "{seed}");
        }
    }

    #[test]
    fn every_changed_character_is_found() {
        for seeds in 1..=3 {
            let text = token(seeds).to_string();
            assert!(text.parse::<JoinToken>().is_ok(), "the control");
            for place in 0..text.len() {
                for byte in (b'!'..=b'~').filter(|byte| *byte != text.as_bytes()[place]) {
                    let mut altered = text.clone().into_bytes();
                    altered[place] = byte;
                    let altered = String::from_utf8(altered).expect("ASCII");
                    assert_eq!(altered.parse::<JoinToken>(), Err(TokenError::NoToken), "{altered}");
                }
            }
        }
    }

    #[test]
    fn no_part_of_a_token_is_one_and_nothing_can_be_added() {
        let text = token(2).to_string();
        assert!(text.parse::<JoinToken>().is_ok(), "the control");
        for length in 0..text.len() {
            assert_eq!(text[..length].parse::<JoinToken>(), Err(TokenError::NoToken), "{length}");
        }
        for byte in '!'..='~' {
            assert_eq!(format!("{text}{byte}").parse::<JoinToken>(), Err(TokenError::NoToken), "{byte}");
        }
        assert_eq!(format!("{PREFIX}{}", "A".repeat(4096)).parse::<JoinToken>(), Err(TokenError::NoToken));
    }

    #[test]
    fn a_token_has_seeds() {
        let key = Key::from_parts(KeyId::from_bytes([0; 4]), [0; Key::LEN]);
        let seed = SocketAddr::from(([192, 0, 2, 1], 1));
        for count in [0, MOST_SEEDS + 1] {
            assert_eq!(JoinToken::new(key.clone(), vec![seed; count]), Err(TokenError::Seeds(count)));
        }
        assert!(JoinToken::new(key, vec![seed]).is_ok(), "the control");
    }

    #[test]
    fn no_secret_is_shown() {
        assert!(!format!("{:?}", token(1)).contains("165"), "0xa5");
    }
}
