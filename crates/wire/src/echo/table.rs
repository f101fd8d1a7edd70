//! Whose question is it? By a tag of four bytes that each bundle has for ten minutes, and that is
//! hidden under the nonce of each question.

use std::net::IpAddr;
use std::sync::Arc;

use super::dress::Dress;
use super::question::{Keys, WINDOW, hide, mask, tag};
use super::{Answer, BundleId, Climb, EchoKey, LENGTH, MaskKey, Near, Question, SKEW, Wanted, Way};

/// The bundles that a relay answers.
pub struct Table {
    mask: [u8; 32],
    bundles: Arc<[Bundle]>,
    /// The window in the middle, and the tags of it and its neighbours, sorted, with whose they are.
    window: u32,
    tags: Vec<([u8; 4], u32)>,
}

struct Bundle {
    id: BundleId,
    key: EchoKey,
    tags: [u8; 32],
}

/// A question that one of our bundles' holders asked.
pub struct Found {
    /// Whose.
    pub bundle: BundleId,
    /// What.
    pub wanted: Wanted,
    question: Question,
    keys: Keys,
}

impl Table {
    /// Of these bundles, at this time in seconds since 1970. 100,000 of them take half a second and
    /// 10 MB.
    #[must_use]
    pub fn new(
        mask_key: &MaskKey,
        bundles: impl IntoIterator<Item = (BundleId, EchoKey)>,
        now: u32,
    ) -> Self {
        let bundle = |(id, key): (BundleId, EchoKey)| Bundle { id, key, tags: key.tags() };
        Self::at(mask(mask_key), bundles.into_iter().map(bundle).collect(), now / WINDOW)
    }

    /// The same bundles when time has gone on; `None` as long as nothing changes.
    #[must_use]
    pub fn refreshed(&self, now: u32) -> Option<Self> {
        let window = now / WINDOW;
        (window != self.window).then(|| Self::at(self.mask, Arc::clone(&self.bundles), window))
    }

    fn at(mask: [u8; 32], bundles: Arc<[Bundle]>, window: u32) -> Self {
        let windows = [window.wrapping_sub(1), window, window.wrapping_add(1)];
        let of_window = |at| (0..).zip(&*bundles).map(move |(place, b)| (tag(&b.tags, at), place));
        let mut tags: Vec<_> = windows.into_iter().flat_map(of_window).collect();
        tags.sort_unstable();
        Self { mask, bundles, window, tags }
    }

    /// How many bundles there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bundles.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bundles.is_empty()
    }

    /// Opens a question, if it is one of ours and of now. Whether it was answered before, its nonce
    /// tells: see [`Found::nonce`].
    #[must_use]
    pub fn open(&self, question: &Question, now: u32) -> Option<Found> {
        let (nonce, rest) = question.split_first_chunk()?;
        let tag = hide(&self.mask, nonce, *rest.first_chunk()?);
        let from = self.tags.partition_point(|(other, _)| *other < tag);
        self.tags[from..].iter().take_while(|(other, _)| *other == tag).find_map(|(_, place)| {
            let bundle = self.bundles.get(*place as usize)?;
            let keys = bundle.key.keys();
            let wanted = keys.open(question)?;
            let is_fresh = wanted.time.abs_diff(now) <= SKEW;
            is_fresh.then_some(Found { bundle: bundle.id, wanted, question: *question, keys })
        })
    }
}

impl Found {
    /// What no other question has.
    #[must_use]
    pub fn nonce(&self) -> &[u8] {
        &self.question[..super::question::NONCE]
    }

    /// How the asker wants it to look.
    #[must_use]
    pub fn dress(&self) -> Dress {
        self.keys.dress(self.wanted.transport, self.wanted.shape, "")
    }

    /// Whether it may come from there, as the question says.
    #[must_use]
    pub fn may_come_from(&self, ip: IpAddr) -> bool {
        self.wanted.near.is_none_or(|near| near == Near::of(ip))
    }

    /// Seals the answer.
    #[must_use]
    pub fn answer(&self, answer: &Answer) -> [u8; LENGTH] {
        self.keys.answer(&self.question, answer)
    }

    /// What may follow the answer.
    #[must_use]
    pub fn climb(&self) -> Climb {
        self.keys.climb(&self.question, Way::Down)
    }
}
