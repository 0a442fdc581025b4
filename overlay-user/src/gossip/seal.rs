//! Seals bodies into datagrams and opens them: XChaCha20-Poly1305 with the session and its counter as the nonce.
//!
//! A datagram is a version, the id of the key, the sender's session and its counter, which are authenticated, and the
//! body, which is encrypted too. A session is 16 random bytes and counts every datagram, so that no nonce comes twice
//! under any key.

use chacha20poly1305::{AeadInOut as _, KeyInit as _, XChaCha20Poly1305};

use super::{
    body::{Body, Session},
    counters::Refusal,
    key::{Key, KeyId},
    shared::SharedRing,
};

/// The longest datagram: what fits the least MTU of IPv6, 1280, behind its header and that of UDP.
pub(super) const LONGEST: usize = 1280 - 40 - 8;
/// The longest body.
pub(super) const LONGEST_BODY: usize = LONGEST - HEADER - TAG;
/// Bytes before the body.
pub(super) const HEADER: usize = 1 + KeyId::LEN + Session::LEN + size_of::<u64>();
/// Bytes after the body.
pub(super) const TAG: usize = 16;

/// The version of a datagram in clear.
const CLEAR: u8 = 0;
/// The version of a sealed one.
const SEALED: u8 = 1;

/// What the datagrams of a socket are sealed with.
#[derive(Clone, Debug)]
pub enum Security {
    /// The key in use; opened with any of them.
    Ring(SharedRing),
    /// Nothing: everybody on the way may read and write. The datagrams of the one kind are not taken by the other.
    Insecure,
}

/// An open datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened<'d> {
    /// The session that sent it.
    pub(super) from: Session,
    /// Its number in that session.
    pub(super) counter: u64,
    /// What it says.
    pub(super) body: Body<'d>,
}

impl Security {
    /// The datagram of a body; none without a key in use.
    pub(super) fn seal(&self, from: Session, counter: u64, body: &Body<'_>) -> Option<Vec<u8>> {
        let key = match self {
            Self::Ring(ring) => Some(ring.in_use()?),
            Self::Insecure => None,
        };
        let mut datagram = Vec::with_capacity(LONGEST);
        datagram.push(if key.is_some() { SEALED } else { CLEAR });
        datagram.extend(key.as_ref().map_or(KeyId::from_bytes([0; KeyId::LEN]), Key::id).to_bytes());
        datagram.extend(from.0);
        datagram.extend(counter.to_be_bytes());
        body.write(&mut datagram);
        if let Some(key) = key {
            let (header, body) = datagram.split_at_mut(HEADER);
            let nonce = nonce(from, counter);
            let tag = cipher(&key).encrypt_inout_detached(&nonce.into(), header, body.into()).ok()?;
            datagram.extend(tag);
        }
        Some(datagram)
    }

    /// What a datagram says. Only one of our version and of a key that we have costs any cryptography.
    pub(super) fn open<'d>(&self, datagram: &'d mut [u8]) -> Result<Opened<'d>, Refusal> {
        if datagram.len() > LONGEST {
            return Err(Refusal::Malformed);
        }
        let (header, rest) = datagram.split_first_chunk_mut::<HEADER>().ok_or(Refusal::Malformed)?;
        let &mut [version, ref key @ .., _, _, _, _, _, _, _, _] = header;
        let (&key, session) = key.split_first_chunk().ok_or(Refusal::Malformed)?;
        let from = Session(session.try_into().map_err(|_| Refusal::Malformed)?);
        let (_, counter) = header.split_last_chunk().ok_or(Refusal::Malformed)?;
        let counter = u64::from_be_bytes(*counter);
        let body = match (self, version) {
            (Self::Insecure, CLEAR) if key == [0; KeyId::LEN] => rest,
            (Self::Ring(ring), SEALED) => {
                let (body, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(Refusal::Malformed)?;
                let key = ring.key(KeyId::from_bytes(key)).ok_or(Refusal::UnknownKey)?;
                let nonce = nonce(from, counter).into();
                cipher(&key)
                    .decrypt_inout_detached(&nonce, header, (&mut *body).into(), &(*tag).into())
                    .map_err(|_| Refusal::Forged)?;
                body
            }
            (Self::Insecure | Self::Ring(_), _) => return Err(Refusal::Malformed),
        };
        let body = Body::parse(body).ok_or(Refusal::Malformed)?;
        Ok(Opened { from, counter, body })
    }

    /// Bytes of the shortest hello, answer or confirmation.
    pub(super) fn small(&self) -> usize {
        HEADER + super::body::SMALL + if matches!(self, Self::Ring(_)) { TAG } else { 0 }
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.secret().into())
}

fn nonce(from: Session, counter: u64) -> [u8; Session::LEN + size_of::<u64>()] {
    let mut nonce = [0; Session::LEN + size_of::<u64>()];
    nonce[..Session::LEN].copy_from_slice(&from.0);
    nonce[Session::LEN..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::{body::Said, ring::KeyRing};

    const FROM: Session = Session([1; Session::LEN]);
    const BODY: Body<'static> =
        Body { to: Session([2; Session::LEN]), said: Said::Answer { echo: 3, cookie: 4 } };

    fn key(number: u8) -> Key {
        Key::from_parts(KeyId::from_bytes([number; KeyId::LEN]), [number; Key::LEN])
    }

    fn ring(number: u8) -> Security {
        Security::Ring(SharedRing::from(KeyRing::unkept(key(number))))
    }

    fn sealed() -> Vec<u8> {
        ring(1).seal(FROM, 5, &BODY).expect("a key")
    }

    #[test]
    fn what_is_sealed_opens_and_shows_nothing_of_the_body() {
        let mut datagram = sealed();
        assert_eq!(datagram.len(), ring(1).small());
        assert!(!datagram.windows(Session::LEN).any(|bytes| bytes == BODY.to.0), "encrypted");
        assert_eq!(ring(1).open(&mut datagram), Ok(Opened { from: FROM, counter: 5, body: BODY }));
    }

    #[test]
    fn no_bit_can_be_changed() {
        assert!(ring(1).open(&mut sealed()).is_ok(), "the control");
        for bit in 0..sealed().len() * 8 {
            let mut datagram = sealed();
            datagram[bit / 8] ^= 1 << (bit % 8);
            let refused = match bit / 8 {
                0 => Refusal::Malformed,
                1..5 => Refusal::UnknownKey,
                _ => Refusal::Forged,
            };
            assert_eq!(ring(1).open(&mut datagram), Err(refused), "bit {bit}");
        }
    }

    #[test]
    fn no_part_of_a_datagram_opens() {
        assert!(ring(1).open(&mut sealed()).is_ok(), "the control");
        for length in 0..sealed().len() {
            let refused = if length < HEADER + TAG { Refusal::Malformed } else { Refusal::Forged };
            assert_eq!(ring(1).open(&mut sealed()[..length]), Err(refused), "{length} bytes");
        }
        let mut long = sealed();
        long.push(0);
        assert_eq!(ring(1).open(&mut long), Err(Refusal::Forged));
        long.resize(LONGEST + 1, 0);
        assert_eq!(ring(1).open(&mut long), Err(Refusal::Malformed));
    }

    #[test]
    fn another_key_does_not_open() {
        assert_eq!(ring(2).open(&mut sealed()), Err(Refusal::UnknownKey));
        let alias = Key::from_parts(key(1).id(), [9; Key::LEN]);
        let alias = Security::Ring(SharedRing::from(KeyRing::unkept(alias)));
        assert_eq!(alias.open(&mut sealed()), Err(Refusal::Forged), "of the same id");
    }

    #[test]
    fn sealed_and_clear_do_not_mix() {
        let mut clear = Security::Insecure.seal(FROM, 5, &BODY).expect("no key is needed");
        assert_eq!(ring(1).open(&mut clear), Err(Refusal::Malformed));
        assert_eq!(Security::Insecure.open(&mut sealed()), Err(Refusal::Malformed));
        assert_eq!(Security::Insecure.open(&mut clear).expect("the control").body, BODY);
        let mut opened = sealed();
        ring(1).open(&mut opened).expect("opens");
        opened[0] = CLEAR;
        assert_eq!(Security::Insecure.open(&mut opened), Err(Refusal::Malformed), "with a key's id");
    }
}
