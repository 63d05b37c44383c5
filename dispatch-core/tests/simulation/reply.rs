//! An answer that somebody else gives, or does not give.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::sim::Sleep;

/// A pair of ends: an answer that is given at most once.
pub(crate) fn reply<T>() -> (Giver<T>, Receiver<T>) {
    let slot = Arc::new(Mutex::new(Slot { answer: None, closed: false, waker: None }));
    (Giver(Arc::clone(&slot)), Receiver(slot))
}

struct Slot<T> {
    answer: Option<T>,
    closed: bool,
    waker: Option<Waker>,
}

/// The end that answers. Dropped without an answer - because its task ended with its process - nobody will answer.
pub(crate) struct Giver<T>(Arc<Mutex<Slot<T>>>);

impl<T> Giver<T> {
    pub(crate) fn give(self, answer: T) {
        self.0.lock().unwrap().answer = Some(answer);
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        let mut slot = self.0.lock().unwrap();
        slot.closed = true;
        slot.waker.take().into_iter().for_each(Waker::wake);
    }
}

/// The end that waits.
pub(crate) struct Receiver<T>(Arc<Mutex<Slot<T>>>);

impl<T> Receiver<T> {
    /// The answer; None if nobody gives one, or if it takes longer than this.
    pub(crate) fn within(self, limit: Sleep) -> Within<T> {
        Within { receiver: self, limit }
    }
}

pub(crate) struct Within<T> {
    receiver: Receiver<T>,
    limit: Sleep,
}

impl<T> Future for Within<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        {
            let mut slot = self.receiver.0.lock().unwrap();
            if let Some(answer) = slot.answer.take() {
                return Poll::Ready(Some(answer));
            }
            if slot.closed {
                return Poll::Ready(None);
            }
            slot.waker = Some(context.waker().clone());
        }
        Pin::new(&mut self.limit).poll(context).map(|()| None)
    }
}
