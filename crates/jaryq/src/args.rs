//! The command line.

use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use ports::Mode;
use relay::{EgressPorts, Mask};
use store::Label;
use wire::account::Account;
use wire::bundle::LONGEST_LIFE;
use wire::crack::Network;
use wire::derive::Form;
use wire::echo::Transport;
use wire::fleet::Invite;

use crate::config::{Address, CleartextPort, DatacentreTable, MetricsPort};
use crate::fleet::{Money, Traffic};
use crate::house::HouseFlags;
use crate::hub::HubArgs;

/// Puts this server to work: people who are cut off from the internet get through it to Telegram,
/// with the app they already have.
#[derive(Parser)]
#[command(name = "jaryq", version, max_term_width = 100, args_override_self = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub verb: Verb,

    #[command(flatten)]
    pub place: Place,

    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
}

/// Where things are; every verb needs to know.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct Place {
    /// Where the relay keeps its keys [default: /var/lib/jaryq as root, else ~/.local/state/jaryq; a hub's:
    /// jaryq-hub there]
    #[arg(long, global = true, value_name = "DIR", env = "JARYQ_STATE")]
    pub state: Option<PathBuf>,

    /// A file with settings [default: /etc/jaryq.toml as root, else ~/.config/jaryq.toml; a hub's:
    /// jaryq-hub.toml there]
    #[arg(long, global = true, value_name = "FILE", env = "JARYQ_CONFIG")]
    pub config: Option<PathBuf>,
}

/// How the relay is to work; the same names stand in `jaryq.toml`.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct Service {
    /// This server's public address or name, for the links; several with commas, the best first
    #[arg(long, value_name = "ADDRESS", env = "JARYQ_ADDRESS", value_delimiter = ',')]
    pub address: Option<Vec<Address>>,

    /// Where to answer: 'quiet' (some usual ports), 'all' (every port that is free; for a cut, since
    /// a machine that answers everywhere can be recognised), or a list as in 443,80,8000-8010, the
    /// first of which stands in the links [default: quiet]
    #[arg(long, value_name = "quiet|all|LIST", env = "JARYQ_PORTS")]
    pub ports: Option<Mode>,

    /// The website that everybody without a key meets: yours, or one that suits this server's place
    #[arg(long, value_name = "HOST[:PORT]", env = "JARYQ_MASK")]
    pub mask: Option<Mask>,

    /// The port of SOCKS5 and HTTP proxies, from 1024 on; open only while a --cleartext key is valid
    #[arg(long, value_name = "PORT", env = "JARYQ_CLEARTEXT_PORT")]
    pub cleartext_port: Option<CleartextPort>,

    /// Ports that browsers and other apps are taken to, as in default,22 [default: web, mail, messaging]
    #[arg(long, value_name = "LIST", env = "JARYQ_EGRESS_PORTS")]
    pub egress_ports: Option<EgressPorts>,

    /// A port from 1024 on, of 127.0.0.1 and ::1 alone, where Prometheus finds /metrics [default: none]
    #[arg(long, value_name = "PORT", env = "JARYQ_METRICS")]
    pub metrics: Option<MetricsPort>,

    /// Where Telegram is, if not where its apps say: 2=192.0.2.1,192.0.2.2:443;203=192.0.2.3
    #[arg(long, value_name = "TABLE", env = "JARYQ_DATACENTRES", hide = true)]
    pub datacentres: Option<DatacentreTable>,

    /// A table of networks, so that receipts name the one that somebody is in: ip2asn-combined.tsv
    /// (iptoasn.com, unpacked) or GeoLite2-ASN.mmdb; nobody is asked anything [default: none]
    #[arg(long, value_name = "FILE", env = "JARYQ_NETWORKS")]
    pub networks: Option<PathBuf>,

    /// An invite: this relay joins the fleet of whoever has sent it, and follows its hub
    #[arg(long, value_name = "INVITE", env = "JARYQ_JOIN")]
    pub join: Option<Invite>,

    /// How much people's traffic may be in a month, as in 2TB; the machine's own is about twice that,
    /// half of it going out [default: any]
    #[arg(long, value_name = "AMOUNT", env = "JARYQ_MONTHLY_TRAFFIC")]
    pub monthly_traffic: Option<Traffic>,

    /// How much it may cost in a month, with --price-per-tb; the smaller of both bounds counts
    #[arg(long, value_name = "MONEY", env = "JARYQ_MONTHLY_MONEY")]
    pub monthly_money: Option<Money>,

    /// What the provider takes for a TB that goes out
    #[arg(long, value_name = "MONEY", env = "JARYQ_PRICE_PER_TB")]
    pub price_per_tb: Option<Money>,

    #[command(flatten)]
    pub house: HouseFlags,

    /// Where 'jaryq lend' has put files that this user cannot read
    #[arg(long, value_name = "DIR", hide = true)]
    pub lent: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Start the relay and print the links to send to people
    Up(Service),
    /// Answer on other ports from now on, until the next start; nobody who is connected notices
    Ports {
        /// 'quiet', 'all' or a list
        #[arg(value_name = "quiet|all|LIST")]
        mode: Mode,
    },
    /// Carry nobody for a while; the hub gives its people other places
    Pause,
    /// Go on carrying
    Resume,
    /// Leave the fleet that this relay has joined, for good
    Leave,
    /// Make, show and end access keys, one for each person and effective at once
    #[command(subcommand)]
    Key(KeyVerb),
    /// Make and look into bundles: relays, keys and known cracks in one signed file, for people who
    /// have to search for a way out
    #[command(subcommand)]
    Bundle(BundleVerb),
    /// Choose whose bundles are used on this machine, by the words of whoever signs them
    Trust(TrustArgs),
    /// Find which ports of a bundle's relays still carry traffic from here, and prove it
    Reach(ReachArgs),
    /// Show what was carried: by day, protocol, datacentre, port and key
    Stats {
        /// How many days, today among them
        #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=400))]
        days: u16,
    },
    /// Run the office of a fleet: volunteers' relays join it, and it gives people their ways in
    Hub(Box<HubArgs>),
    /// Try what an app would do, and say what is wrong, why, and what helps
    Doctor {
        /// The key to try with: its id, or enough of its beginning [default: the first valid one]
        #[arg(long, value_name = "ID")]
        key: Option<String>,
        /// Try it from there too: the SOCKS5 link of a web key on another relay
        #[arg(long, value_name = "LINK")]
        from: Option<Account>,
    },
    /// Make a service of this program that starts with the machine (systemd)
    Install {
        #[command(flatten)]
        service: Service,
        /// Write below this folder, and start nothing
        #[arg(long, value_name = "DIR", hide = true)]
        root: Option<PathBuf>,
    },
    /// Copy the certificate, its key and the like to where the service can read them
    #[command(hide = true)]
    Lend {
        /// The folder; it is made if it is not there
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Whose members may read them
        #[arg(long)]
        group: String,
    },
    /// End the service and remove it; keys and settings stay
    Uninstall {
        /// Remove below this folder, and stop nothing
        #[arg(long, value_name = "DIR", hide = true)]
        root: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
pub(crate) enum KeyVerb {
    /// Make a key for one more person
    New {
        /// What you want to call it; nobody else sees it
        #[arg(long, default_value = "")]
        label: Label,
        /// What it opens: telegram, or web for browsers and other apps
        #[arg(long = "for", value_name = "APP", default_value = "telegram")]
        form: Form,
        /// Let it work in clear, on a port that can be recognised as a proxy; 'web' needs that where
        /// the relay has no website of its own (up --domain)
        #[arg(long)]
        cleartext: bool,
        /// Make that many, with numbered labels
        #[arg(long, default_value = "1", value_parser = at_most_a_thousand)]
        count: NonZeroU16,
    },
    /// List all keys
    List,
    /// Print a key's links again
    Show {
        /// The key's id, or enough of its beginning
        id: String,
        /// With a QR code of the best link
        #[arg(long)]
        qr: bool,
        /// With this port in Telegram's links, where the usual one is blocked
        #[arg(long)]
        port: Option<NonZeroU16>,
    },
    /// Make a new link to a key's page, where the one before was used up or lost; that one leads
    /// nowhere then
    Page {
        /// The key's id, or enough of its beginning
        id: String,
    },
    /// End a key: its links stop working at once, everybody else's go on
    Revoke {
        /// The key's id, or enough of its beginning
        id: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum BundleVerb {
    /// Make a bundle of this relay for one person
    Make(Box<BundleWish>),
    /// Show what is in a bundle, whoever has signed it
    Show {
        /// The bundle's file; - for standard input
        #[arg(value_name = "FILE")]
        from: String,
        /// With its keys, and a link that opens Telegram
        #[arg(long)]
        secrets: bool,
    },
    /// Check that a bundle is as it was signed, by somebody whom you trust, and still good
    Verify {
        /// The bundle's file; - for standard input
        #[arg(value_name = "FILE")]
        from: String,
    },
    /// Show the words of whoever signs this relay's bundles: itself
    Signer,
}

#[derive(clap::Args)]
pub(crate) struct BundleWish {
    /// The key of the person who gets it: its id, or enough of its beginning [default: a new one, which
    /// ends with the bundle]
    #[arg(long = "for", value_name = "ID")]
    pub key: Option<String>,
    /// What you want to call a new key; nobody else sees it
    #[arg(long, default_value = "", conflicts_with = "key")]
    pub label: Label,
    /// With the relays of another bundle, which was made for the same person by somebody whom you
    /// trust; several with commas, eight relays in all
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub with: Vec<String>,
    /// With the cracks that these receipts prove, as people report them; - for standard input
    #[arg(long, value_name = "FILE")]
    pub receipts: Option<String>,
    /// Of those, only the cracks in this network: AS9198, or a name
    #[arg(long, value_name = "NETWORK", requires = "receipts")]
    pub network: Option<Network>,
    /// For how many days it is good, and with it a key that is made for it
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=i64::from(LONGEST_LIFE)))]
    pub days: u16,
    /// Where to write it; its owner alone can read it
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// With a QR code
    #[arg(long)]
    pub qr: bool,
    /// Where to write a QR code as a picture
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// With FILE.minisig beside it, for minisign
    #[arg(long, requires = "output")]
    pub minisig: bool,
}

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct TrustArgs {
    #[command(subcommand)]
    pub verb: Option<TrustVerb>,
    /// A bundle's file (- for standard input), or a signer's key, which begins with RW
    #[arg(value_name = "FILE|KEY", required = true)]
    pub who: Option<String>,
    /// What you want to call them
    #[arg(long, value_name = "NAME")]
    pub name: Option<Label>,
    /// Do not ask whether the words are the right ones
    #[arg(long)]
    pub yes: bool,
}

#[derive(Subcommand)]
pub(crate) enum TrustVerb {
    /// List whom you trust
    List,
    /// Trust somebody no longer
    Remove {
        /// Their key, their name, or their first words
        #[arg(value_name = "KEY|NAME|WORDS")]
        who: String,
    },
}

#[derive(clap::Args)]
pub(crate) struct ReachArgs {
    /// A bundle's file, by somebody whom you trust (jaryq trust); - for standard input
    #[arg(value_name = "BUNDLE")]
    pub bundle: String,
    /// Try all ports, in seconds; your provider can notice that, and a home router may not bear it
    #[arg(long)]
    pub loud: bool,
    /// Your network, where you know it: AS9198, or a name; it stands in receipts
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<Network>,
    /// Begin with these receipts, and add new ones [default: beside the bundle]
    #[arg(long, value_name = "FILE")]
    pub receipts: Option<PathBuf>,
    /// End when so many ports work, 0 for never [default: 3; with --loud, never]
    #[arg(long, value_name = "N")]
    pub enough: Option<usize>,
    /// End after so many minutes [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_080))]
    pub minutes: Option<u32>,
    /// Do not wait a minute to see whether what works goes on working
    #[arg(long)]
    pub brief: bool,
    /// By one transport alone
    #[arg(long, value_name = "tcp|udp")]
    pub only: Option<Transport>,
    /// Show the relays' addresses too
    #[arg(long)]
    pub addresses: bool,
}

fn at_most_a_thousand(text: &str) -> Result<NonZeroU16, String> {
    match text.parse::<NonZeroU16>() {
        Ok(count) if count.get() <= 1000 => Ok(count),
        _ => Err("from 1 to 1000 keys at a time".to_owned()),
    }
}
