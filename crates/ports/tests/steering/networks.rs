//! Other interfaces, other machines behind this one, addresses that are translated.

use std::net::SocketAddr;

use lab::{Lab, Result, country, need};

use crate::harness::*;

#[test]
fn an_interface_that_appears_later_is_served_and_what_is_forwarded_is_left_alone() -> Result {
    steered(|mechanism, phone, server| {
        let holder = Holder::on(server, "all", mechanism)?;
        cable("late", (server, "10.1.0.1/24"), (phone, "10.1.0.2/24"))?;
        let at = SocketAddr::from(([10, 1, 0, 1], 8080));
        eventually(&here(at), || knock_from(phone, at))?;
        assert_eq!(ask_from(phone, at)?, answered(at), "{mechanism}");
        drop(holder);

        // The server is a router now, between the phone and itself in another life.
        country(|lab| {
            let behind = lab.host("behind", &["116.203.9.9"])?;
            cable("behind", (server, "10.2.0.1/24"), (&behind, "10.2.0.2/24"))?;
            run(server, "sysctl -qw net.ipv4.ip_forward=1")?;
            run(phone, "ip route add 10.2.0.0/24 via 10.1.0.1")?;
            run(&behind, "ip route add 10.1.0.0/24 via 10.2.0.1")?;
            greeter(&behind, (ANY4, 8080).into(), "behind\n")?;
            oracle(&behind, (ANY4, 8080).into(), "behind")?;
            let _holder = Holder::on(server, "all", mechanism)?;
            eventually(&here(at), || knock_from(phone, at))?;
            let there = SocketAddr::from(([10, 2, 0, 2], 8080));
            let behind = "behind".to_owned();
            assert_eq!(knock_from(phone, there)?, Knock::Said(behind.clone()), "{mechanism}");
            assert_eq!(ask_from(phone, there)?, Reply::Said(behind, 8080), "{mechanism}");
            let closed = SocketAddr::from(([10, 2, 0, 2], 8081));
            assert_eq!(knock_from(phone, closed)?, Knock::Refused, "{mechanism}");
            Ok(())
        })
    })
}

/// How addresses come to be translated.
const TRANSLATORS: [&str; 3] = [
    "nft add table ip t; nft 'add chain ip t after { type nat hook postrouting priority 100; }'",
    "iptables-legacy -t nat -A POSTROUTING -j MASQUERADE",
    "ip6tables-legacy -t nat -A POSTROUTING -j MASQUERADE",
];

#[test]
fn where_addresses_are_translated_packets_are_not_judged_at_ingress() -> Result {
    for translator in TRANSLATORS {
        country(|lab| {
            need(translator.split(' ').next().unwrap_or_default())?;
            let (phone, server) = two(lab)?;
            let holder = Holder::on(&server, "all", "tcx")?;
            run(&server, translator)?;
            eventually(&true, || Ok(holder.mode("all")?.ends_with(" sk_lookup")))?;
            let at = SocketAddr::new(server.v4(), 8080);
            assert_eq!(knock_from(&phone, at)?, here(at), "{translator}");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn ports_that_are_translated_lead_where_they_led() -> Result {
    steered(|mechanism, phone, server| {
        let lab = Lab::new()?;
        let behind = lab.host("behind", &["116.203.9.9"])?;
        cable("behind", (server, "10.2.0.1/24"), (&behind, "10.2.0.2/24"))?;
        greeter(&behind, (ANY4, 8080).into(), "behind\n")?;
        oracle(&behind, (ANY4, 8080).into(), "behind")?;
        oracle(phone, (ANY4, 53).into(), "a name")?;
        run(&behind, "ip route replace default via 10.2.0.1 dev behind")?;
        greeter(server, (ANY4, 8081).into(), "moved\n")?;
        let _holder = Holder::on(server, "all", mechanism)?;
        let port = |port| SocketAddr::new(server.v4(), port);
        eventually(&here(port(8088)), || knock_from(phone, port(8088)))?;

        // As Docker does without its own proxy, and as many a web server has it.
        run(
            server,
            "sysctl -qw net.ipv4.ip_forward=1
             nft add table ip t
             nft 'add chain ip t before { type nat hook prerouting priority -100; }'
             nft 'add chain ip t after { type nat hook postrouting priority 100; }'
             nft add rule ip t before iifname eth0 tcp dport 8088 dnat to 10.2.0.2:8080
             nft add rule ip t before iifname eth0 udp dport 8088 dnat to 10.2.0.2:8080
             nft add rule ip t before iifname eth0 tcp dport 8089 redirect to :8081
             nft add rule ip t after oifname eth0 ip saddr 10.2.0.0/24 masquerade",
        )?;
        let said = |text: &str| Knock::Said(text.to_owned());
        eventually(&said("behind"), || knock_from(phone, port(8088)))?;
        eventually(&said("moved"), || knock_from(phone, port(8089)))?;
        assert_eq!(ask_from(phone, port(8088))?, Reply::Said("behind".to_owned(), 8088));
        // Answers to what is behind the server.
        let name_server = SocketAddr::new(phone.v4(), 53);
        assert_eq!(ask_from(&behind, name_server)?, Reply::Said("a name".to_owned(), 53));
        // And everything else is had as before.
        assert_eq!(knock_from(phone, port(8090))?, here(port(8090)), "{mechanism}");
        assert_eq!(ask_from(phone, port(8090))?, answered(port(8090)), "{mechanism}");
        // But where programs ask from when they do not care, if packets are not judged one by one.
        let free = if mechanism == "tproxy" { answered(port(45_678)) } else { Reply::Refused };
        assert_eq!(ask_from(phone, port(45_678))?, free, "{mechanism}");
        run(server, "nft delete table ip t")?;
        eventually(&here(port(8088)), || knock_from(phone, port(8088)))
    })
}
