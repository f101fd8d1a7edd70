//! What the volunteer should know, without a word about a person.

use std::fmt;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

/// Where notices come out.
pub type NoticeReceiver = mpsc::UnboundedReceiver<Notice>;

/// Something that happened to the public face. Said when it happens; none of them can be provoked by
/// strangers more often than once a minute.
#[derive(Clone, Debug)]
pub enum Notice {
    /// There is no public certificate yet, at a first start; one that nobody vouches for is shown.
    Awaited {
        /// For what.
        names: String,
    },
    /// A public certificate was issued.
    Issued {
        /// For what.
        names: String,
        /// How long it is good.
        until: SystemTime,
    },
    /// A public certificate could not be had; what is there goes on being used.
    NotIssued {
        /// For what.
        names: String,
        /// What went wrong, in the certificate authority's words where there are any.
        why: String,
        /// When it is tried again.
        again_in: Duration,
    },
    /// Certificate files have changed and are in use.
    Reloaded {
        /// For what.
        names: String,
        /// How long it is good.
        until: SystemTime,
    },
    /// Certificate files have changed and cannot be used; the certificate before is still in use.
    BadCertificate(String),
    /// A certificate in use has expired.
    Expired {
        /// For what.
        names: String,
        /// Since when.
        since: SystemTime,
    },
    /// A certificate in use is not valid yet: it is from the future, or the clock is behind.
    NotYetValid {
        /// For what.
        names: String,
        /// From when on it is.
        from: SystemTime,
    },
    /// The certificate authority's clock says something else.
    ClockDiffers {
        /// By how many seconds this server's clock is ahead; negative: behind.
        seconds: i64,
    },
    /// What is kept could not be written.
    CannotKeep(String),
    /// The website that stands behind this one does not answer.
    UpstreamUnreachable(String),
}

impl Notice {
    /// A word for machines.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Awaited { .. } => "certificate-awaited",
            Self::Issued { .. } => "certificate-issued",
            Self::NotIssued { .. } => "certificate-not-issued",
            Self::Reloaded { .. } => "certificate-reloaded",
            Self::BadCertificate(_) => "certificate-bad",
            Self::Expired { .. } => "certificate-expired",
            Self::NotYetValid { .. } => "certificate-not-yet-valid",
            Self::ClockDiffers { .. } => "clock-differs",
            Self::CannotKeep(_) => "cannot-keep",
            Self::UpstreamUnreachable(_) => "site-unreachable",
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |time: &SystemTime| httpdate::fmt_http_date(*time);
        match self {
            Self::Awaited { names } => write!(
                f,
                "the certificate for {names} is not issued yet: browsers refuse what is shown until \
                 then, so send no page and no link for browsers before this says that it was issued"
            ),
            Self::Issued { names, until } => {
                write!(f, "a certificate for {names} was issued; it is good until {}", day(until))
            }
            Self::NotIssued { names, why, again_in } => write!(
                f,
                "no certificate for {names}: {why}; it is tried again in {} min",
                again_in.as_secs().div_ceil(60)
            ),
            Self::Reloaded { names, until } => {
                write!(f, "the new certificate for {names} is in use, good until {}", day(until))
            }
            Self::BadCertificate(why) => {
                write!(f, "the new certificate cannot be used, the one before goes on: {why}")
            }
            Self::Expired { names, since } => write!(
                f,
                "the certificate for {names} expired at {}, or this server's clock is wrong (see \
                 'timedatectl'); visitors are warned",
                day(since)
            ),
            Self::NotYetValid { names, from } => write!(
                f,
                "the certificate for {names} is not valid before {}, or this server's clock is \
                 behind (see 'timedatectl')",
                day(from)
            ),
            Self::ClockDiffers { seconds } => {
                let minutes = seconds.unsigned_abs() / 60;
                let side = if *seconds > 0 { "ahead of" } else { "behind" };
                write!(
                    f,
                    "this server's clock is {minutes} min {side} the certificate authority's (see \
                     'timedatectl')"
                )
            }
            Self::CannotKeep(why) => {
                write!(f, "a certificate could not be kept for the next start: {why}")
            }
            Self::UpstreamUnreachable(why) => {
                write!(f, "the website behind this one does not answer ({why}); visitors see 502")
            }
        }
    }
}

/// Where notices go in.
#[derive(Clone, Debug)]
pub(crate) struct Notices(mpsc::UnboundedSender<Notice>);

impl Notices {
    pub(crate) fn new() -> (Self, NoticeReceiver) {
        let (out, receiver) = mpsc::unbounded_channel();
        (Self(out), receiver)
    }

    pub(crate) fn say(&self, notice: Notice) {
        // Nobody listening is no reason to stop working.
        let _ = self.0.send(notice);
    }
}
