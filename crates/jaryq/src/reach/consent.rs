//! What a provider can see of a search, said before it begins.

use crate::chart::count;

/// What is going to happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Plan {
    pub relays: usize,
    /// How many ports may be tried in all, of all relays and transports.
    pub ports: u64,
    pub loud: bool,
    /// When it ends at the latest.
    pub minutes: u64,
    /// With how many ports that work it ends sooner.
    pub enough: Option<usize>,
    /// How many receipts it begins with.
    pub receipts: usize,
    /// How many relays have an IPv6 address, where packets of our own making go to the IPv4 ones.
    pub dialled: usize,
}

/// Lines for people: what is done, what can be seen of it, and how to end it.
pub(super) fn lines(plan: &Plan) -> Vec<String> {
    let Plan { relays, ports, loud, minutes, enough, receipts, dialled } = *plan;
    let (servers, them, it) = match relays {
        1 => ("1 server".to_owned(), "it", "that server is"),
        many => (format!("{many} servers"), "them", "those servers are"),
    };
    let mut lines = vec![format!(
        "Looks for ports of the bundle's relays ({servers}) that still carry traffic from here."
    )];
    lines.push("What your provider, and whoever watches its lines, can see of that:".to_owned());
    if loud {
        lines.extend([
            format!(
                "  - LOUD: your line knocks at up to {} ports of {servers}, in seconds. Nothing but a \
                 port scan looks like that; simple alarms notice it at once, and your address with it.",
                count(ports)
            ),
            "  - Until a relay has answered once, in this search or by a receipt, it is searched quietly: \
             40 ports in the first minute, 200 in ten."
                .to_owned(),
            "  - It can fill the table of a home router or of a mobile provider for two minutes: then \
             nobody behind it gets anywhere. Better from a server, or a line that is only yours."
                .to_owned(),
        ]);
    } else {
        let [first, later] = [40, 200].map(|most: u64| count(most.min(ports)));
        lines.push(format!(
            "  - Connections and datagrams from your line to {servers} abroad: {first} ports in the \
             first minute, at most 10 a second, and {later} in ten minutes. That is more than an app \
             does, and far less than a scanner."
        ));
    }
    lines.extend([
        format!(
            "  - What goes to {them} looks like noise, web, TLS or DNS, and cannot be read. But whoever \
             watches your line learns where {it}, and may have it on record for later."
        ),
        "  - When a port works, up to 200 KB pass there, and a little more for a minute.".to_owned(),
        "Nobody else is asked.".to_owned(),
    ]);
    if dialled > 0 {
        lines.push(format!(
            "As root it knocks by bare packets, which is quickest, but over IPv4 alone: over IPv6 (relays \
             that have it: {dialled}) it dials, as without root."
        ));
    }
    if receipts > 0 {
        lines.push(format!("It begins with what {} say.", many(receipts as u64, "receipt")));
    }
    let soon = match enough {
        None => String::new(),
        Some(1) => "when a port works, or ".to_owned(),
        Some(enough) => format!("when {enough} ports work, or "),
    };
    lines.push(format!(
        "It ends {soon}after {}. Ctrl-C ends it sooner, and prints what was found.",
        many(minutes, "minute")
    ));
    lines
}

fn many(count: u64, what: &str) -> String {
    let more = if count == 1 { "" } else { "s" };
    format!("{count} {what}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Plan = Plan {
        relays: 4,
        ports: 524_280,
        loud: false,
        minutes: 10,
        enough: Some(3),
        receipts: 0,
        dialled: 0,
    };

    #[test]
    fn a_quiet_search_says_how_many_ports_of_how_many_servers_and_how_fast() {
        let text = lines(&QUIET).join("\n");
        for fact in
            ["4 servers", "40 ports in the first minute", "10 a second", "200 in ten minutes"]
        {
            assert!(text.contains(fact), "{fact}: {text}");
        }
        assert!(!text.contains("LOUD") && !text.contains("receipt"));
        assert!(text.contains("when 3 ports work, or after 10 minutes"), "{text}");
        let few = lines(&Plan { ports: 16, relays: 1, ..QUIET }).join("\n");
        assert!(few.contains("1 server abroad: 16 ports in the first minute"), "{few}");
    }

    #[test]
    fn a_loud_one_says_that_it_is_noticed_and_whom_it_can_harm() {
        let text = lines(&Plan { loud: true, relays: 1, ports: 131_068, ..QUIET }).join("\n");
        for fact in ["131,068 ports of 1 server", "port scan", "home router", "your address"] {
            assert!(text.contains(fact), "{fact}: {text}");
        }
        assert!(!text.contains("IPv6"), "{text}");
    }

    #[test]
    fn that_bare_packets_go_by_ipv4_alone_is_said_where_there_is_more() {
        let text = lines(&Plan { loud: true, dialled: 2, ..QUIET }).join("\n");
        assert!(text.contains("over IPv6 (relays that have it: 2) it dials"), "{text}");
    }
}
