//! The file of settings, from what was asked for and what was there.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, bail};
use ports::Mode;
use toml_edit::{DocumentMut, Item};

use super::STATE;
use crate::args::{Place, Service};
use crate::config::{fill_from, settle};
use crate::doors::as_written;
use crate::house::HouseFlags;

const HEAD: &str = "# Settings of jaryq; README.md says what there is. What was changed takes effect \
with\n# 'systemctl reload jaryq', or at the next start where the log says so.\n";

/// The file's new text: as it is, but for what was asked for; and the house that comes of both.
pub(super) fn merged(mut service: Service, path: &Path) -> anyhow::Result<(String, HouseFlags)> {
    let old = match fs::read_to_string(path) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let text = merge(&mut service, old).with_context(|| format!("in {}", path.display()))?;
    Ok((text, service.house))
}

fn merge(service: &mut Service, old: Option<String>) -> anyhow::Result<String> {
    settle(service)?;
    let asked = written(service);
    let Some(old) = old else {
        service.house.check(service.ports.as_ref().unwrap_or(&Mode::Quiet))?;
        return Ok(format!("{HEAD}{asked}"));
    };
    // A file that cannot be read would only end the service.
    let mut place = Place::default();
    fill_from(&old, &mut place, service)?;
    if let Some(state) = place.state.filter(|state| state != Path::new(STATE)) {
        bail!(
            "the keys are to be in {}, but a service keeps them in {STATE}; move them there and \
             remove this setting",
            state.display()
        );
    }
    service.house.check(service.ports.as_ref().unwrap_or(&Mode::Quiet))?;
    let mut file: DocumentMut = old.parse()?;
    if file.is_empty() {
        // Comments alone: what is asked for comes after them.
        let end = if old.is_empty() || old.ends_with('\n') { "" } else { "\n" };
        return Ok(format!("{old}{end}{asked}"));
    }
    for (name, item) in asked.parse::<DocumentMut>()?.into_table() {
        put(&mut file, &name, item);
    }
    Ok(file.to_string())
}

/// Sets one thing in a file, with the comments that it has there.
fn put(file: &mut DocumentMut, name: &str, mut item: Item) {
    let Some(old) = file.get_mut(name) else {
        file.insert(name, item);
        return;
    };
    match (&*old, &mut item) {
        (Item::Value(old), Item::Value(new)) => *new.decor_mut() = old.decor().clone(),
        (Item::Table(old), Item::Table(new)) => {
            *new.decor_mut() = old.decor().clone();
            new.set_position(old.position());
        }
        _ => {}
    }
    *old = item;
}

/// Settings as the file has them.
fn written(service: &Service) -> String {
    let Service { address, ports, mask, cleartext_port, egress_ports, metrics, .. } = service;
    let Service { datacentres, networks, house, join, .. } = service;
    let Service { monthly_traffic, monthly_money, price_per_tb, .. } = service;
    let lines = [
        ("address", address.as_ref().map(|all| list(all))),
        ("ports", ports.as_ref().map(|mode| quoted(&as_written(mode)))),
        ("mask", mask.as_ref().map(|mask| quoted(&mask.to_string()))),
        ("cleartext_port", cleartext_port.map(|port| port.0.to_string())),
        ("egress_ports", egress_ports.as_ref().map(|ports| quoted(&ports.to_string()))),
        ("metrics", metrics.map(|port| port.0.to_string())),
        ("networks", networks.as_deref().map(path)),
        ("join", join.as_ref().map(|invite| quoted(&invite.text()))),
        ("monthly_traffic", monthly_traffic.map(|traffic| quoted(&traffic.to_string()))),
        ("monthly_money", monthly_money.map(|money| money.to_string())),
        ("price_per_tb", price_per_tb.map(|money| money.to_string())),
        ("domain", house.domain.as_ref().map(|all| list(all))),
        ("certificate", house.certificate.as_ref().map(|from| quoted(&from.to_string()))),
        ("key", house.key.as_deref().map(path)),
        ("dns_hook", house.dns_hook.as_deref().map(path)),
        ("dns_server", house.dns_server.as_ref().map(|server| quoted(&server.to_string()))),
        ("dns_key", house.dns_key.as_deref().map(path)),
        ("site", house.site.as_ref().map(|site| quoted(&site.to_string()))),
        ("acme_directory", house.acme_directory.as_deref().map(quoted)),
        ("acme_roots", house.acme_roots.as_deref().map(path)),
        // A table, so it is the last.
        ("[datacentres]", datacentres.as_ref().map(ToString::to_string)),
    ];
    let line = |(name, value): (&str, Option<String>)| {
        let value = value?;
        let between = if name.starts_with('[') { "\n" } else { " = " };
        Some(format!("{name}{between}{value}\n"))
    };
    lines.into_iter().filter_map(line).collect()
}

fn list(all: &[impl ToString]) -> String {
    let all: Vec<String> = all.iter().map(|one| quoted(&one.to_string())).collect();
    format!("[{}]", all.join(", "))
}

fn path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// As a string of TOML, which escapes as JSON does; a path may have anything in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::fleet::{HubAddress, Invite, Pin};
    use wire::signer::PublicKey;

    fn invite() -> Invite {
        let hub = vec![HubAddress { host: "203.0.113.9".to_owned(), port: 443 }];
        let (signer, pin) = (PublicKey([3; 32]), Pin::Certificate([4; 32]));
        Invite { token: [1; 16], room: [2; 16], signer, pin, hub }
    }

    fn asked() -> Service {
        Service {
            address: Some(vec!["203.0.113.5".parse().expect("an address")]),
            ports: "443,8000-8010".parse().ok(),
            mask: "*.example.org:4443".parse().ok(),
            cleartext_port: "1081".parse().ok(),
            egress_ports: "default,22".parse().ok(),
            metrics: "9464".parse().ok(),
            datacentres: "2=192.0.2.1,[2001:db8::1]:443;203=192.0.2.3".parse().ok(),
            networks: Some("/var/lib/networks.tsv".into()),
            house: HouseFlags {
                domain: Some(vec!["*.example.org".parse().expect("a name")]),
                dns_server: "192.0.2.9/example.org".parse().ok(),
                dns_key: Some("/etc/jaryq/tsig \"key\"".into()),
                site: "/srv/www".parse().ok(),
                ..HouseFlags::default()
            },
            lent: None,
            join: Some(invite()),
            monthly_traffic: "1.5TB".parse().ok(),
            monthly_money: "5".parse().ok(),
            price_per_tb: "1.25".parse().ok(),
        }
    }

    #[test]
    fn what_was_asked_for_is_read_back_from_the_file() {
        let text = merge(&mut asked(), None).expect("written");
        let mut read = Service::default();
        fill_from(&text, &mut Place::default(), &mut read).expect("a good file");
        assert_eq!(written(&read), written(&asked()));
        assert_eq!(read.house, asked().house);
        assert!(written(&read).contains("mask = \"*.example.org:4443\"\n"), "{text}");
    }

    #[test]
    fn what_was_not_asked_for_stays_as_the_file_says() {
        let old = "# mine\nports = 443 # since May\n\nmask = \"a.example\" # hers\n\n[datacentres]\n\
                   2 = \"192.0.2.1\" # a test\n# the end\n";
        let same = merge(&mut Service::default(), Some(old.to_owned())).expect("a good file");
        assert_eq!(same, old);
        let mut asked = Service {
            mask: "b.example".parse().ok(),
            metrics: "9464".parse().ok(),
            ..Service::default()
        };
        let changed = merge(&mut asked, Some(old.to_owned())).expect("a good file");
        let expected =
            old.replace("\"a.example\" # hers\n", "\"b.example:443\" # hers\nmetrics = 9464\n");
        assert_eq!(changed, expected);
        assert!(merge(&mut Service::default(), Some("port = 1".to_owned())).is_err());
    }

    #[test]
    fn in_a_file_of_comments_alone_they_come_first() {
        let old = include_str!("../../../../packaging/jaryq.toml");
        let merged = merge(&mut asked(), Some(old.to_owned())).expect("a good file");
        assert_eq!(merged, format!("{old}{}", written(&asked())));
        let cut = merge(&mut asked(), Some(old.trim_end().to_owned())).expect("a good file");
        assert_eq!(cut, merged);
        let again = merge(&mut asked(), Some(merged.clone())).expect("a good file");
        assert_eq!(again, merged);
    }
}
