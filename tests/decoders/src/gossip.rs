//! The gossip: datagrams of anybody, what a member says in them, and the texts that hold keys.

use overlay_user::decoders::{self, gossip};

use crate::Decoder;

/// Bodies of a peer, each behind its length; and all of it as one datagram of anybody.
pub(crate) const RECEIVER: Decoder = Decoder {
    name: "receiver",
    longest: 4096,
    words: &["oooooooooooooooo", "pppppppppppppppp", "keys", "\0!", "\0\u{1}", "\u{1}\u{2}", "\u{6}"],
    seeds: || vec![gossip::Bodies::of_a_peer().into_bytes()],
    read: receive,
};

/// keyring.json, and a join token.
pub(crate) const KEYS: Decoder = Decoder {
    name: "keys",
    longest: 1024,
    words: &["version", "in_use", "keys", "id", "secret", "overlay1.", "6b657973", "AQEB", "-_", "null"],
    seeds: || gossip::keys().to_vec(),
    read: keys,
};

fn receive(input: &[u8]) -> bool {
    let anybody = gossip::from_anybody(input);
    assert_eq!((anybody.received, anybody.refused, anybody.replies), (1, 1, 0), "{anybody:?}");
    assert!(anybody.messages.is_empty(), "{anybody:?}");
    let made = gossip::from_peer(input);
    assert_eq!(made.received, made.opened + made.refused, "{made:?}");
    assert!(made.messages.len() as u64 <= made.opened, "{made:?}");
    assert!(made.replies as u64 <= made.received, "nothing waits, and all else is answered once: {made:?}");
    let bytes: usize = made.messages.iter().map(Vec::len).sum();
    assert!(bytes <= input.len(), "no more comes out than went in");
    // The first one is what makes the peer known.
    made.opened > 1
}

fn keys(input: &[u8]) -> bool {
    let ring = gossip::ring(input);
    if let Some(ring) = &ring {
        assert_eq!(gossip::ring(ring).as_ref(), Some(ring));
    }
    let token = decoders::text(input).ok().and_then(|text| gossip::token(&text));
    if let Some(token) = &token {
        assert_eq!(gossip::token(token).as_ref(), Some(token));
    }
    ring.is_some() || token.is_some()
}
