//! What is simulated: fleets, censors, and hardships.

use std::str::FromStr;

use anyhow::Context;
use hub::seats::Hours;

/// Relays, and the people who come to them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Fleet {
    pub(super) name: &'static str,
    /// What a censor can block there, in words.
    pub(super) what: &'static str,
    pub(super) people: usize,
    pub(super) relays: u32,
    /// Endpoints that a relay can have at a time.
    pub(super) slots: u32,
    /// New ones that a relay gets, an hour.
    pub(super) fresh: f64,
}

/// All of them.
pub(super) const FLEETS: [Fleet; 4] = [A, B, C, S];

pub(super) const A: Fleet = Fleet {
    name: "A",
    what: "IPv4 addresses, one a relay, four new ones a day",
    people: 100_000,
    relays: 13,
    slots: 1,
    fresh: 4.0 / 24.0,
};
pub(super) const B: Fleet = Fleet {
    name: "B",
    what: "IPv4 addresses, four a relay, two new ones an hour",
    slots: 4,
    fresh: 2.0,
    ..A
};
pub(super) const C: Fleet = Fleet {
    name: "C",
    what: "address and port, or IPv6: 256 a relay, 256 new ones an hour",
    slots: 256,
    fresh: 256.0,
    ..A
};
pub(super) const S: Fleet = Fleet {
    name: "S",
    what: "2 million people, 400 relays, 16 endpoints each, eight new ones an hour",
    people: 2_000_000,
    relays: 400,
    slots: 16,
    fresh: 8.0,
};

/// When an informer informs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Habit {
    /// At once.
    Aggressive,
    /// All at hour 60, and at once from then on.
    Sleeper,
    /// One of ten in each half hour.
    Partial,
    /// At once; and the censor follows one of 500 people who come from an endpoint that it knows.
    ZigZag,
    /// Never.
    #[cfg(test)]
    Silent,
}

/// How long it takes from a report to the block.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Reaction {
    /// Always so long.
    After(Hours),
    /// So long in the mean, each time drawn anew (exponential).
    About(Hours),
}

/// What else goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hardship {
    None,
    /// Of the honest, 5 % log in from abroad once a day, and the relay where they sit says so.
    Travellers,
    /// The same, and one relay says of everybody on it, each half hour, that they are abroad.
    LiesOfLogins,
    /// A tenth of the relays, rounded up, is the censor's, who blocks what is on them.
    BlocksItsOwn,
    /// The same, but it leaves them alone, and follows one of 500 moves of everybody who sat there.
    WatchesItsOwn,
    /// Three relays share a prefix. When four endpoints of one were blocked within a day, all of it is.
    Prefixes,
}

/// One line of the tables.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Cell {
    /// What it is called on the command line.
    pub(super) name: &'static str,
    pub(super) fleet: Fleet,
    /// The share of people who inform.
    pub(super) share: f64,
    pub(super) habit: Habit,
    pub(super) reaction: Reaction,
    pub(super) hardship: Hardship,
}

impl Cell {
    pub(super) const ALL: [Self; 31] = [
        aggressive("S-0.1", S, 1e-3),
        aggressive("A-0.01", A, 1e-4),
        aggressive("A-0.1", A, 1e-3),
        aggressive("A-1", A, 1e-2),
        aggressive("B-0.01", B, 1e-4),
        aggressive("B-0.1", B, 1e-3),
        aggressive("B-1", B, 1e-2),
        aggressive("B-5", B, 5e-2),
        aggressive("C-0.1", C, 1e-3),
        aggressive("C-1", C, 1e-2),
        aggressive("C-5", C, 5e-2),
        Self { habit: Habit::Sleeper, ..aggressive("B-0.1-sleeper", B, 1e-3) },
        Self { habit: Habit::Partial, ..aggressive("B-0.1-partial", B, 1e-3) },
        Self { habit: Habit::ZigZag, ..aggressive("B-0.1-zigzag", B, 1e-3) },
        Self { habit: Habit::Sleeper, ..aggressive("C-1-sleeper", C, 1e-2) },
        Self { habit: Habit::Partial, ..aggressive("C-1-partial", C, 1e-2) },
        Self { habit: Habit::ZigZag, ..aggressive("C-1-zigzag", C, 1e-2) },
        Self { reaction: Reaction::After(6.0), ..aggressive("B-0.1-6h", B, 1e-3) },
        Self { reaction: Reaction::After(6.0), ..aggressive("B-1-6h", B, 1e-2) },
        Self { reaction: Reaction::After(6.0), ..aggressive("C-1-6h", C, 1e-2) },
        Self { reaction: Reaction::About(1.0), ..aggressive("B-0.1-irregular", B, 1e-3) },
        Self { reaction: Reaction::About(1.0), ..aggressive("B-1-irregular", B, 1e-2) },
        Self { reaction: Reaction::About(1.0), ..aggressive("B-5-irregular", B, 5e-2) },
        Self { reaction: Reaction::About(1.0), ..aggressive("C-1-irregular", C, 1e-2) },
        Self { hardship: Hardship::Travellers, ..aggressive("B-0.1-travellers", B, 1e-3) },
        Self { hardship: Hardship::LiesOfLogins, ..aggressive("B-0.1-lies-logins", B, 1e-3) },
        Self { hardship: Hardship::BlocksItsOwn, ..aggressive("B-0.1-own-blocked", B, 1e-3) },
        Self { hardship: Hardship::WatchesItsOwn, ..aggressive("B-0.1-own-watched", B, 1e-3) },
        Self { hardship: Hardship::Prefixes, ..aggressive("B-0.1-prefixes", B, 1e-3) },
        Self { hardship: Hardship::Travellers, ..aggressive("C-1-travellers", C, 1e-2) },
        Self { hardship: Hardship::BlocksItsOwn, ..aggressive("C-1-own-blocked", C, 1e-2) },
    ];

    /// Whether informers tell at once, each endpoint is blocked an hour later, and nothing else is wrong.
    pub(super) fn is_plain(&self) -> bool {
        self.habit == Habit::Aggressive && self.reaction == HOUR && self.hardship == Hardship::None
    }

    /// As in "B, .1 %, sleepers".
    pub(super) fn title(&self) -> String {
        let mut title = format!("{}, {} %", self.fleet.name, self.share * 100.0);
        let (habit, hardship) = (self.habit.name(), self.hardship.name());
        for word in [habit, hardship].into_iter().filter(|word| !word.is_empty()) {
            title += ", ";
            title += word;
        }
        match self.reaction {
            Reaction::After(hours) if self.reaction != HOUR => {
                title += &format!(", after {hours} h");
            }
            Reaction::After(_) => {}
            Reaction::About(_) => title += ", irregular",
        }
        title
    }
}

/// What happened to Telegram proxies in Iran: 1 to 3 hours.
const HOUR: Reaction = Reaction::After(1.0);

const fn aggressive(name: &'static str, fleet: Fleet, share: f64) -> Cell {
    let (habit, hardship) = (Habit::Aggressive, Hardship::None);
    Cell { name, fleet, share, habit, reaction: HOUR, hardship }
}

impl FromStr for Cell {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        let found = Self::ALL.into_iter().find(|cell| cell.name.eq_ignore_ascii_case(name));
        let names = || Self::ALL.map(|cell| cell.name).join(", ");
        found.with_context(|| format!("there are {}", names()))
    }
}

impl Habit {
    fn name(self) -> &'static str {
        match self {
            Self::Aggressive => "",
            Self::Sleeper => "sleepers",
            Self::Partial => "partial",
            Self::ZigZag => "zig-zag",
            #[cfg(test)]
            Self::Silent => "silent",
        }
    }
}

impl Hardship {
    fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Travellers => "travellers",
            Self::LiesOfLogins => "a relay lies of log-ins",
            Self::BlocksItsOwn => "the censor's relays, blocked",
            Self::WatchesItsOwn => "the censor's relays, watching",
            Self::Prefixes => "prefixes blocked",
        }
    }

    /// Whether there are honest people abroad.
    pub(super) fn has_travellers(self) -> bool {
        matches!(self, Self::Travellers | Self::LiesOfLogins)
    }

    /// Whether some relays are the censor's.
    pub(super) fn has_moles(self) -> bool {
        matches!(self, Self::BlocksItsOwn | Self::WatchesItsOwn)
    }
}
