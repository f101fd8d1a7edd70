//! The command line of `jaryq hub`.

use std::path::PathBuf;

use clap::Subcommand;
use wire::crack::Network;

use super::cloud_init::BinaryUrl;
use crate::config::Address;
use crate::house::{HTTPS, HouseFlags};

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct HubArgs {
    #[command(subcommand)]
    pub verb: Option<HubVerb>,

    #[command(flatten)]
    pub service: HubService,
}

/// How the hub is to work; the shared ones have the same names in its file of settings.
#[derive(clap::Args)]
pub(crate) struct HubService {
    /// This server's public address or name, for invites; several with commas, the best first
    #[arg(long, value_name = "ADDRESS", env = "JARYQ_ADDRESS", value_delimiter = ',')]
    pub address: Option<Vec<Address>>,

    /// The port of its website, behind which relays and doors are heard
    #[arg(long, value_name = "PORT", default_value_t = HTTPS, value_parser = clap::value_parser!(u16).range(1..))]
    pub listen: u16,

    /// A port of 127.0.0.1 alone, where doors on this machine ask by plain HTTP [default: none]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub local: Option<u16>,

    /// A file whose first line is the passphrase of the fleet key [default: systemd's credential
    /// 'passphrase', or somebody types it]
    #[arg(long, value_name = "FILE", env = "JARYQ_PASSPHRASE_FILE")]
    pub passphrase_file: Option<PathBuf>,

    /// The networks of the country, as in AS9198,AS29355: whose key is used elsewhere is away from
    /// home [default: nobody looks]
    #[arg(long, value_name = "LIST", env = "JARYQ_HOME", value_delimiter = ',', value_parser = number)]
    pub home: Vec<u32>,

    #[command(flatten)]
    pub house: HouseFlags,
}

#[derive(Subcommand)]
pub(crate) enum HubVerb {
    /// Print one line with which one more volunteer joins: jaryq up --join LINE; good once, for an hour
    Invite {
        /// Who volunteers, as you call them; relays of one owner count as one
        #[arg(long, value_name = "NAME")]
        owner: Option<String>,
        /// Print a text for the cloud-init field of any provider's form instead, for people who have
        /// never used ssh
        #[arg(long)]
        cloud_init: bool,
        /// Where that text has this very program downloaded; its SHA-256 is checked [default: from the
        /// hub]
        #[arg(long, value_name = "URL", requires = "cloud_init")]
        binary_url: Option<BinaryUrl>,
    },
    /// Let a relay carry everything that people's keys open, and not only Telegram: for people whom
    /// you know
    Vouch {
        /// The relay's id, or enough of its beginning
        id: String,
    },
    /// Let a relay carry Telegram alone again
    Unvouch {
        /// The relay's id, or enough of its beginning
        id: String,
    },
    /// Have relays answer on every free port, in a cut, or on their usual ones again
    Ports {
        /// 'quiet' or 'all'
        #[arg(value_name = "quiet|all", value_parser = ["quiet", "all"])]
        posture: String,
        /// One relay alone: its id, or enough of its beginning
        #[arg(long, value_name = "ID")]
        relay: Option<String>,
    },
    /// List the relays and how they fare
    Relays,
    /// Count the people who have a seat, and those who wait for one
    People,
    /// Show what was blocked, when, and how many people were seated elsewhere
    Blocks,
    /// Give somebody a way in, by hand: print their links
    Give {
        /// Their network, where you know it: AS9198; their ports are chosen by it
        #[arg(long, value_name = "AS", value_parser = number)]
        network: Option<u32>,
        /// In the name of this door [default: the office's own]
        #[arg(long, value_name = "NAME")]
        door: Option<String>,
    },
    /// Make a bundle of one more person's seats, for people who have to search for a way out
    Bundle {
        /// Their network, where you know it: AS9198; its cracks go with it
        #[arg(long, value_name = "AS", value_parser = number)]
        network: Option<u32>,
        /// In the name of this door [default: the office's own]
        #[arg(long, value_name = "NAME")]
        door: Option<String>,
        /// Where to write it; its owner alone can read it
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Open a channel by which a program gives people their ways in (docs/hub-api.yaml), and print its
    /// token, once; the token it had before ends
    Door {
        /// What it is called
        name: String,
    },
    /// Show the words of whoever signs this fleet's orders and bundles
    Signer,
}

/// A network's number, as in AS9198.
fn number(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(Network::As(number)) => Ok(number),
        _ => Err("a network's number is written as in AS9198".to_owned()),
    }
}
