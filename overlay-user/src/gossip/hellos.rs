//! Which hellos were answered: each once, so that a recorded one gets nothing.

use std::hash::{BuildHasher as _, RandomState};

use super::body::Session;

/// As many are remembered at most; a later one of the same place takes it.
const PLACES: usize = 1024;

/// The hellos that were answered. Whoever has no key can only repeat what was recorded, and has few of them.
#[derive(Debug)]
pub(super) struct Hellos {
    hash: RandomState,
    /// The hash of the hello that took the place last; 0 of none.
    places: Box<[u64; PLACES]>,
}

impl Hellos {
    pub(super) fn new() -> Self {
        Self { hash: RandomState::new(), places: Box::new([0; PLACES]) }
    }

    /// Whether the hello is not known to have come before; from now on it is.
    pub(super) fn is_fresh(&mut self, from: Session, counter: u64) -> bool {
        let hash = self.hash.hash_one((from, counter)).max(1);
        let place = &mut self.places[hash as usize % PLACES];
        std::mem::replace(place, hash) != hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_repeated_is_known() {
        let mut hellos = Hellos::new();
        let (one, other) = (Session([1; Session::LEN]), Session([2; Session::LEN]));
        assert!(hellos.is_fresh(one, 1));
        for _ in 0..10 {
            assert!(!hellos.is_fresh(one, 1));
        }
        assert!(hellos.is_fresh(one, 2) && hellos.is_fresh(other, 1), "others are not");
    }
}
