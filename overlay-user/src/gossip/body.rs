//! What a datagram says once it is open.

use super::fragment::Fragment;

/// One opening of a socket: random, so that nothing that was sent before it is addressed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Session(pub(super) [u8; Session::LEN]);

impl Session {
    pub(super) const LEN: usize = 16;
    /// Nobody's: stands where the other's is not known.
    pub(super) const NOBODY: Self = Self([0; Self::LEN]);
}

/// What is said to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Body<'b> {
    /// The session it is addressed to.
    pub(super) to: Session,
    pub(super) said: Said<'b>,
}

/// What is said. A cookie is a number that comes back from who can be reached at an address, and is soon too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said<'b> {
    /// Who are you?
    Hello { cookie: u64 },
    /// My session is the one that this comes from. Is yours?
    Answer { echo: u64, cookie: u64 },
    /// It is.
    Confirm { echo: u64 },
    /// Send this back.
    Ping { stamp: u64 },
    /// This is what you sent.
    Pong { stamp: u64 },
    /// A part of a message.
    Data(Fragment<'b>),
}

const HELLO: u8 = 1;
const ANSWER: u8 = 2;
const CONFIRM: u8 = 3;
const PING: u8 = 4;
const PONG: u8 = 5;
const DATA: u8 = 6;

/// Bytes of a kind and an address.
pub(super) const HEAD: usize = 1 + Session::LEN;
/// Bytes of what is no data. All are of one length, so that no answer is longer than what asked for it.
pub(super) const SMALL: usize = HEAD + 2 * size_of::<u64>();

impl<'b> Body<'b> {
    /// What the bytes say; none where they are no body.
    pub(super) fn parse(bytes: &'b [u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let (&to, rest) = rest.split_first_chunk()?;
        let to = Session(to);
        let said = if kind == DATA { Said::Data(Fragment::parse(rest)?) } else { small(kind, rest)? };
        // Only who does not know the other's session asks for it.
        let fits = matches!(said, Said::Hello { .. }) == (to == Session::NOBODY);
        fits.then_some(Self { to, said })
    }

    /// Adds the bytes that say it.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        let (kind, one, other) = match self.said {
            Said::Hello { cookie } => (HELLO, 0, cookie),
            Said::Answer { echo, cookie } => (ANSWER, echo, cookie),
            Said::Confirm { echo } => (CONFIRM, echo, 0),
            Said::Ping { stamp } => (PING, stamp, 0),
            Said::Pong { stamp } => (PONG, stamp, 0),
            Said::Data(fragment) => {
                bytes.push(DATA);
                bytes.extend(self.to.0);
                return fragment.write(bytes);
            }
        };
        bytes.push(kind);
        bytes.extend(self.to.0);
        bytes.extend(u64::to_be_bytes(one));
        bytes.extend(u64::to_be_bytes(other));
    }
}

/// What two numbers after a kind say.
fn small(kind: u8, rest: &[u8]) -> Option<Said<'static>> {
    let (&one, rest) = rest.split_first_chunk()?;
    let &other = rest.as_array()?;
    match (kind, u64::from_be_bytes(one), u64::from_be_bytes(other)) {
        (HELLO, 0, cookie) => Some(Said::Hello { cookie }),
        (ANSWER, echo, cookie) => Some(Said::Answer { echo, cookie }),
        (CONFIRM, echo, 0) => Some(Said::Confirm { echo }),
        (PING, stamp, 0) => Some(Said::Ping { stamp }),
        (PONG, stamp, 0) => Some(Said::Pong { stamp }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(body: &Body<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        body.write(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_written_is_read_and_no_part_of_it() {
        let to = Session([7; Session::LEN]);
        let bodies = [
            Body { to: Session::NOBODY, said: Said::Hello { cookie: 3 } },
            Body { to, said: Said::Answer { echo: 4, cookie: 5 } },
            Body { to, said: Said::Confirm { echo: 6 } },
            Body { to, said: Said::Ping { stamp: 7 } },
            Body { to, said: Said::Pong { stamp: 8 } },
        ];
        for body in bodies {
            let mut bytes = written(&body);
            assert_eq!(bytes.len(), SMALL, "{body:?}");
            assert_eq!(Body::parse(&bytes), Some(body));
            for length in 0..SMALL {
                assert_eq!(Body::parse(&bytes[..length]), None, "{length} of {body:?}");
            }
            bytes.push(0);
            assert_eq!(Body::parse(&bytes), None, "more than {body:?}");
        }
    }

    #[test]
    fn only_a_hello_is_addressed_to_nobody() {
        let said = Said::Ping { stamp: 1 };
        assert!(Body::parse(&written(&Body { to: Session([1; Session::LEN]), said })).is_some());
        assert_eq!(Body::parse(&written(&Body { to: Session::NOBODY, said })), None);
        let said = Said::Hello { cookie: 1 };
        assert_eq!(Body::parse(&written(&Body { to: Session([1; Session::LEN]), said })), None);
    }
}
