//! An alarm of the kernel's. The runtime's own timers wake up twice for a moment further away than 64 ms, and a
//! millisecond late.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Rings once at the moment that was set last.
pub struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// An alarm that does not ring; to be made within a runtime.
    // The successor is unsafe, for descriptors that are not their owner's; this one is.
    #[allow(deprecated)]
    pub fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Alarm(AsyncFd::with_interest(timer, Interest::READABLE)?))
    }

    /// Ring at this moment, or at once if it has passed.
    pub fn set(&self, moment: Instant) {
        let left = moment.saturating_duration_since(Instant::now());
        let seconds = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
        // Zero would switch the alarm off.
        let it_value = Timespec { tv_sec: seconds, tv_nsec: i64::from(left.subsec_nanos().max(1)) };
        let never_again = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Itimerspec { it_interval: never_again, it_value };
        let _ = timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &value);
    }

    /// Wait until it rings.
    pub async fn rings(&self) {
        let mut count = [0; 8];
        let read = |timer: &OwnedFd| rustix::io::read(timer, &mut count).map_err(io::Error::from);
        let _ = self.0.async_io(Interest::READABLE, read).await;
    }
}
