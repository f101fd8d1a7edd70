//! Questions that need not be remembered: port, attempt and time give the same one again.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wire::ctr::Ctr;
use wire::echo::question::NONCE;
use wire::echo::{Question, Shape, Wanted};

use crate::Spot;

/// Questions of one stretch of time bear the same time, in seconds.
const STRETCH: u32 = 64;

/// What a search asks.
pub(crate) struct Questions {
    key: [u8; 32],
    began: Instant,
    /// Seconds since 1970 when it began: the clock may be set while we search.
    unix: u64,
}

impl Questions {
    pub(crate) fn new() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { key: wire::random(), began: Instant::now(), unix: unix.as_secs() }
    }

    /// The time that questions bear now.
    pub(crate) fn time(&self) -> u32 {
        let now = self.unix + self.began.elapsed().as_secs();
        u32::try_from(now).unwrap_or(u32::MAX) / STRETCH * STRETCH
    }

    /// Times that questions may bear whose answers come now.
    pub(crate) fn times(&self) -> [u32; 2] {
        let now = self.time();
        [now, now.saturating_sub(STRETCH)]
    }

    /// A question that nobody can make again: for whoever remembers it.
    pub(crate) fn fresh(&self, spot: &Spot, shape: Shape) -> Question {
        self.ask(spot, shape, self.time(), wire::random())
    }

    /// The question of one attempt. An attempt must not be made twice in one transport and time but
    /// with the same shape; its number is below 256.
    pub(crate) fn question(&self, spot: &Spot, shape: Shape, attempt: u8, time: u32) -> Question {
        self.ask(spot, shape, time, self.nonce(spot, shape, attempt, time))
    }

    fn ask(&self, spot: &Spot, shape: Shape, time: u32, nonce: [u8; NONCE]) -> Question {
        let wanted =
            Wanted { transport: spot.transport(), shape, relay: spot.address(), time, near: None };
        spot.asker().ask(&wanted, nonce)
    }

    fn nonce(&self, spot: &Spot, shape: Shape, attempt: u8, time: u32) -> [u8; NONCE] {
        let mut block = [0; 16];
        block[..8].copy_from_slice(&spot.key().to_be_bytes());
        block[8..12].copy_from_slice(&time.to_be_bytes());
        block[12] = shape.number();
        block[13] = attempt;
        let mut noise = [0; 16];
        Ctr::new(&self.key, &block).apply(&mut noise);
        *noise.first_chunk().expect("12 of 16")
    }
}
