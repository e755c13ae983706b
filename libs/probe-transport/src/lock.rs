//! Locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The content of a mutex, whatever a thread that panicked left in it: caches and idle sockets are never half made.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
