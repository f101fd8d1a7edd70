//! The addresses of a relay's own website that lead to one key, and what people are given for the web.

use front::Name;
use front::pages::{Person, SetupLink, setup};
use serde::Serialize;
use wire::account::{Account, Password};
use wire::derive::{Epoch, KeyId, RelayKey, Secret};
use wire::doorway::Doorway;
use wire::target::Target;
use wire::webproxy::{WebAddress, WebLink, WebSecret};

use crate::face::{HouseFace, Link, Links, TelegramLinks};
use crate::house::HTTPS;

/// Where websites speak without TLS.
pub(crate) const PLAIN: u16 = 80;

/// What the files are called that a person's page leads to.
pub(crate) const PAC: &str = "proxy.pac";
pub(crate) const PROFILE: &str = "relay.mobileconfig";
/// What DNS over HTTPS is called there; the relay itself answers.
const NAMES: &str = "dns-query";

/// What a key for the web is good for.
#[derive(Clone, Serialize, Debug)]
pub(crate) struct WebLinks {
    /// Where the relay has a website of its own.
    #[serde(flatten)]
    pub own: Option<OwnLinks>,
    /// Where the key works in clear.
    #[serde(flatten)]
    pub clear: Option<ClearLinks>,
}

/// By TLS, at the relay's own website.
#[derive(Clone, Serialize, Debug)]
pub(crate) struct OwnLinks {
    /// The HTTPS proxy, for programs that take a password with it.
    pub https_proxy: String,
    /// Where browsers find the proxy's address.
    pub pac: String,
    /// Where they are asked for the password.
    pub log_in: String,
    /// DNS over HTTPS.
    pub dns: String,
    pub user: String,
    pub password: String,
    /// The same key's links for Telegram.
    pub telegram: TelegramLinks,
    /// What is to be said about all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_warning: Option<&'static str>,
}

/// In clear, on a port of its own.
#[derive(Clone, Serialize, Debug)]
pub(crate) struct ClearLinks {
    /// SOCKS5 in Telegram's apps.
    #[serde(flatten)]
    pub telegram: Link,
    pub socks5: String,
    pub http: String,
    pub warning: &'static str,
}

const CLEARTEXT_WARNING: &str = "Whoever watches the line or connects to this port can tell that it \
is a proxy, and can read the password and where its user goes. Give it only to people whose network \
does not look for proxies; for Telegram alone, a key without --cleartext is safer.";

const CERTIFICATE_WARNING: &str = "Nobody vouches for this relay's certificate, so browsers warn of \
its pages and use no proxy behind it; --certificate public or --dns-hook gets one that they accept.";

impl ClearLinks {
    pub(crate) fn of(account: &Account) -> Self {
        Self {
            telegram: Link { tg: account.tg(), https: account.https() },
            socks5: account.socks5(),
            http: account.http(),
            warning: CLEARTEXT_WARNING,
        }
    }
}

/// The addresses that lead to one key.
pub(crate) struct Rooms<'a> {
    pub house: &'a HouseFace,
    /// The port of the website.
    pub port: u16,
    pub key: &'a RelayKey,
    pub epoch: Epoch,
    pub id: KeyId,
}

impl Rooms<'_> {
    /// `host:port`, with brackets where they are needed.
    fn authority(&self) -> String {
        let host = &self.house.host;
        let open = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        format!("{open}:{}", self.port)
    }

    /// `https://host`, with the port if it is not the usual one.
    fn site(&self) -> String {
        let authority = self.authority();
        let usual = format!(":{HTTPS}");
        format!("https://{}", authority.strip_suffix(&usual).unwrap_or(&authority))
    }

    pub(crate) fn token(&self, doorway: Doorway) -> String {
        doorway.token(self.key, self.id, self.epoch)
    }

    /// The link of this number to the person's page.
    pub(crate) fn setup_link(&self, number: u32) -> SetupLink {
        SetupLink::of(self.key, self.id, self.epoch, number)
    }

    /// Its address.
    pub(crate) fn page(&self, number: u32) -> String {
        format!("{}/{}", self.site(), self.setup_link(number).token())
    }

    /// The proxy that the PAC file names.
    pub(crate) fn proxy(&self) -> Option<Target> {
        Target::read(&self.authority(), None)
    }

    fn pac(&self) -> String {
        format!("{}/{}/{PAC}", self.site(), self.token(Doorway::Pac))
    }

    /// The URL of the proxy for Apple's devices.
    pub(crate) fn apple_relay(&self) -> String {
        format!("https://{}/", self.authority())
    }

    /// A host that nobody has to find: it is reached by the proxy, which knows it by its first label.
    fn log_in(&self) -> String {
        let name = match self.house.names.first().and_then(|name| name.parse().ok()) {
            Some(Name::Host(name) | Name::Below(name)) => name,
            _ => "invalid".to_owned(),
        };
        format!("http://{}.{name}/", self.token(Doorway::LogIn))
    }

    /// Telegram's WEB proxy, where apps accept the host: they dial port 443 and take no address.
    pub(crate) fn telegram(&self, secret: Secret) -> Option<Link> {
        if !self.house.is_accepted() || self.port != HTTPS {
            return None;
        }
        let address = WebAddress { host: self.house.host.parse().ok()?, path: None };
        let link = WebLink { address, secret: WebSecret::Padded(secret) };
        Some(Link { tg: link.tg(), https: link.https() })
    }

    /// Everything for the web.
    pub(crate) fn links(&self, password: Password, telegram: TelegramLinks) -> OwnLinks {
        let accepted = self.house.is_accepted();
        OwnLinks {
            https_proxy: format!("https://{}:{password}@{}", self.id, self.authority()),
            pac: self.pac(),
            log_in: self.log_in(),
            dns: format!("{}/{}/{NAMES}", self.site(), self.token(Doorway::Dns)),
            user: self.id.to_string(),
            password: password.to_string(),
            telegram,
            certificate_warning: (!accepted).then_some(CERTIFICATE_WARNING),
        }
    }

    /// What stands on the person's page. Of what needs a certificate that browsers accept, nothing
    /// where there is none.
    pub(crate) fn person(&self, links: &Links) -> Person {
        let (telegram, own) = match links {
            Links::Telegram(links) => (Some(&**links), None),
            Links::Web(links) => {
                let own = links.own.as_ref();
                (own.map(|own| &own.telegram), own.filter(|_| self.house.is_accepted()))
            }
        };
        Person {
            telegram: telegram.map(for_page).unwrap_or_default(),
            browser: own.map(|own| setup::Browser {
                pac: own.pac.clone(),
                log_in: own.log_in.clone(),
                user: own.user.clone(),
                password: own.password.clone(),
            }),
            dns: own.map(|own| own.dns.clone()),
            apple: own.map(|_| format!("{}/{}/{PROFILE}", self.site(), self.token(Doorway::Apple))),
            ..Person::default()
        }
    }
}

/// The best link first, and then one that looks different.
fn for_page(links: &TelegramLinks) -> Vec<setup::Telegram> {
    let second = match links.best {
        "ee" => &links.dd,
        _ => &links.ee,
    };
    [Some(links.best()), links.web.as_ref(), Some(second)]
        .into_iter()
        .flatten()
        .map(|Link { tg, https }| setup::Telegram { tg: tg.clone(), https: https.clone() })
        .collect()
}
