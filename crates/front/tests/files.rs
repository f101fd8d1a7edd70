//! The files for browsers and for Apple's devices, as real programs read them.

use std::process::Command;

use front::pages::{pac, profile};
use wire::target::Target;

/// What a program says; `None` without it, unless nothing may be skipped.
fn says(program: &str, arguments: &[&str]) -> Option<String> {
    match Command::new(program).args(arguments).output() {
        Err(_) if std::env::var_os("JARYQ_LAB").is_none_or(|all| all != "all") => None,
        output => {
            let output = output.expect("the program runs");
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8(said).expect("text");
            assert!(output.status.success(), "{said}");
            Some(said.trim().to_owned())
        }
    }
}

#[test]
fn a_profile_is_a_property_list_with_the_persons_account() {
    let (name, relay) = ("Aigül & <friends>", "https://relay-a7.example.org:8443/");
    let wanted = profile::Profile { name, relay, user: "sb5rhrbf2m1qx", password: "9w3k" };
    let page = profile::profile(&wanted);
    let again = profile::profile(&wanted);
    assert_eq!(page, again, "a newer one takes the older one's place");
    let file = String::from_utf8(page.body).expect("text");
    let script = "import plistlib, sys\n\
        p = plistlib.loads(sys.argv[1].encode())\n\
        c, = p['PayloadContent']\n\
        r, = c['Relays']\n\
        print(p['PayloadDisplayName'], p['PayloadType'], c['PayloadType'], r['HTTP2RelayURL'],\n\
        \x20   r['AdditionalHTTPHeaderFields']['Proxy-Authorization'], len({p['PayloadUUID'], c['PayloadUUID'], c['RelayUUID']}),\n\
        \x20   *c['ExcludedDomains'])";
    if let Some(said) = says("python3", &["-c", script, &file]) {
        assert_eq!(
            said,
            format!(
                "{name} Configuration com.apple.relay.managed {relay} Basic c2I1cmhyYmYybTFxeDo5dzNr 3 relay-a7.example.org"
            )
        );
    }
    for relay in ["https://203.0.113.5:443/", "https://[2001:db8::1]:443/"] {
        let page = profile::profile(&profile::Profile { relay, ..wanted });
        let file = String::from_utf8(page.body).expect("text");
        assert!(
            file.contains(relay) && !file.contains("ExcludedDomains"),
            "an address is no domain"
        );
    }
}

#[test]
fn a_pac_file_names_the_proxy_and_asks_nobody_for_names() {
    for proxy in ["relay-a7.example.org:8443", "[2001:db8::1]:443"] {
        let page = pac::pac(&Target::read(proxy, None).expect("a proxy"));
        let kind = ("content-type", "application/x-ns-proxy-autoconfig".to_owned());
        assert!(page.headers.contains(&kind));
        let file = String::from_utf8(page.body).expect("text");
        assert!(file.contains(&format!("\"HTTPS {proxy}\"")) && !file.contains("dnsResolve"));
    }
}
