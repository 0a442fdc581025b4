//! Where the cluster membership and the endpoint table come from.

use std::future::Future;

use crate::event::Event;

mod file;

pub use self::file::{FILE_LIMIT, FileSource};

/// A membership engine.
pub trait Source: Send {
    /// The name of the engine, as in `cluster.engine`.
    fn name(&self) -> &'static str;

    /// Waits for the next change: the whole cluster, or why there is none.
    ///
    /// The first call answers at once. A future that is dropped loses no change.
    fn next(&mut self) -> impl Future<Output = Event> + Send;
}
