//! Certificates from a public authority (ACME, RFC 8555): asked for when told to, renewed in time,
//! kept over restarts, and never asked for too often.

mod attempts;
mod client;
mod dns;
mod order;
mod settled;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use crate::certificates::held::list;
use crate::certificates::{Held, Table, self_signed};
use crate::kept::Kept;
use crate::notices::{Notice, Notices};
use crate::{Error, Name};
use attempts::Attempts;
pub use dns::{Dns, DnsProof};

/// Where Let's Encrypt is.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// A certificate to be asked for.
#[derive(Clone, Debug)]
pub struct Acme {
    /// What it is for. A name with a star needs [`Proof::Dns`], an address [`Proof::TlsAlpn`].
    pub names: Vec<Name>,
    /// How it is proven that they are ours.
    pub proof: Proof,
    /// The URL of the authority's directory.
    pub directory: String,
    /// PEM file of authorities that are trusted beside the public ones.
    pub roots: Option<PathBuf>,
    /// The kind of certificate, in the authority's words. Addresses get only `shortlived` ones, good
    /// for six days, and that is what is asked for them if nothing is said here.
    pub profile: Option<String>,
    /// How long it is waited after the first failure; twice as long after each further one, up to a
    /// day, and as long as the authority says if it says so.
    pub patience: Duration,
}

/// How it is proven that names are ours.
#[derive(Clone, Debug)]
pub enum Proof {
    /// By answering on port 443 of each name (tls-alpn-01, RFC 8737).
    TlsAlpn,
    /// By a record in each name's zone (dns-01). No other server needs to be reached.
    Dns(DnsProof),
}

impl Acme {
    /// One from Let's Encrypt.
    #[must_use]
    pub fn new(names: Vec<Name>, proof: Proof) -> Self {
        Self {
            names,
            proof,
            directory: LETS_ENCRYPT.into(),
            roots: None,
            profile: None,
            patience: Duration::from_secs(600),
        }
    }

    /// What becomes public for good by asking: to be shown to the volunteer before it is done.
    #[must_use]
    pub fn publishes(&self) -> String {
        let names = list(&self.names);
        let is_star = self.names.iter().all(|name| matches!(name, Name::Below(_)));
        if is_star {
            format!(
                "{names} will stand in the public lists of certificates (Certificate Transparency) \
                 for good; no host and no address will"
            )
        } else {
            format!(
                "{names} will stand in the public lists of certificates (Certificate Transparency) \
                 for good, seconds after this: censors read them and may block this server"
            )
        }
    }

    /// Whether it makes sense.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let by_dns = matches!(self.proof, Proof::Dns(_));
        for name in &self.names {
            match name {
                Name::Below(_) if !by_dns => return Err(Error::StarNeedsDns(name.clone())),
                Name::Address(_) if by_dns => return Err(Error::AddressNeedsTls(name.clone())),
                _ => {}
            }
        }
        let is_url = self.directory.starts_with("https://");
        if self.names.is_empty() {
            Err(Error::NoNames)
        } else if is_url {
            Ok(())
        } else {
            Err(Error::NoDirectory(self.directory.clone()))
        }
    }

    fn profile(&self) -> Option<&str> {
        let has_address = self.names.iter().any(|name| matches!(name, Name::Address(_)));
        self.profile.as_deref().or(has_address.then_some("shortlived"))
    }

    fn file(&self) -> String {
        format!("public-{}.pem", slug(&self.names, &self.directory))
    }

    /// The one that is kept, or, until there is one, one that nobody vouches for.
    pub(crate) fn kept(&self, kept: &Kept) -> Result<(Held, bool), Error> {
        let file = self.file();
        if let Some(pem) = kept.read(&file)?
            && let Ok(held) = Held::from_pem(&pem, &pem, &file)
        {
            return Ok((held, true));
        }
        Ok((self_signed::make(&self.names)?.1, false))
    }
}

/// Something for a file's name that differs for other names and authorities.
pub(crate) fn slug(names: &[Name], more: &str) -> String {
    let text = format!("{} {more}", list(names));
    HEXLOWER.encode(&digest(&SHA256, text.as_bytes()).as_ref()[..8])
}

/// Keeps one certificate valid.
pub(crate) struct Keeper {
    pub acme: Acme,
    pub place: usize,
    pub table: Arc<Table>,
    pub kept: Kept,
    pub notices: Notices,
    /// How many certificates were not issued yet, this one among them.
    pub awaited: Arc<AtomicUsize>,
}

/// How often is looked at the clock, which may have been set meanwhile.
const LOOK: Duration = Duration::from_secs(3600);

impl Keeper {
    /// Asks for it when it is not there, and again when two thirds of its life are over.
    pub(crate) async fn keep(self, mut held: Option<Arc<Held>>) {
        let mut attempts = Attempts::read(&self.kept, &self.acme);
        let mut due = held.as_deref().map(due);
        let mut in_time = true;
        loop {
            let now = SystemTime::now();
            if let Some(held) = &held {
                let wrong = held.out_of_time(now);
                if let (true, Some(notice)) = (in_time, &wrong) {
                    self.notices.say(notice.clone());
                }
                in_time = wrong.is_none();
            }
            let at = due.unwrap_or(now).max(attempts.next(now));
            if let Ok(wait) = at.duration_since(now)
                && !wait.is_zero()
            {
                tokio::time::sleep(wait.min(LOOK)).await;
                continue;
            }
            attempts.begun(self.acme.patience);
            self.write(|kept| attempts.write(kept));
            match self.ask().await {
                Ok(new) => {
                    let new = Arc::new(new);
                    self.table.show(self.place, &new);
                    self.awaited.fetch_sub(usize::from(held.is_none()), Ordering::Relaxed);
                    let until = new.facts.until;
                    self.notices.say(Notice::Issued { names: new.names(), until });
                    due = Some(self::due(&new));
                    // Were our clock ahead by months, a new one would be due at once.
                    attempts.succeeded(life(&new) / 3);
                    held = Some(new);
                }
                Err(refused) => {
                    let again_in = attempts.failed(self.acme.patience, refused.retry_after);
                    let names = list(&self.acme.names);
                    self.notices.say(Notice::NotIssued { names, why: refused.why, again_in });
                }
            }
            self.write(|kept| attempts.write(kept));
        }
    }

    async fn ask(&self) -> Result<Held, order::Refused> {
        let (certificate, key) = order::ask(&self.acme, self).await?;
        let pem = certificate + &key;
        let held = Held::from_pem(pem.as_bytes(), pem.as_bytes(), "the authority's answer")
            .map_err(order::Refused::because)?;
        self.write(|kept| kept.write(&self.acme.file(), pem.as_bytes()));
        Ok(held)
    }

    /// A full disk is no reason to stop.
    fn write(&self, write: impl FnOnce(&Kept) -> std::io::Result<()>) {
        if let Err(error) = write(&self.kept) {
            self.notices.say(Notice::CannotKeep(error.to_string()));
        }
    }
}

fn life(held: &Held) -> Duration {
    held.facts.until.duration_since(held.facts.from).unwrap_or_default()
}

/// After two thirds of its life; a little earlier, so that not everybody comes at the same time.
fn due(held: &Held) -> SystemTime {
    let life = life(held);
    held.facts.from + life.mul_f64(2.0 / 3.0 - attempts::random() / 24.0)
}
