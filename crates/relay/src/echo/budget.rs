//! How much a bundle may ask: it may have fallen into wrong hands, and nobody is to be kept busy by it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::echo::BundleId;

use crate::Limits;
use crate::clock::unix_seconds_32;

/// A stretch of time in which so many questions are answered, in seconds.
const WINDOW: u32 = 600;

pub(super) struct Budget {
    questions: usize,
    questions_per_bundle: usize,
    climbs: usize,
    climbs_per_bundle: usize,
    now: Arc<Mutex<Now>>,
}

#[derive(Default)]
struct Now {
    window: u32,
    asked: usize,
    climbs: usize,
    /// Those who have asked within this window, or climb.
    books: HashMap<BundleId, Book>,
}

#[derive(Default)]
struct Book {
    asked: usize,
    climbs: Vec<Arc<AtomicBool>>,
}

/// A climb's place, free again when it is dropped.
pub(super) struct Place {
    bundle: BundleId,
    revoked: Arc<AtomicBool>,
    now: Arc<Mutex<Now>>,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        let &Limits { questions, questions_per_bundle, climbs, climbs_per_bundle, .. } = limits;
        Self { questions, questions_per_bundle, climbs, climbs_per_bundle, now: Arc::default() }
    }

    /// Whether one more question may be answered.
    pub(super) fn has_left(&self, bundle: BundleId) -> bool {
        let now = self.now();
        let asked = now.books.get(&bundle).map_or(0, |book| book.asked);
        has_room((now.asked, self.questions), (asked, self.questions_per_bundle))
    }

    /// One more is.
    pub(super) fn spend(&self, bundle: BundleId) {
        let mut now = self.now();
        now.asked += 1;
        now.books.entry(bundle).or_default().asked += 1;
    }

    /// A place for a climb, if there is one.
    pub(super) fn climb(&self, bundle: BundleId) -> Option<Place> {
        let mut now = self.now();
        let all = (now.climbs, self.climbs);
        let book = now.books.entry(bundle).or_default();
        if !has_room(all, (book.climbs.len(), self.climbs_per_bundle)) {
            return None;
        }
        let revoked = Arc::<AtomicBool>::default();
        book.climbs.push(Arc::clone(&revoked));
        now.climbs += 1;
        Some(Place { bundle, revoked, now: Arc::clone(&self.now) })
    }

    /// There are these bundles and no others.
    pub(super) fn keep(&self, bundles: &HashSet<BundleId>) {
        let mut now = self.now();
        let gone = now.books.extract_if(|bundle, _| !bundles.contains(bundle));
        for revoked in gone.flat_map(|(_, book)| book.climbs) {
            revoked.store(true, Ordering::Relaxed);
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        let mut now = lock(&self.now);
        let window = unix_seconds_32() / WINDOW;
        if now.window != window {
            (now.window, now.asked) = (window, 0);
            now.books.retain(|_, book| !book.climbs.is_empty());
            now.books.values_mut().for_each(|book| book.asked = 0);
        }
        now
    }
}

/// Whether there is room for one more, of all and of one bundle's. Once half of it all is used, the
/// rest is for those who use little: a few bundles in wrong hands leave room for all others.
fn has_room((all, most): (usize, usize), (own, most_own): (usize, usize)) -> bool {
    let is_scarce = all >= most / 2;
    let share = if is_scarce { most_own.div_ceil(16) } else { most_own };
    all < most && own < share
}

impl Place {
    /// Whether the bundle is one no longer.
    pub(super) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = lock(&self.now);
        now.climbs -= 1;
        if let Some(book) = now.books.get_mut(&self.bundle) {
            book.climbs.retain(|other| !Arc::ptr_eq(other, &self.revoked));
        }
    }
}

fn lock(now: &Mutex<Now>) -> MutexGuard<'_, Now> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}
