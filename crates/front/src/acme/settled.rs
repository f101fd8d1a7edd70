//! Whether all name servers of a zone know a record.
//!
//! They are asked over TCP alone: no answer of somebody else's is taken for theirs.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Resolver, TokioResolver};
use tokio::time::sleep;

/// How often they are asked.
const LOOK: Duration = Duration::from_secs(1);
/// So many are asked: what the root of all names has is enough for any zone.
const MOST: usize = 13;

/// Waits until each name server of its zone shows a TXT record: for ever, where the name is an alias of
/// another (CNAME) or one of them is not to be reached.
pub(super) async fn everywhere(name: &str, value: &str) -> Result<(), NetError> {
    let name = Name::from_ascii(name)?;
    let servers = loop {
        match servers(&name).await {
            Ok(servers) if !servers.is_empty() => break servers,
            Ok(_) | Err(_) => sleep(LOOK).await,
        }
    };
    for server in servers {
        while !shows(&server, &name, value).await {
            sleep(LOOK).await;
        }
    }
    Ok(())
}

/// One for each name server of the nearest zone.
async fn servers(name: &Name) -> Result<Vec<TokioResolver>, NetError> {
    let (config, _) = read_system_conf()?;
    let system = config.name_servers().iter().map(|server| server.ip);
    let system = resolver(system, true)?;
    let mut zone = name.clone();
    while !zone.is_root() {
        let names = match system.lookup(zone.clone(), RecordType::NS).await {
            Ok(answer) => of_zone(&answer, &zone),
            Err(error) if error.is_no_records_found() || error.is_nx_domain() => Vec::new(),
            Err(error) => return Err(error),
        };
        if names.is_empty() {
            zone = zone.base_name();
            continue;
        }
        let mut servers = Vec::new();
        for name in names {
            servers.push(resolver(system.lookup_ip(name).await?.iter(), false)?);
        }
        return Ok(servers);
    }
    Ok(Vec::new())
}

/// The name servers of a zone, and not of another that a star leads to.
fn of_zone(answer: &Lookup, zone: &Name) -> Vec<Name> {
    let own = answer.answers().iter().filter(|record| record.name == *zone);
    let names = own.filter_map(|record| match &record.data {
        RData::NS(name) => Some(name.0.clone()),
        _ => None,
    });
    names.take(MOST).collect()
}

async fn shows(server: &TokioResolver, name: &Name, value: &str) -> bool {
    let Ok(answer) = server.lookup(name.clone(), RecordType::TXT).await else { return false };
    answer.answers().iter().any(|record| match &record.data {
        RData::TXT(text) => text.txt_data.concat() == value.as_bytes(),
        _ => false,
    })
}

/// Asks these, which remember nothing of what they said before.
fn resolver(
    addresses: impl Iterator<Item = IpAddr>,
    recursion: bool,
) -> Result<TokioResolver, NetError> {
    let servers = addresses.map(NameServerConfig::tcp).collect();
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options: &mut ResolverOpts = builder.options_mut();
    options.recursion_desired = recursion;
    options.cache_size = 0;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build()
}
