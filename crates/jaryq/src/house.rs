//! A website and a certificate of the relay's own: what was asked for, and what comes of it.

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use data_encoding::HEXLOWER;
use front::{Acme, Dns, DnsProof, Front, Identity, Name, NoticeReceiver, Proof, Site};
use nix::unistd::{AccessFlags, access, geteuid};
use ports::Mode;
use relay::House;
use tokio::time::timeout;
use wire::derive::{Buckets, KeyId};
use wire::webproxy::WebHost;

use crate::address::{is_here, is_public};
use crate::config::{Config, DEFAULT_PORTS};
use crate::desk::Desk;
use crate::face::HouseFace;
use crate::print::Printer;
use crate::rooms::PLAIN;
use crate::root::TLS;
use crate::watch::tell;

/// The port that certificate authorities, browsers and Telegram's WEB proxy dial.
pub(crate) const HTTPS: u16 = 443;
/// How long the name of the website may take to be found.
const NAMES: Duration = Duration::from_secs(5);
/// How long it may take until all name servers of a zone know a record.
const SETTLE: Duration = Duration::from_secs(120);

/// What was asked for; the same names stand in `jaryq.toml`.
#[derive(clap::Args, Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct HouseFlags {
    /// This server's own names, as in example.org or *.example.org, for a website and a certificate
    /// of its own; several with commas, the one for the links first
    #[arg(long, value_name = "NAME", env = "JARYQ_DOMAIN", value_delimiter = ',')]
    pub domain: Option<Vec<Name>>,

    /// Their certificate: a PEM file, or 'public' to ask Let's Encrypt for one, which publishes the
    /// names [default: public with proof in DNS, else one that nobody vouches for]
    #[arg(long, value_name = "public|FILE", env = "JARYQ_CERTIFICATE")]
    pub certificate: Option<CertificateFrom>,

    /// The private key of --certificate FILE
    #[arg(long, value_name = "FILE", env = "JARYQ_KEY")]
    pub key: Option<PathBuf>,

    /// Proof in DNS by a program that is called as PROGRAM present|cleanup NAME VALUE
    #[arg(long, value_name = "PROGRAM", env = "JARYQ_DNS_HOOK")]
    pub dns_hook: Option<PathBuf>,

    /// Proof in DNS by a name server that takes signed updates [default zone: the name's last two
    /// labels]
    #[arg(long, value_name = "HOST[:PORT][/ZONE]", env = "JARYQ_DNS_SERVER")]
    pub dns_server: Option<DnsServer>,

    /// The key for that, as in hmac-sha256:NAME:SECRET, in a file
    #[arg(long, value_name = "FILE", env = "JARYQ_DNS_KEY")]
    pub dns_key: Option<PathBuf>,

    /// The website that everybody without a key sees there: a folder, or the URL of another one
    #[arg(long, value_name = "DIR|URL", env = "JARYQ_SITE")]
    pub site: Option<SiteFrom>,

    /// The directory of another certificate authority than Let's Encrypt
    #[arg(long, value_name = "URL", env = "JARYQ_ACME_DIRECTORY", hide = true)]
    pub acme_directory: Option<String>,

    /// PEM file of authorities that are trusted in asking it
    #[arg(long, value_name = "FILE", env = "JARYQ_ACME_ROOTS", hide = true)]
    pub acme_roots: Option<PathBuf>,
}

/// Where a certificate comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum CertificateFrom {
    Public,
    File(PathBuf),
}

impl FromStr for CertificateFrom {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "public" { Self::Public } else { Self::File(text.into()) })
    }
}

impl fmt::Display for CertificateFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// A name server and the zone that it is to change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DnsServer {
    server: String,
    zone: Option<String>,
}

impl FromStr for DnsServer {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (server, zone) = match text.split_once('/') {
            None => (text, None),
            Some((server, zone)) => (server, Some(zone.trim_end_matches('.').to_owned())),
        };
        let bare = server.trim_start_matches('[').trim_end_matches(']');
        let server = match bare.parse::<std::net::Ipv6Addr>() {
            Ok(ip) => format!("[{ip}]:53"),
            Err(_) if server.contains(':') => server.to_owned(),
            Err(_) => format!("{server}:53"),
        };
        let is_good = server.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if !is_good || zone.as_deref() == Some("") {
            bail!("'{text}' is no name server: give HOST, HOST:PORT or HOST:PORT/ZONE");
        }
        Ok(Self { server, zone })
    }
}

impl fmt::Display for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.server)?;
        self.zone.as_ref().map_or(Ok(()), |zone| write!(f, "/{zone}"))
    }
}

/// What the website is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SiteFrom {
    Directory(PathBuf),
    Url(http::Uri),
}

impl FromStr for SiteFrom {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Url(text.parse().with_context(|| format!("'{text}' is no URL"))?));
        }
        if text.is_empty() || text.contains("://") {
            bail!("'{text}' is no website: give a folder, http://HOST or https://HOST");
        }
        Ok(Self::Directory(text.into()))
    }
}

impl fmt::Display for SiteFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

/// Who vouches for the certificate.
#[derive(Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Vouched {
    /// A public authority, which the relay asks itself.
    Public,
    /// Whoever made the files.
    Files,
    /// Nobody: apps and browsers refuse it.
    Nobody,
}

impl HouseFlags {
    /// Whether there is to be one.
    pub(crate) fn is_wanted(&self) -> bool {
        *self != Self::default()
    }

    /// Whether these settings go together, and with the ports that were asked for.
    pub(crate) fn check(&self, mode: &Mode) -> anyhow::Result<()> {
        let Self { domain, certificate, key, dns_hook, dns_server, dns_key, .. } = self;
        let by_dns = dns_hook.is_some() || dns_server.is_some();
        if let Some(ip) = domain.iter().flatten().find(|name| matches!(name, Name::Address(_))) {
            bail!(
                "--domain takes names, and {ip} is an address; for a certificate for this server's \
                 address, leave --domain away and say --certificate public"
            );
        }
        match (certificate, key) {
            (Some(CertificateFrom::File(_)), None) => {
                bail!("--certificate FILE needs its private key: --key FILE")
            }
            (None | Some(CertificateFrom::Public), Some(_)) => {
                bail!("--key is the private key of --certificate FILE, which is missing")
            }
            (Some(CertificateFrom::File(_)), _) if by_dns => bail!(
                "--certificate FILE needs no proof in DNS; give either the file, or --dns-hook or \
                 --dns-server"
            ),
            (Some(CertificateFrom::File(_)), _) if domain.is_none() => {
                bail!("--certificate FILE needs the names that it is for: --domain NAME")
            }
            _ => {}
        }
        match (dns_hook, dns_server, dns_key) {
            (Some(_), Some(_), _) => bail!("give --dns-hook or --dns-server, not both"),
            (_, Some(_), None) => {
                bail!("--dns-server needs the key that it knows, in a file: --dns-key FILE")
            }
            (_, None, Some(_)) => bail!("--dns-key is for --dns-server, which is missing"),
            _ => {}
        }
        if by_dns && domain.is_none() {
            bail!("proof in DNS is for names: add --domain NAME");
        }
        let star = domain.iter().flatten().find(|name| matches!(name, Name::Below(_)));
        if let (Some(CertificateFrom::Public), Some(star), false) = (certificate, star, by_dns) {
            bail!(
                "a public certificate for {star} needs proof in DNS: add --dns-hook, or --dns-server \
                 and --dns-key"
            );
        }
        if let Some(url) = self.site_here(mode) {
            bail!(
                "--site {url} is this relay itself, by --domain, and would be asked for ever; give a \
                 folder, or the website's own address or port"
            );
        }
        Ok(())
    }

    /// Fails where the website's name leads to this relay: that would be asked for ever. A name that
    /// is not found now is no reason.
    pub(crate) async fn check_site(&self, mode: &Mode, own: &[String]) -> anyhow::Result<()> {
        let Some(SiteFrom::Url(url)) = &self.site else { return Ok(()) };
        let Some((host, port)) = url.host().zip(own_port(url, mode)) else { return Ok(()) };
        let host = host.trim_matches(['[', ']']);
        let found = timeout(NAMES, tokio::net::lookup_host((host, port))).await;
        let mut found = found.into_iter().flatten().flatten();
        let is_own = |ip: IpAddr| is_here(ip) || own.contains(&ip.to_string());
        if let Some(at) = found.find(|at| is_own(at.ip().to_canonical())) {
            bail!(
                "--site {url} is this relay itself, at {at}, and would be asked for ever; give a \
                 folder, or the website's own address or port"
            );
        }
        Ok(())
    }

    /// The URL of the website, where it leads to the relay itself.
    fn site_here(&self, mode: &Mode) -> Option<&http::Uri> {
        let Some(SiteFrom::Url(url)) = &self.site else { return None };
        let host = url.host()?;
        let is_named = self.domain.iter().flatten().any(|name| name.covers(host));
        (is_named && own_port(url, mode).is_some()).then_some(url)
    }

    /// Makes paths independent of where this program was started.
    pub(crate) fn settle(&mut self) -> anyhow::Result<()> {
        let site = self.site.as_mut().and_then(|site| match site {
            SiteFrom::Directory(path) => Some(path),
            SiteFrom::Url(_) => None,
        });
        let certificate = self.certificate.as_mut().and_then(|from| match from {
            CertificateFrom::File(path) => Some(path),
            CertificateFrom::Public => None,
        });
        let others = [&mut self.key, &mut self.dns_hook, &mut self.dns_key, &mut self.acme_roots];
        for path in others.into_iter().flatten().chain(site).chain(certificate) {
            *path = std::path::absolute(&*path)?;
        }
        Ok(())
    }

    /// Who will vouch for the certificate.
    pub(crate) fn vouched(&self) -> Vouched {
        let by_dns = self.dns_hook.is_some() || self.dns_server.is_some();
        match &self.certificate {
            Some(CertificateFrom::File(_)) => Vouched::Files,
            Some(CertificateFrom::Public) => Vouched::Public,
            None if by_dns => Vouched::Public,
            None => Vouched::Nobody,
        }
    }

    /// What the certificate is for: the domain, or else the first address.
    pub(crate) fn names(&self, addresses: &[String]) -> anyhow::Result<Vec<Name>> {
        if let Some(names) = &self.domain {
            return Ok(names.clone());
        }
        let first = addresses.first().context("this server has no address")?;
        let name = first.parse().ok();
        let name = name.with_context(|| format!("no certificate is for {first}; give --domain"))?;
        if let (Vouched::Public, Name::Address(ip)) = (self.vouched(), &name)
            && !is_public(*ip)
        {
            bail!(
                "no authority gives a certificate for {ip}, which nobody outside can reach; say \
                 --address with the public one, or give --domain"
            );
        }
        Ok(vec![name])
    }

    /// How it is proven that names are ours. The key of a name server is read here.
    fn proof(&self, names: &[Name]) -> anyhow::Result<Proof> {
        let by = match (&self.dns_hook, &self.dns_server, &self.dns_key) {
            (Some(hook), ..) => Dns::Hook(hook.clone()),
            (_, Some(DnsServer { server, zone }), Some(file)) => {
                let key = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
                let key = key.trim().parse().with_context(|| format!("in {}", file.display()))?;
                let zone = zone.clone().or_else(|| names.first().map(zone_of));
                Dns::Update { server: server.clone(), zone: zone.unwrap_or_default(), key }
            }
            _ => return Ok(Proof::TlsAlpn),
        };
        Ok(Proof::Dns(DnsProof { by, settle: SETTLE }))
    }

    fn identity(&self, names: &[Name]) -> anyhow::Result<Identity> {
        Ok(match (self.vouched(), &self.certificate, &self.key) {
            (Vouched::Files, Some(CertificateFrom::File(certificate)), Some(key)) => {
                Identity::Files { certificate: certificate.clone(), key: key.clone() }
            }
            (Vouched::Public, ..) => {
                let mut acme = Acme::new(names.to_vec(), self.proof(names)?);
                if let Some(directory) = &self.acme_directory {
                    acme.directory.clone_from(directory);
                }
                acme.roots.clone_from(&self.acme_roots);
                Identity::Public(acme)
            }
            _ => Identity::SelfSigned(names.to_vec()),
        })
    }

    fn site(&self) -> Site {
        match &self.site {
            None => Site::Bare,
            Some(SiteFrom::Directory(path)) => Site::Directory(path.clone()),
            Some(SiteFrom::Url(url)) => Site::Upstream { url: url.clone(), roots: None },
        }
    }

    /// The files that can be lent to whoever cannot read them, and what they are called then.
    pub(crate) fn lendable(&self) -> [(&'static str, Option<&Path>); 4] {
        let certificate = match &self.certificate {
            Some(CertificateFrom::File(path)) => Some(path.as_path()),
            _ => None,
        };
        [
            ("certificate.pem", certificate),
            ("key.pem", self.key.as_deref()),
            ("dns.key", self.dns_key.as_deref()),
            ("acme-roots.pem", self.acme_roots.as_deref()),
        ]
    }

    /// The same with what was lent, where that is all that can be read.
    fn borrowing(&self, folder: &Path) -> Self {
        let opens = |path: &Path| File::open(path).is_ok();
        let [certificate, key, dns_key, acme_roots] = self.lendable().map(|(name, path)| {
            let lent = folder.join(name);
            (path.is_some_and(opens), opens(&lent).then_some(lent))
        });
        let mut flags = self.clone();
        // These two are renewed at the same time, so they are read at the same place.
        if let ((own, Some(certificate)), (own_key, Some(key))) = (certificate, key)
            && !(own && own_key)
        {
            flags.certificate = Some(CertificateFrom::File(certificate));
            flags.key = Some(key);
        }
        for (flag, (is_readable, lent)) in
            [(&mut flags.dns_key, dns_key), (&mut flags.acme_roots, acme_roots)]
        {
            if !is_readable && lent.is_some() {
                *flag = lent;
            }
        }
        flags
    }

    /// The files that must be readable when root is given up.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let certificate = self.certificate.iter().filter_map(|from| match from {
            CertificateFrom::File(path) => Some(path),
            CertificateFrom::Public => None,
        });
        let site = self.site.iter().filter_map(|site| match site {
            SiteFrom::Directory(path) => Some(path),
            SiteFrom::Url(_) => None,
        });
        let others = [&self.key, &self.dns_hook, &self.dns_key, &self.acme_roots];
        certificate.chain(site).chain(others.into_iter().flatten()).map(PathBuf::as_path)
    }
}

/// The port of a URL, if the relay answers there.
fn own_port(url: &http::Uri, mode: &Mode) -> Option<u16> {
    let usual = if url.scheme_str() == Some("http") { PLAIN } else { HTTPS };
    let port = url.port_u16().unwrap_or(usual);
    let is_ours = match mode {
        Mode::List(ports) => ports.as_slice().contains(&port),
        // On all ports, others may be those of a website on the same machine.
        Mode::Quiet | Mode::All => DEFAULT_PORTS.contains(&port),
    };
    is_ours.then_some(port)
}

/// The zone of a name, as a rule.
fn zone_of(name: &Name) -> String {
    let name = name.to_string();
    let labels: Vec<&str> = name.rsplit('.').take(2).collect();
    labels.into_iter().rev().collect::<Vec<_>>().join(".")
}

/// The host that shows a certificate for this name: below a star, with this label.
pub(crate) fn host_of(name: &Name, label: impl fmt::Display) -> String {
    match name {
        Name::Host(host) => host.clone(),
        Name::Below(name) => format!("{label}.{name}"),
        Name::Address(ip) => ip.to_string(),
    }
}

/// One of the labels that the relay has anyway, and always the same one.
pub(crate) fn usual_label(buckets: &Buckets) -> &str {
    buckets.label(buckets.of(KeyId([0; 8])))
}

/// Who else listens on port 443, in a few words; to be asked as root.
pub(crate) fn holder_of_443() -> String {
    let holders = ports::holders().unwrap_or_default();
    let mut theirs = holders.into_iter().filter(|holder| holder.at.port() == HTTPS);
    match theirs.next() {
        None => "nobody listens there now".to_owned(),
        Some(holder) => match holder.program {
            None => "another program holds it".to_owned(),
            Some(it) => format!("{} (process {}) holds it", it.name, it.process),
        },
    }
}

/// Opens it, when root has been given up. What becomes public is said before anybody is asked.
///
/// `not_on_443` says who holds port 443 where the relay does not answer there.
pub(crate) fn open(
    config: &Config,
    addresses: &[String],
    buckets: &Buckets,
    not_on_443: Option<&str>,
    desk: Arc<Desk>,
    printer: &Printer,
) -> anyhow::Result<Option<(House, NoticeReceiver)>> {
    if !config.house.is_wanted() {
        return Ok(None);
    }
    let (front, names, notices) = open_front(config, addresses, not_on_443, printer)?;
    let host: Option<WebHost> =
        names.first().and_then(|name| host_of(name, usual_label(buckets)).parse().ok());
    let web_host = host.filter(|_| config.house.vouched() != Vouched::Nobody);
    Ok(Some((House { front, names, web_host, desk }, notices)))
}

/// The website itself, and what its certificate is for; one for this server's address, that nobody
/// vouches for, where nothing was asked for.
pub(crate) fn open_front(
    config: &Config,
    addresses: &[String],
    not_on_443: Option<&str>,
    printer: &Printer,
) -> anyhow::Result<(Front, Vec<Name>, NoticeReceiver)> {
    let flags = match &config.lent {
        Some(folder) => &config.house.borrowing(folder),
        None => &config.house,
    };
    flags.files().try_for_each(readable)?;
    flags.dns_hook.as_deref().map_or(Ok(()), executable)?;
    let names = flags.names(addresses)?;
    let identity = flags.identity(&names)?;
    if let Identity::Public(acme) = &identity {
        printer.warning("certificate-public", &acme.publishes());
    }
    if let (Identity::Public(Acme { proof: Proof::TlsAlpn, .. }), Some(who)) =
        (&identity, not_on_443)
    {
        let why = format!(
            "a certificate authority dials port 443, and this server does not answer there: {who}; \
             free the port, or prove the name in DNS (--dns-hook)"
        );
        printer.warning("certificate-port", &why);
    }
    let vouched = flags.vouched();
    let mut settings = front::Settings::new(config.state.join(TLS), identity);
    settings.site = flags.site();
    settings.redirect = vouched != Vouched::Nobody && not_on_443.is_none();
    let (front, notices) = Front::open(settings)?;
    Ok((front, names, notices))
}

/// What its links say.
pub(crate) fn face(house: &House, config: &Config, buckets: &Buckets) -> HouseFace {
    HouseFace {
        names: house.names.iter().map(ToString::to_string).collect(),
        vouched: config.house.vouched(),
        host: house
            .names
            .first()
            .map(|name| host_of(name, usual_label(buckets)))
            .unwrap_or_default(),
        fingerprint: house.front.fingerprints().first().map(|print| HEXLOWER.encode(print)),
        has_site: config.house.site.is_some(),
        awaited: house.front.awaits_certificate(),
    }
}

/// Root has been given up by now, for good: what only root may read is of no use later either.
fn readable(path: &Path) -> anyhow::Result<()> {
    let opened = File::open(path);
    let shown = path.display();
    let why = || match &opened {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => format!(
            "cannot read {shown}: the relay gives root up before it reads that, so that it can read \
             a newer one too; let user {user} read it, say with 'setfacl -m u:{user}:rX {shown}', and \
             pass through the folders above",
            user = geteuid()
        ),
        _ => format!("cannot read {shown}"),
    };
    let why = why();
    opened.map(drop).context(why)
}

fn executable(hook: &Path) -> anyhow::Result<()> {
    let shown = hook.display();
    access(hook, AccessFlags::X_OK)
        .with_context(|| format!("user {} cannot run {shown}: 'chmod a+x {shown}'", geteuid()))
}

/// Tells the volunteer what the house has to tell.
pub(crate) async fn pass_on(mut notices: NoticeReceiver, json: bool) {
    while let Some(notice) = notices.recv().await {
        tell(notice.kind(), &notice.to_string(), json);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        flags: HouseFlags,
    }

    fn flags(text: &str) -> HouseFlags {
        let words = ["jaryq"].into_iter().chain(text.split_whitespace());
        Only::try_parse_from(words).unwrap_or_else(|error| panic!("{text}: {error}")).flags
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        for (bad, said) in [
            ("--domain 203.0.113.5", "leave --domain away"),
            ("--domain a.example --certificate c.pem", "--key FILE"),
            ("--domain a.example --key k.pem", "--certificate FILE"),
            ("--domain a.example --certificate public --key k.pem", "--certificate FILE"),
            ("--certificate c.pem --key k.pem", "--domain NAME"),
            ("--domain a.example --certificate c.pem --key k.pem --dns-hook h", "either the file"),
            ("--domain a.example --dns-hook h --dns-server ns.example --dns-key k", "not both"),
            ("--domain a.example --dns-server ns.example", "--dns-key FILE"),
            ("--domain a.example --dns-key k", "--dns-server"),
            ("--dns-hook h", "--domain NAME"),
            ("--domain *.a.example --certificate public", "proof in DNS"),
            ("--domain a.example --site https://a.example", "this relay itself"),
            ("--domain b.example,*.a.example --site http://WWW.a.example/x", "this relay itself"),
        ] {
            let error = flags(bad).check(&Mode::Quiet).expect_err(bad).to_string();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }

    #[test]
    fn a_website_on_a_port_that_is_not_the_relays_may_have_its_name() {
        let flags = flags("--domain a.example --site https://a.example:8444");
        flags.check(&Mode::Quiet).expect("another port");
        let mode = "443,8444".parse().expect("ports");
        flags.check(&mode).expect_err("the relay's port");
    }

    #[tokio::test]
    async fn a_website_whose_name_leads_here_is_refused() {
        let own = ["203.0.113.5".to_owned()];
        for (site, mode, is_here) in [
            ("http://localhost", "80", true),
            ("https://127.0.0.1:8443/x", "443,8443", true),
            ("http://203.0.113.5", "80", true),
            ("http://203.0.113.6", "80", false),
            ("http://localhost:8080", "80", false),
            ("http://nowhere.invalid", "80", false),
            ("http://[::2]", "80", false),
        ] {
            let flags = flags(&format!("--domain a.example --site {site}"));
            let mode = mode.parse().expect("ports");
            assert_eq!(flags.check_site(&mode, &own).await.is_err(), is_here, "{site}");
        }
    }

    #[test]
    fn a_public_certificate_is_for_no_address_that_only_neighbours_reach() {
        let flags = flags("--certificate public");
        for address in ["10.0.0.5", "127.0.0.1", "fd00::1"] {
            assert!(flags.names(&[address.to_owned()]).is_err(), "{address}");
        }
    }

    #[test]
    fn a_hook_that_cannot_be_run_is_said() {
        let dir = tempfile::tempdir().expect("a directory");
        let hook = dir.path().join("hook.sh");
        std::fs::write(&hook, "#!/bin/sh\n").expect("written");
        let error = executable(&hook).expect_err("not executable").to_string();
        assert!(error.contains("chmod"), "{error}");
        std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).expect("set");
        executable(&hook).expect("executable");
    }

    #[test]
    fn no_authority_is_asked_unless_somebody_said_so() {
        for (given, vouched) in [
            ("--domain a.example", Vouched::Nobody),
            ("--site /srv/www", Vouched::Nobody),
            ("--domain a.example --certificate c.pem --key k.pem", Vouched::Files),
            ("--certificate public", Vouched::Public),
            ("--domain a.example,b.example --certificate public", Vouched::Public),
            ("--domain *.a.example --dns-hook h", Vouched::Public),
        ] {
            let flags = flags(given);
            flags.check(&Mode::Quiet).expect(given);
            assert!(flags.is_wanted() && flags.vouched() == vouched, "{given}");
            let names = flags.names(&["203.0.113.5".to_owned()]).expect(given);
            let identity = flags.identity(&names).expect(given);
            let asks = matches!(identity, Identity::Public(_));
            assert_eq!(asks, vouched == Vouched::Public, "{given}");
        }
        assert!(!flags("").is_wanted());
        let address = flags("--certificate public").names(&["203.0.113.5".to_owned()]);
        assert_eq!(address.expect("a name"), ["203.0.113.5".parse().expect("a name")]);
    }

    #[test]
    fn a_name_server_is_told_of_a_zone() {
        for (given, kept) in [
            ("ns.example", "ns.example:53"),
            ("192.0.2.1:5353/example.org.", "192.0.2.1:5353/example.org"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5353/a.b", "[2001:db8::1]:5353/a.b"),
        ] {
            assert_eq!(given.parse::<DnsServer>().expect(given).to_string(), kept);
        }
        for bad in ["", ":53", "ns.example:dns", "ns.example/"] {
            assert!(bad.parse::<DnsServer>().is_err(), "{bad}");
        }
        let name = |text: &str| text.parse::<Name>().expect(text);
        assert_eq!(zone_of(&name("*.relay.example.org")), "example.org");
        assert_eq!(zone_of(&name("example.org")), "example.org");
    }
}
