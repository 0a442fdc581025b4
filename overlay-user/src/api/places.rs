//! Places for connections: a bounded number, and who only holds one gives way to who comes.
//!
//! Without that, a few hundred clients that connect and say nothing would keep everyone else out until they
//! time out.

use std::{
    collections::VecDeque,
    future::Future as _,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

/// How soon to look again for a place, while every connection waits for an answer of ours.
const AGAIN: Duration = Duration::from_millis(100);

/// All places, and who has them, the longest first.
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: VecDeque<Taken>,
}

struct Taken {
    admin: bool,
    busy: Busy,
    leave: oneshot::Sender<()>,
}

/// Whether a request of the connection is being answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Busy(Arc<AtomicBool>);

/// A place, held while this lives.
pub(super) struct Place {
    busy: Busy,
    told: Option<oneshot::Receiver<()>>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), taken: VecDeque::new() }
    }

    /// Takes a place, if need be that of the connection which has waited for its own client the longest;
    /// administrators' go last.
    pub(super) async fn take(&mut self, admin: bool) -> Place {
        self.taken.retain(|taken| !taken.leave.is_closed());
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                break permit;
            }
            self.free_one();
            if let Ok(Ok(permit)) = timeout(AGAIN, Arc::clone(&self.free).acquire_owned()).await {
                break permit;
            }
        };
        let (leave, told) = oneshot::channel();
        let busy = Busy::default();
        self.taken.push_back(Taken { admin, busy: busy.clone(), leave });
        Place { busy, told: Some(told), _permit: permit }
    }

    fn free_one(&mut self) {
        let idle = |taken: &&Taken| !taken.busy.0.load(Ordering::Relaxed);
        let longest = |admin: bool| self.taken.iter().position(|taken| taken.admin == admin && idle(&taken));
        if let Some(taken) = longest(false).or_else(|| longest(true)).and_then(|at| self.taken.remove(at)) {
            // Fails where it ended this instant: the place is free.
            let _ended = taken.leave.send(());
        }
    }
}

impl Place {
    pub(super) fn busy(&self) -> Busy {
        self.busy.clone()
    }

    /// Whether another connection has been given this place; else `cx` is woken when it is.
    pub(super) fn is_lost(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(told) = &mut self.told else { return false };
        match Pin::new(told).poll(cx) {
            Poll::Pending => false,
            Poll::Ready(told) => {
                self.told = None;
                // An error means that nobody is let in any more, and so nobody needs the place.
                told.is_ok()
            }
        }
    }
}

impl Busy {
    /// Keeps the place until what is returned is dropped.
    pub(super) fn hold(&self) -> impl Drop + use<> {
        struct Held(Busy);
        impl Drop for Held {
            fn drop(&mut self) {
                self.0.0.store(false, Ordering::Relaxed);
            }
        }
        self.0.store(true, Ordering::Relaxed);
        Held(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::poll_fn, pin::pin};

    async fn lost(place: &mut Place) -> bool {
        poll_fn(|cx| Poll::Ready(place.is_lost(cx))).await
    }

    /// Has a newcomer wait for a place, and gives back which of `places` was told to leave.
    async fn told(all: &mut Places, places: &mut [&mut Place]) -> Option<usize> {
        let mut newcomer = pin!(all.take(false));
        poll_fn(|cx| Poll::Ready(newcomer.as_mut().poll(cx).is_pending())).await.then_some(())?;
        for (number, place) in places.iter_mut().enumerate() {
            if lost(place).await {
                return Some(number);
            }
        }
        None
    }

    #[tokio::test]
    async fn the_longest_idle_goes_and_administrators_go_last() {
        let mut all = Places::new(3);
        let mut root = all.take(true).await;
        let mut asking = all.take(false).await;
        let mut idle = all.take(false).await;
        let held = asking.busy().hold();
        assert_eq!(told(&mut all, &mut [&mut root, &mut asking, &mut idle]).await, Some(2));
        assert_eq!(told(&mut all, &mut [&mut root, &mut asking, &mut idle]).await, Some(0));
        // Who is being answered stays.
        assert_eq!(told(&mut all, &mut [&mut root, &mut asking, &mut idle]).await, None);
        drop(held);
        assert_eq!(told(&mut all, &mut [&mut root, &mut asking, &mut idle]).await, Some(1));
    }

    #[tokio::test]
    async fn a_free_place_costs_nobody_his() {
        let mut all = Places::new(2);
        let mut first = all.take(false).await;
        let second = all.take(false).await;
        drop(second);
        let third = all.take(false).await;
        assert!(!lost(&mut first).await);
        drop(all);
        assert!(!lost(&mut first).await, "nobody is let in any more");
        drop(third);
    }
}
