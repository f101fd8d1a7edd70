//! `jaryq bundle make`.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use hub::cracks::Map;
use nix::unistd::Uid;
use serde_json::json;
use store::{Handout, Identity, Key, Store};
use wire::addresses::forbidden;
use wire::bundle::{Bundle, Datagrams, Endpoint, MOST_PORTS, Ports, QUIET_PORTS, Sealed};
use wire::crack::Hour;
use wire::derive::{Form, KeyId};
use wire::echo::BundleId;
use wire::signer::PublicKey;
use wire::tally::Day;
use wire::trusted::Trusted;

use super::counted;
use super::cracks;
use crate::args::BundleWish;
use crate::face::{Face, Udp};
use crate::key::{day, open};
use crate::ledger::unix;
use crate::print::{Printer, QR_LETTERS, how_it_ended, key_name, qr_svg};
use crate::trust;

pub(super) fn run(wish: &BundleWish, state: &Path, printer: &Printer) -> anyhow::Result<()> {
    if wish.output.is_none() && wish.svg.is_none() && !printer.may_show_links() {
        bail!(
            "a bundle opens the relay, and so it is printed on a terminal only; give --output FILE"
        );
    }
    // While this still may: the state's owner may not.
    let given = Given::read(wish)?;
    let minisig = wish.output.as_ref().filter(|_| wish.minisig).map(|file| {
        let mut name = file.clone().into_os_string();
        name.push(".minisig");
        name.into()
    });
    let output = wish.output.clone().map(Draft::open).transpose()?;
    let minisig = minisig.map(Draft::open).transpose()?;
    let svg = wish.svg.clone().map(Draft::open).transpose()?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let made = runtime.block_on(async {
        let store = open(state).await?;
        let made = make(wish, given, &store).await?;
        store.close().await;
        anyhow::Ok(made)
    })?;
    let text = made.sealed.text() + "\n";
    if let Some(draft) = output {
        draft.write(&text)?;
    }
    if let Some(draft) = minisig {
        draft.write(&made.minisig)?;
    }
    if let Some(draft) = svg {
        draft.write(&qr_svg(&made.sealed.capitals())?)?;
    }
    tell(wish, &made, printer);
    Ok(())
}

/// What is taken from files.
struct Given {
    /// Who is trusted here.
    pinned: Vec<PublicKey>,
    report: Option<String>,
    /// Bundles of other relays, for the same person, whose signers are trusted here.
    others: Vec<Trusted<Bundle>>,
}

impl Given {
    fn read(wish: &BundleWish) -> anyhow::Result<Self> {
        let report = wish.receipts.as_deref().map(trust::read).transpose()?;
        let pinned = trust::pinned()?;
        let open = |from: &String| {
            let opened = Bundle::open(&trust::read(from)?, &pinned, unix());
            opened.with_context(|| format!("--with {}", trust::called(from)))
        };
        let others = wish.with.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { pinned, report, others })
    }
}

struct Made {
    sealed: Sealed,
    minisig: String,
    key: Key,
    /// Cracks that are known, but for which there was no room in a QR code.
    left_out: usize,
    /// Receipts that count.
    receipts: usize,
}

async fn make(wish: &BundleWish, given: Given, store: &Store) -> anyhow::Result<Made> {
    let face = Face::load(store).await?;
    let face = face.context("a bundle can be made once the relay has been started: jaryq up")?;
    let identity = store.identity().await?;
    let signer = identity.signer()?;
    let reached = Reached::from(&face)?;
    let now = unix();
    let mut known = Map::new();
    let mut receipts = 0;
    if let Some(report) = &given.report {
        let signers = [&given.pinned[..], &[signer.public()]].concat();
        receipts = cracks::read(&mut known, report, &signers, wish.network.as_ref(), now);
    }
    let mut addresses: Vec<IpAddr> = reached.addresses().collect();
    let made = Day::at(now);
    let mut expires = Day(made.0 + i64::from(wish.days));
    let mut endpoints = Vec::new();
    for (other, from) in given.others.iter().zip(&wish.with) {
        // What it promises has to be true of all of it.
        expires = expires.min(other.expires);
        let relays: Vec<IpAddr> = other.endpoints.iter().flat_map(Endpoint::addresses).collect();
        if let Some(twice) = relays.iter().find(|relay| addresses.contains(relay)) {
            bail!(
                "--with {}: its relay at {twice} is in the new bundle already; leave this one out",
                trust::called(from)
            );
        }
        addresses.extend(relays);
        endpoints.extend(other.endpoints.iter().cloned());
        known.add_cracks(&other.cracks, Hour::at(now));
    }
    let cracks = known.cracks(None, Hour::at(now));
    // One that is nobody's shows whether all fits, before a key or a bundle is made.
    let draft = |id: BundleId, key: KeyId| {
        let mut all = vec![reached.endpoint(&identity, id, key)];
        all.extend(endpoints.iter().cloned());
        Bundle { id, made, expires, endpoints: all, cracks: cracks.clone() }
    };
    let has_code = wish.qr || wish.svg.is_some();
    let fitted = |mut bundle: Bundle| {
        let mut sealed = bundle.clone().seal(&signer)?;
        while has_code && sealed.capitals().len() > QR_LETTERS {
            if bundle.cracks.pop().is_none() {
                bail!(
                    "{} are too many for a QR code that phones read; send the file (--output)",
                    counted(bundle.endpoints.len(), "relay")
                );
            }
            sealed = bundle.clone().seal(&signer)?;
        }
        Ok(sealed)
    };
    fitted(draft(BundleId::generate(), KeyId([0; 8])))?;

    let given_key = match &wish.key {
        Some(id) => Some(usable(store.key(id).await?, &face)?),
        None => None,
    };
    for (other, from) in given.others.iter().zip(&wish.with) {
        let owner = store.taken_in(other.id).await?;
        is_free(owner, given_key.as_ref())
            .with_context(|| format!("--with {}", trust::called(from)))?;
    }
    let is_keys_own = given_key.is_none();
    let mut key = match given_key {
        Some(key) => key,
        None => store.new_key(wish.label.clone(), Form::Telegram).await?,
    };
    let others: Vec<_> = given.others.iter().map(|other| (other.id, other.expires)).collect();
    let handout = Handout { key: key.id, is_keys_own, made, expires, others: &others };
    let issued = store.new_bundle(handout).await?;
    key.ends = key.ends.or(is_keys_own.then_some(expires)).map(|last| last.max(expires));
    let sealed = fitted(draft(issued.id, key.id))?;
    let comment = format!("jaryq bundle, good until {}", day(expires.start()));
    let minisig = signer.minisig((sealed.text() + "\n").as_bytes(), &comment);
    let left_out = cracks.len() - sealed.bundle().cracks.len();
    Ok(Made { sealed, minisig, key, left_out, receipts })
}

/// A bundle of another relay is for one person: two would have the same keys there.
fn is_free(owner: Option<KeyId>, key: Option<&Key>) -> anyhow::Result<()> {
    let Some(owner) = owner.filter(|owner| key.is_none_or(|key| key.id != *owner)) else {
        return Ok(());
    };
    let short = &owner.to_string()[..8];
    bail!(
        "it is in a bundle for key {short} already, and each person needs one of their own: have \
         another made where it is from, or give --for {short} if it is the same person"
    )
}

/// A key that opens Telegram, as what is in a bundle does.
fn usable(key: Key, face: &Face) -> anyhow::Result<Key> {
    if key.revoked.is_some() {
        bail!(
            "key {} {}; take another, or leave --for out to make one",
            key_name(&key),
            how_it_ended(&key)
        );
    }
    if key.form != Form::Telegram && face.house.is_none() {
        bail!(
            "key {} is for the web, and a bundle opens Telegram; take another, or leave --for out to \
             make one",
            key_name(&key)
        );
    }
    Ok(key)
}

/// Where the relay is reached, in a bundle's words.
struct Reached {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
    ports: Ports,
    datagrams: Datagrams,
}

impl Reached {
    fn from(face: &Face) -> anyhow::Result<Self> {
        let (mut v4, mut v6, mut refused) = (None, None, Vec::new());
        for address in &face.addresses {
            let Ok(ip) = address.parse::<IpAddr>() else {
                refused.push(format!("{address} is a name"));
                continue;
            };
            match (ip, forbidden(ip)) {
                (_, Some(kind)) => refused.push(format!("{ip} is {kind}")),
                (IpAddr::V4(four), None) => v4 = v4.or(Some(four)),
                (IpAddr::V6(six), None) => v6 = v6.or(Some(six)),
            }
        }
        if v4.is_none() && v6.is_none() {
            bail!(
                "a bundle leads to public addresses alone, and this relay knows of none ({}); start it \
                 with its own: jaryq up --address ADDRESS",
                refused.join(", ")
            );
        }
        let datagrams = match face.udp {
            Udp::Too => Datagrams::Everywhere,
            Udp::Low => Datagrams::Low,
            Udp::Nowhere => Datagrams::Nowhere,
        };
        Ok(Self { v4, v6, ports: ports(face)?, datagrams })
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.v4.map(IpAddr::from).into_iter().chain(self.v6.map(IpAddr::from))
    }

    fn endpoint(&self, identity: &Identity, id: BundleId, key: KeyId) -> Endpoint {
        let relay = identity.relay_key();
        Endpoint {
            v4: self.v4,
            v6: self.v6,
            ports: self.ports.clone(),
            datagrams: self.datagrams,
            echo_key: relay.echo_key(id),
            mask_key: relay.mask_key(),
            secret: Some(relay.secret(Form::Telegram, key, identity.epoch())),
        }
    }
}

fn ports(face: &Face) -> anyhow::Result<Ports> {
    if face.all_ports {
        return Ok(Ports::All);
    }
    let has_list = !matches!(face.mode.as_str(), "quiet" | "all");
    if !has_list && QUIET_PORTS.iter().all(|port| face.ports.contains(port)) {
        return Ok(Ports::Quiet);
    }
    let list = face.ports.iter().filter_map(|port| NonZeroU16::new(*port));
    let list: Vec<NonZeroU16> = list.take(MOST_PORTS).collect();
    if list.is_empty() {
        bail!("the relay answers on no port yet; start it: jaryq up");
    }
    Ok(if has_list { Ports::List(list) } else { Ports::First(list) })
}

fn tell(wish: &BundleWish, made: &Made, printer: &Printer) {
    let Made { sealed, key, left_out, receipts, .. } = made;
    let bundle = sealed.bundle();
    let until = day(bundle.expires.start());
    let (output, svg) = (wish.output.as_deref(), wish.svg.as_deref());
    if printer.is_json() {
        return printer.object(&json!({
            "event": "bundle",
            "key": key.id.to_string(),
            "text": output.is_none().then(|| sealed.text()),
            "file": output,
            "svg": svg,
            "expires": until,
            "key_ends": key.ends.map(|last| day(last.start())),
            "endpoints": bundle.endpoints.len(),
            "cracks": bundle.cracks.len(),
            "receipts": receipts,
            "left_out": left_out,
            "signer": trust::key_object(&sealed.signer()),
        }));
    }
    let cracks = match bundle.cracks.len() {
        0 => String::new(),
        some => format!(" and {}", counted(some, "crack")),
    };
    printer.line(format!(
        "A bundle for key {}, with {}{cracks}, good until {until}.",
        key_name(key),
        counted(bundle.endpoints.len(), "relay")
    ));
    printer.line(match key.ends {
        Some(last) => format!("The key's links work until the end of {} too.", day(last.start())),
        None => "The key's links go on after that, until you revoke it.".to_owned(),
    });
    if wish.receipts.is_some() {
        printer.line(format!("{} of the report counted.", counted(*receipts, "receipt")));
    }
    if *left_out > 0 {
        printer.line(format!("{} did not fit into a QR code.", counted(*left_out, "crack")));
    }
    for file in output.into_iter().chain(svg) {
        printer.line(format!("It is in {}.", file.display()));
    }
    if printer.may_show_links() {
        if output.is_none() && svg.is_none() {
            printer.line(format!("Send them this, as it is:\n\n{}", sealed.text()));
        }
        if wish.qr {
            printer.line("");
            printer.qr(&sealed.capitals());
        }
    }
    printer.line(
        "\nSay these words to whoever gets it, by another way than you send it: on the phone, say. They \
         compare them once, when they type 'jaryq trust FILE':\n",
    );
    printer.line(trust::written(&sealed.signer()));
}

/// A file that is opened before root is given up, and written at the end.
pub(crate) struct Draft {
    path: PathBuf,
    file: File,
    is_new: bool,
    is_done: bool,
}

impl Draft {
    /// One that is there already is written over, if it is empty.
    pub(crate) fn open(path: PathBuf) -> anyhow::Result<Self> {
        let is_new = fs::symlink_metadata(&path).is_err();
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let found = file.metadata()?;
        // What is none, such as a pipe, is whose it is.
        if found.is_file() {
            if found.len() > 0 {
                bail!("{} is there already; give another name", path.display());
            }
            if found.uid() != Uid::effective().as_raw() {
                bail!(
                    "{} is there already, and somebody else's; give another name",
                    path.display()
                );
            }
            let own = file.set_permissions(Permissions::from_mode(0o600));
            own.with_context(|| format!("cannot keep {} from others", path.display()))?;
        }
        Ok(Self { path, file, is_new, is_done: false })
    }

    pub(crate) fn write(mut self, text: &str) -> anyhow::Result<()> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("cannot write {}", self.path.display()))?;
        self.is_done = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.is_new && !self.is_done {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_and_empty_becomes_its_owners_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("aunt.jaryq");
        fs::write(&path, "").expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("changed");
        let draft = Draft::open(path.clone()).expect("opened");
        let mode = || fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600, "before anything is written");
        draft.write("secret").expect("written");
        assert_eq!((mode(), fs::read_to_string(&path).expect("read")), (0o600, "secret".into()));
        assert!(Draft::open(path).is_err(), "it is not empty any more");
    }
}
