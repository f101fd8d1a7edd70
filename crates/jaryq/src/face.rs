//! What the world sees of a relay, and the links that follow from it.

use std::net::IpAddr;
use std::num::NonZeroU16;

use anyhow::{Context, bail};
use front::Name;
use ports::{Answers, Mechanism, Ports};
use relay::Mask;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Identity, Key, Store};
use wire::account::{Account, Password};
use wire::derive::{Buckets, Form, KeyId, RelayKey};
use wire::mtproto::{ProxyLink, ProxySecret, ServerName};

use crate::cleartext::InClear;
use crate::config::CleartextPort;
use crate::doors::list;
use crate::house::{HTTPS, Vouched};
use crate::rooms::{ClearLinks, PLAIN, Rooms, WebLinks};

/// How the relay was last started: left in the state by `up`, so that the other commands print the
/// same links.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct Face {
    /// Addresses or names, the one for the links first.
    pub addresses: Vec<String>,
    /// Ports that answer, the one for the links first.
    pub ports: Vec<u16>,
    /// Those of the buckets of its keys that answer as well.
    #[serde(default)]
    pub bucket_ports: Vec<u16>,
    /// Whether it answers on every other free port too.
    pub all_ports: bool,
    /// Where of all these it takes datagrams.
    #[serde(default)]
    pub udp: Udp,
    /// What was asked for: `quiet`, `all` or a list.
    pub mode: String,
    pub mask: Option<String>,
    /// The port of SOCKS5 and HTTP proxies, which is open while somebody has a key for it.
    #[serde(default = "usual_cleartext_port")]
    pub cleartext_port: u16,
    #[serde(default)]
    pub in_clear: InClear,
    /// The relay's process.
    #[serde(default)]
    pub process: u32,
    /// The website and certificate of its own.
    #[serde(default)]
    pub house: Option<HouseFace>,
}

/// Where a relay takes datagrams.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Udp {
    /// Where it takes connections, but for ports of other programs.
    #[default]
    Too,
    /// Of those ports, on the ones from which no program of the machine asks.
    Low,
    Nowhere,
}

impl Udp {
    pub(crate) fn of(ports: &Ports, answers: &Answers) -> Self {
        let has_some = answers.all || answers.ports.len() > answers.without_udp.len();
        match ports.mechanism() {
            _ if ports.why_no_datagrams().is_some() || !has_some => Self::Nowhere,
            Mechanism::SkLookup => Self::Low,
            _ => Self::Too,
        }
    }
}

/// What stands in links of a relay with a website of its own.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct HouseFace {
    /// What its certificate is for, the one for links first.
    pub names: Vec<String>,
    pub vouched: Vouched,
    /// The host at which browsers see that certificate.
    pub host: String,
    /// SHA-256 of a certificate that nobody vouches for, in hexadecimal.
    pub fingerprint: Option<String>,
    /// Whether there is anything at its website.
    #[serde(default)]
    pub has_site: bool,
    /// Whether the certificate was not issued yet, so that browsers refuse what is shown till then.
    #[serde(default)]
    pub awaited: bool,
}

impl HouseFace {
    /// The name that links show, if it is not an address.
    fn name(&self) -> Option<Name> {
        let name = self.names.first()?.parse().ok()?;
        (!matches!(name, Name::Address(_))).then_some(name)
    }

    /// Whether apps and browsers accept the certificate.
    pub(crate) fn is_accepted(&self) -> bool {
        self.vouched != Vouched::Nobody
    }
}

fn usual_cleartext_port() -> u16 {
    CleartextPort::default().0
}

const NOTE: &str = "face";

impl Face {
    pub(crate) async fn save(&self, store: &Store) -> anyhow::Result<()> {
        Ok(store.set_note(NOTE, &serde_json::to_string(self)?).await?)
    }

    /// As it was saved, if the relay was ever started.
    pub(crate) async fn load(store: &Store) -> anyhow::Result<Option<Self>> {
        let text = store.note(NOTE).await?;
        text.map(|text| serde_json::from_str(&text).context("the state is damaged")).transpose()
    }

    /// Where it answers, for a person to read.
    pub(crate) fn ports_for_people(&self) -> String {
        let ports = list(&self.ports);
        match self.bucket_ports.len() {
            0 => ports,
            some => format!("{ports}, and {some} ports that lead to keys"),
        }
    }

    /// Where it answers, for programs.
    pub(crate) fn as_event(&self) -> Value {
        let Self { ports, bucket_ports, all_ports, .. } = self;
        json!({ "event": "ports", "ports": ports, "bucket_ports": bucket_ports, "all": all_ports })
    }

    /// Whether it answers on this port, as far as it said.
    pub(crate) fn answers_on(&self, port: u16) -> bool {
        self.all_ports || self.ports.contains(&port) || self.bucket_ports.contains(&port)
    }
}

/// One link in its two spellings.
#[derive(Clone, Serialize, Debug)]
pub(crate) struct Link {
    pub tg: String,
    pub https: String,
}

/// What a key opens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    pub id: KeyId,
    pub form: Form,
    pub cleartext: bool,
}

impl From<&Key> for Access {
    fn from(key: &Key) -> Self {
        Self { id: key.id, form: key.form, cleartext: key.cleartext }
    }
}

/// What a key's owner is sent.
#[derive(Clone, Serialize, Debug)]
#[serde(untagged)]
pub(crate) enum Links {
    Telegram(Box<TelegramLinks>),
    Web(Box<WebLinks>),
}

/// A Telegram key's links, one of each form.
#[derive(Clone, Serialize, Debug)]
pub(crate) struct TelegramLinks {
    /// The name of the form to send.
    pub best: &'static str,
    pub dd: Link,
    pub ee: Link,
    pub plain: Link,
    /// Telegram's WEB proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<Link>,
    /// What is to be said about a form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ee_is: Option<&'static str>,
}

impl TelegramLinks {
    pub(crate) fn best(&self) -> &Link {
        if self.best == "ee" { &self.ee } else { &self.dd }
    }
}

/// Makes the links of any key of a relay.
pub(crate) struct LinkMaker {
    face: Face,
    key: RelayKey,
    identity: Identity,
    mask: Option<Mask>,
    buckets: Buckets,
    /// The port that was asked for, in place of the best one.
    port: Option<NonZeroU16>,
}

/// Well-known names for fake-TLS links of relays without a mask. They convince nobody who looks
/// twice, which is why such links are called weak; a relay always uses the same one.
const FAMILIAR: [&str; 8] = [
    "www.wikipedia.org",
    "www.google.com",
    "www.microsoft.com",
    "www.apple.com",
    "www.cloudflare.com",
    "www.mozilla.org",
    "www.github.com",
    "www.ubuntu.com",
];

impl LinkMaker {
    pub(crate) fn new(face: Face, identity: &Identity) -> anyhow::Result<Self> {
        let key = identity.relay_key();
        let mask = face.mask.as_deref().map(str::parse).transpose()?;
        let buckets = Buckets::new(&key, identity.epoch());
        Ok(Self { face, key, identity: identity.clone(), mask, buckets, port: None })
    }

    /// Makes links with this port from now on.
    pub(crate) fn with_port(mut self, port: NonZeroU16) -> anyhow::Result<Self> {
        if !self.face.answers_on(port.get()) {
            bail!(
                "the relay does not answer on port {port}; it answers on {} ('jaryq ports' changes \
                 that)",
                self.face.ports_for_people()
            );
        }
        self.port = Some(port);
        Ok(self)
    }

    pub(crate) fn face(&self) -> &Face {
        &self.face
    }

    pub(crate) fn links(&self, key: &Key) -> anyhow::Result<Links> {
        self.links_of(key.into())
    }

    pub(crate) fn links_of(&self, access: Access) -> anyhow::Result<Links> {
        let server = self.face.addresses.first().context("the relay has no address yet")?;
        match access.form {
            Form::Telegram => {
                self.telegram(access.id, server).map(|links| Links::Telegram(Box::new(links)))
            }
            Form::Web => self.web(access, server).map(|links| Links::Web(Box::new(links))),
        }
    }

    /// The addresses of the relay's own website that lead to one key, if there is one.
    pub(crate) fn rooms(&self, id: KeyId) -> Option<Rooms<'_>> {
        let house = self.face.house.as_ref()?;
        let ports = &self.face.ports;
        let usual = ports.iter().find(|port| **port != PLAIN).or(ports.first());
        let port = if ports.contains(&HTTPS) { HTTPS } else { usual.copied().unwrap_or(HTTPS) };
        Some(Rooms { house, port, key: &self.key, epoch: self.identity.epoch(), id })
    }

    fn web(&self, access: Access, server: &str) -> anyhow::Result<WebLinks> {
        let Access { id, form, cleartext } = access;
        let password = Password(self.key.secret(form, id, self.identity.epoch()));
        let port = NonZeroU16::new(self.face.cleartext_port).context("the state is damaged")?;
        let account = Account { server: server.to_owned(), port, user: id, password };
        let own = match self.rooms(id) {
            Some(rooms) => Some(rooms.links(password, self.telegram(id, server)?)),
            None => None,
        };
        Ok(WebLinks { own, clear: cleartext.then(|| ClearLinks::of(&account)) })
    }

    fn telegram(&self, id: KeyId, server: &str) -> anyhow::Result<TelegramLinks> {
        let usual = self.face.ports.first().copied().and_then(NonZeroU16::new);
        let usual = usual.context("the relay answers on no port yet")?;
        let hint = self.port.or_else(|| self.bucket_port(id)).unwrap_or(usual);
        let secret = self.key.secret(Form::Telegram, id, self.identity.epoch());
        let link = |secret, port| {
            let link = ProxyLink { server: server.to_owned(), port, secret };
            Link { tg: link.tg(), https: link.https() }
        };
        let (name, convincing) = self.server_name(id)?;
        // A name that leads to the bucket is hint enough, and the usual port suits it better.
        let has_label = self.own_name(id).is_some_and(|(_, has_label)| has_label);
        let ee_port = if has_label { self.port.unwrap_or(usual) } else { hint };
        let has_house = self.face.house.as_ref().is_some_and(|house| house.name().is_some());
        let (best, ee_is) = match &self.mask {
            None if !has_house => ("dd", Some("weak without --mask or --domain")),
            Some(_) if !convincing => ("dd", Some("weak: give --mask a name, not an address")),
            _ => ("ee", None),
        };
        Ok(TelegramLinks {
            best,
            dd: link(ProxySecret::Padded(secret), hint),
            ee: link(ProxySecret::FakeTls(secret, name), ee_port),
            plain: link(ProxySecret::Plain(secret), hint),
            web: self.rooms(id).and_then(|rooms| rooms.telegram(secret)),
            ee_is,
        })
    }

    /// The port that leads the relay to this key, if it answers there.
    fn bucket_port(&self, id: KeyId) -> Option<NonZeroU16> {
        let port = self.buckets.port(self.buckets.of(id));
        self.face.bucket_ports.contains(&port).then(|| NonZeroU16::new(port))?
    }

    /// The name of the mask, or else of the relay's own website, in a key's link; whether it leads to
    /// the bucket of the key.
    fn own_name(&self, id: KeyId) -> Option<(String, bool)> {
        let labelled = |name: &str| {
            let label = self.buckets.label(self.buckets.of(id));
            (format!("{label}.{name}"), true)
        };
        if let Some(mask) = &self.mask
            && let Some(name) = mask.server_name()
        {
            let name = name.as_str();
            return Some(if mask.is_wildcard() { labelled(name) } else { (name.into(), false) });
        }
        match self.face.house.as_ref()?.name()? {
            Name::Below(name) => Some(labelled(&name)),
            name => Some((name.to_string(), false)),
        }
    }

    /// The name that a key's fake-TLS link shows to whoever watches the line, and whether it is one
    /// that belongs here.
    fn server_name(&self, id: KeyId) -> anyhow::Result<(ServerName, bool)> {
        if let Some((name, _)) = self.own_name(id) {
            return Ok((name.parse()?, true));
        }
        // A relay that is itself known by a name can at least show that.
        let is_name = |address: &&String| address.parse::<IpAddr>().is_err();
        if let Some(own) = self.face.addresses.iter().find(is_name) {
            return Ok((own.parse()?, true));
        }
        let familiar = FAMILIAR[self.key.constant("familiar name", FAMILIAR.len())];
        Ok((familiar.parse()?, false))
    }
}

#[cfg(test)]
mod tests {
    use wire::webproxy::WebLink;

    use super::*;

    async fn maker(address: &str, mask: Option<&str>) -> (LinkMaker, Key) {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).await.expect("opens");
        let key = store.new_key(Default::default(), Form::Telegram).await.expect("made");
        let identity = store.identity().await.expect("an identity");
        let face = Face {
            addresses: vec![address.to_owned()],
            ports: vec![443, 80],
            all_ports: false,
            udp: Udp::Too,
            mode: "quiet".to_owned(),
            mask: mask.map(str::to_owned),
            bucket_ports: Vec::new(),
            cleartext_port: usual_cleartext_port(),
            in_clear: InClear::Closed,
            process: 0,
            house: None,
        };
        (LinkMaker::new(face, &identity).expect("a good face"), key)
    }

    fn telegram(maker: &LinkMaker, key: &Key) -> TelegramLinks {
        match maker.links(key).expect("links") {
            Links::Telegram(links) => *links,
            other => panic!("{other:?}"),
        }
    }

    fn name_in(link: &Link) -> String {
        match link.tg.parse::<ProxyLink>().expect("a link").secret {
            ProxySecret::FakeTls(_, name) => name.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn fake_tls_is_best_where_a_mask_gives_it_a_name_and_else_padding_is() {
        let (maker, key) = maker("203.0.113.5", None).await;
        let links = telegram(&maker, &key);
        assert_eq!((links.best, links.ee_is), ("dd", Some("weak without --mask or --domain")));
        assert_eq!(links.best().tg, links.dd.tg);

        for (address, mask, best, name) in [
            ("203.0.113.5", "orchards.example", "ee", Some("orchards.example")),
            ("203.0.113.5", "127.0.0.1:8443", "dd", None),
            ("relay.example.org", "127.0.0.1:8443", "ee", Some("relay.example.org")),
        ] {
            let (maker, key) = self::maker(address, Some(mask)).await;
            let links = telegram(&maker, &key);
            assert_eq!(links.best, best, "{address} behind {mask}");
            assert!(name.is_none_or(|name| name_in(&links.ee) == name), "{address} behind {mask}");
        }
    }

    #[tokio::test]
    async fn a_port_that_leads_to_the_key_is_in_its_links_where_it_answers() {
        let (mut maker, key) = maker("203.0.113.5", Some("orchards.example")).await;
        let port = |link: &Link| link.tg.parse::<ProxyLink>().expect("a link").port.get();
        let bucket = maker.buckets.port(maker.buckets.of(key.id));
        assert_eq!(port(&telegram(&maker, &key).dd), 443);
        maker.face.bucket_ports = vec![bucket];
        let links = telegram(&maker, &key);
        assert_eq!([&links.plain, &links.dd, &links.ee].map(port), [bucket; 3]);
        let other = NonZeroU16::new(80).expect("a port");
        let links = telegram(&maker.with_port(other).expect("it answers there"), &key);
        assert_eq!([&links.plain, &links.dd, &links.ee].map(port), [80; 3]);

        let (maker, key) = self::maker("203.0.113.5", Some("*.orchards.example")).await;
        let (bucket, shut) = (maker.buckets.port(maker.buckets.of(key.id)), NonZeroU16::MAX);
        let mut maker = maker;
        maker.face.bucket_ports = vec![bucket];
        let links = telegram(&maker, &key);
        assert_eq!([&links.dd, &links.ee].map(port), [bucket, 443], "its name leads there too");
        assert!(maker.with_port(shut).is_err(), "it does not answer there");
    }

    #[tokio::test]
    async fn behind_a_wildcard_each_link_carries_the_label_of_its_keys_bucket() {
        let (maker, key) = maker("203.0.113.5", Some("*.example.org:8443")).await;
        let name = name_in(&telegram(&maker, &key).ee);
        assert_eq!(maker.buckets.at_name(&name), Some(maker.buckets.of(key.id)));
        assert!(name.ends_with(".example.org"), "{name}");
    }

    fn house(name: &str, vouched: Vouched) -> HouseFace {
        let host = name.replace('*', "label");
        let names = vec![name.to_owned()];
        HouseFace { names, vouched, host, fingerprint: None, has_site: true, awaited: false }
    }

    #[tokio::test]
    async fn a_relay_with_names_of_its_own_shows_them_in_its_links() {
        for (name, shown) in
            [("relay.example.org", Some("relay.example.org")), ("*.example.org", None)]
        {
            let (mut maker, key) = maker("203.0.113.5", None).await;
            maker.face.house = Some(house(name, Vouched::Nobody));
            let links = telegram(&maker, &key);
            assert_eq!((links.best, links.ee_is), ("ee", None));
            let label = maker.buckets.label(maker.buckets.of(key.id));
            let labelled = format!("{label}.example.org");
            assert_eq!(name_in(&links.ee), shown.unwrap_or(&labelled));
        }
        let (mut maker, key) = maker("203.0.113.5", Some("orchards.example")).await;
        maker.face.house = Some(house("relay.example.org", Vouched::Nobody));
        assert_eq!(
            name_in(&telegram(&maker, &key).ee),
            "orchards.example",
            "the mask's comes first"
        );
        let (mut maker, key) = self::maker("203.0.113.5", None).await;
        maker.face.house = Some(house("203.0.113.5", Vouched::Public));
        assert_eq!(telegram(&maker, &key).best, "dd", "an address is no name");
    }

    #[tokio::test]
    async fn telegrams_web_proxy_is_offered_where_apps_accept_its_host() {
        for (name, vouched, ports, offered) in [
            ("relay.example.org", Vouched::Files, vec![443], true),
            ("*.example.org", Vouched::Public, vec![8443, 443], true),
            ("relay.example.org", Vouched::Nobody, vec![443], false),
            ("relay.example.org", Vouched::Public, vec![8443], false),
            ("relay.example.org", Vouched::Public, vec![80], false),
            ("203.0.113.5", Vouched::Public, vec![443], false),
        ] {
            let (mut maker, key) = maker("203.0.113.5", None).await;
            maker.face.house = Some(house(name, vouched));
            maker.face.ports = ports;
            let web = telegram(&maker, &key).web;
            assert_eq!(web.is_some(), offered, "{name}, {vouched:?}");
            let link = web.map(|web| web.tg.parse::<WebLink>().expect("a link"));
            assert!(link.is_none_or(|link| link.address.host.as_str().ends_with("example.org")));
        }
    }

    #[tokio::test]
    async fn a_key_for_the_web_speaks_in_clear_only_where_it_may() {
        let (mut maker, key) = maker("203.0.113.5", None).await;
        let web = |maker: &LinkMaker, cleartext| {
            let access = Access { id: key.id, form: Form::Web, cleartext };
            match maker.links_of(access).expect("links") {
                Links::Web(links) => *links,
                other => panic!("{other:?}"),
            }
        };
        assert!(web(&maker, true).own.is_none() && web(&maker, true).clear.is_some());
        maker.face.house = Some(house("relay.example.org", Vouched::Files));
        maker.face.ports = vec![80, 8443];
        let links = web(&maker, false);
        let own = links.own.expect("its own");
        assert!(links.clear.is_none());
        assert!(own.pac.starts_with("https://relay.example.org:8443/"), "{}", own.pac);
        assert!(own.https_proxy.ends_with("@relay.example.org:8443"), "{}", own.https_proxy);
        assert!(own.log_in.starts_with("http://") && own.log_in.ends_with(".relay.example.org/"));
        assert_eq!(own.telegram.best, "ee");
        maker.face.ports = vec![80];
        let own = web(&maker, false).own.expect("its own");
        assert!(own.pac.starts_with("https://relay.example.org:80/"), "{}", own.pac);
    }
}
