//! What the transport has counted, and who was refused last.

use std::{
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use serde::Serialize;

/// Why a datagram was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    UnknownKey,
    Forged,
    Malformed,
    Replayed,
    OtherSession,
    NoRoom,
}

/// Who was refused last, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The address it came from, as the datagram says.
    pub from: SocketAddr,
    /// When.
    pub at: SystemTime,
}

/// What the transport has counted. Each datagram received is counted once more: as opened, or by why it was refused.
#[derive(Debug, Default)]
pub struct Counters {
    received: AtomicU64,
    received_bytes: AtomicU64,
    opened: AtomicU64,
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    unknown_key: AtomicU64,
    forged: AtomicU64,
    malformed: AtomicU64,
    replayed: AtomicU64,
    other_session: AtomicU64,
    no_room: AtomicU64,
    unfinished: AtomicU64,
    unread: AtomicU64,
    unsent: AtomicU64,
    unknown_key_last: Mutex<Option<Refused>>,
    forged_last: Mutex<Option<Refused>>,
}

/// The counters at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Datagrams that came.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Datagrams that were taken.
    pub opened: u64,
    /// Datagrams that went.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Sealed with a key that this node has not.
    pub unknown_key: u64,
    /// Not sealed with the key that they name.
    pub forged: u64,
    /// Not of this format or version, or too long; sealed where this node is insecure, or the other way round.
    pub malformed: u64,
    /// Taken before, or too old to tell.
    pub replayed: u64,
    /// For an earlier opening of this node's socket, or from one of a peer's that it has not shown to be there.
    pub other_session: u64,
    /// Hellos beyond what are answered.
    pub no_room: u64,
    /// Parts of messages that were given up, because the rest did not come.
    pub unfinished: u64,
    /// Messages that are none of the gossip's.
    pub unread: u64,
    /// Messages and datagrams that were not sent: the peer did not answer, or the host refused.
    pub unsent: u64,
    /// Who sent the last one of an unknown key.
    #[serde(skip)]
    pub unknown_key_last: Option<Refused>,
    /// Who sent the last one that was forged.
    #[serde(skip)]
    pub forged_last: Option<Refused>,
}

impl Counters {
    /// What has been counted so far.
    pub fn snapshot(&self) -> Snapshot {
        let last = |last: &Mutex<Option<Refused>>| *last.lock().unwrap_or_else(PoisonError::into_inner);
        Snapshot {
            received: self.received.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
            opened: self.opened.load(Relaxed),
            sent: self.sent.load(Relaxed),
            sent_bytes: self.sent_bytes.load(Relaxed),
            unknown_key: self.unknown_key.load(Relaxed),
            forged: self.forged.load(Relaxed),
            malformed: self.malformed.load(Relaxed),
            replayed: self.replayed.load(Relaxed),
            other_session: self.other_session.load(Relaxed),
            no_room: self.no_room.load(Relaxed),
            unfinished: self.unfinished.load(Relaxed),
            unread: self.unread.load(Relaxed),
            unsent: self.unsent.load(Relaxed),
            unknown_key_last: last(&self.unknown_key_last),
            forged_last: last(&self.forged_last),
        }
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(1, Relaxed);
        self.received_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn opened(&self) {
        self.opened.fetch_add(1, Relaxed);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(1, Relaxed);
        self.sent_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn unfinished(&self, parts: u32) {
        self.unfinished.fetch_add(parts.into(), Relaxed);
    }

    pub(super) fn unread(&self) {
        self.unread.fetch_add(1, Relaxed);
    }

    pub(super) fn unsent(&self) {
        self.unsent.fetch_add(1, Relaxed);
    }

    pub(super) fn refused(&self, why: Refusal, from: SocketAddr) {
        let note = |last: &Mutex<Option<Refused>>| {
            *last.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Refused { from, at: SystemTime::now() });
        };
        let counter = match why {
            Refusal::UnknownKey => {
                note(&self.unknown_key_last);
                &self.unknown_key
            }
            Refusal::Forged => {
                note(&self.forged_last);
                &self.forged
            }
            Refusal::Malformed => &self.malformed,
            Refusal::Replayed => &self.replayed,
            Refusal::OtherSession => &self.other_session,
            Refusal::NoRoom => &self.no_room,
        };
        counter.fetch_add(1, Relaxed);
    }
}

impl Snapshot {
    /// The datagrams that were refused.
    pub fn refused(&self) -> u64 {
        self.unknown_key + self.forged + self.malformed + self.replayed + self.other_session + self.no_room
    }
}
