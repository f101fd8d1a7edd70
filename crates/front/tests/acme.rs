//! Public certificates, from a real authority.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::authority::{Authority, PassThrough, name_server};
use common::{NAME, listen, text, wear};
use front::{Dns, DnsProof, Front, Identity, NoRooms, Notice, NoticeReceiver, Proof, Settings};
use tempfile::TempDir;
use tokio::time::timeout;

const DAY: u64 = 86_400;

/// The next notice.
async fn next(notices: &mut NoticeReceiver) -> Notice {
    let notice = timeout(Duration::from_secs(60), notices.recv()).await;
    notice.expect("something is said within a minute").expect("it goes on")
}

async fn issued(notices: &mut NoticeReceiver) {
    let notice = next(notices).await;
    assert!(matches!(notice, Notice::Issued { .. }), "{notice}");
}

/// The certificate that is shown to whoever says this name, as OpenSSL prints it.
async fn shown(port: u16, name: &str) -> String {
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} -servername {name} </dev/null 2>/dev/null | \
         openssl x509 -noout -serial -ext subjectAltName"
    );
    text("sh", &["-c", &script]).await
}

/// Whether curl, which trusts the authority, gets an answer.
async fn is_trusted(authority: &Authority, name: &str, port: u16) -> bool {
    let root = authority.root().await;
    let resolve = format!("{name}:{port}:127.0.0.1");
    let url = format!("https://{name}:{port}/");
    let root = root.to_str().expect("a path");
    let printed = text("curl", &["-sSi", "--cacert", root, "--resolve", &resolve, &url]).await;
    printed.contains("HTTP/2 404")
}

/// Opens it. Where no certificate is kept, it says so first.
fn open(home: &TempDir, identity: Identity) -> (Front, NoticeReceiver) {
    let state = home.path().join("tls");
    let mut files = std::fs::read_dir(&state).into_iter().flatten().flatten();
    let is_kept = |file: std::fs::DirEntry| {
        let name = file.file_name().into_string().expect("a name");
        name.starts_with("public-") && name.ends_with(".pem")
    };
    let has_one = files.any(is_kept);
    let (front, mut notices) = Front::open(Settings::new(state, identity)).expect("open");
    if !has_one {
        let notice = notices.try_recv().expect("it is said at once");
        assert!(matches!(notice, Notice::Awaited { .. }), "{notice}");
    }
    (front, notices)
}

#[tokio::test]
async fn a_name_is_proven_by_a_hello_renewed_while_connections_go_on_and_kept_over_restarts() {
    let authority = Authority::start(20, None).await;
    let home = tempfile::tempdir().expect("a directory");
    let ask = || Identity::Public(authority.ask("relay.example.org", Proof::TlsAlpn));
    let (front, mut notices) = open(&home, ask());
    let at = format!("127.0.0.1:{}", authority.proof_port);
    listen(&front, &at, NoRooms);
    let before = shown(authority.proof_port, "relay.example.org").await;
    assert!(before.contains("DNS:relay.example.org"), "one that nobody vouches for: {before}");
    issued(&mut notices).await;
    assert!(is_trusted(&authority, "relay.example.org", authority.proof_port).await);
    let first = shown(authority.proof_port, "relay.example.org").await;
    assert_ne!(first, before);

    // A connection that was there before the next one is there after it.
    let script = format!(
        "(printf 'GET / HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n'; sleep 25; \
          printf 'GET /again HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n'; sleep 2) | \
         openssl s_client -connect {at} -quiet 2>/dev/null | grep -c '404 Not Found'"
    );
    let visitor = tokio::spawn(async move { text("sh", &["-c", &script]).await });
    issued(&mut notices).await;
    let second = shown(authority.proof_port, "relay.example.org").await;
    assert_ne!(first, second);
    assert_eq!(visitor.await.expect("it ends").trim(), "2");

    let state = home.path().join("tls");
    for file in std::fs::read_dir(&state).expect("a directory") {
        let file = file.expect("a file");
        let mode = file.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file:?}");
    }
    drop(front);
    // The authority's memory of accounts is still there, and ours.
    let orders = authority.log().matches("/sign-me-up").count();
    let (front, mut notices) = open(&home, ask());
    let said = notices.try_recv().ok();
    assert!(!matches!(said, Some(Notice::Awaited { .. })), "one is kept: {said:?}");
    let (address, _) = listen(&front, "127.0.0.1:0", NoRooms);
    let kept = shown(address.port(), "relay.example.org").await;
    assert!(kept.contains("serial") && kept != before, "{kept}");
    assert!(is_trusted(&authority, "relay.example.org", address.port()).await || kept != second);
    assert_eq!(authority.log().matches("/sign-me-up").count(), orders, "no second account");
}

#[tokio::test]
async fn a_bare_address_is_proven_in_reverse_with_the_profile_that_it_needs() {
    let authority = Authority::start(6 * DAY, None).await;
    let between = PassThrough::new(&authority);
    let seen = between.state.clone();
    let pass = wear(between, |_, _| {}).await;
    let home = tempfile::tempdir().expect("a directory");
    let mut acme = authority.ask("127.0.0.1", Proof::TlsAlpn);
    acme.directory = format!("https://127.0.0.1:{}/dir", pass.address.port());
    acme.roots = Some(pass.trusted());
    assert!(acme.publishes().contains("127.0.0.1 will stand in the public lists"));
    let (front, mut notices) = open(&home, Identity::Public(acme));
    listen(&front, &format!("127.0.0.1:{}", authority.proof_port), NoRooms);
    issued(&mut notices).await;
    assert_eq!(seen.lock().expect("seen").profiles, ["shortlived"]);
    assert!(is_trusted(&authority, "127.0.0.1", authority.proof_port).await);
    // The authority came more than once, from several places at the same time.
    let log = authority.log();
    assert!(log.contains(r#"Type:"ip""#) && log.contains("Starting 3 validations"), "{log}");
}

#[tokio::test]
async fn a_star_is_proven_by_a_program_that_makes_records_and_names_no_host() {
    let authority = Authority::start(90 * DAY, None).await;
    let home = tempfile::tempdir().expect("a directory");
    let hook = home.path().join("hook");
    let log = home.path().join("log");
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {log}\nverb=set; [ \"$1\" = present ] || verb=clear\n\
         curl -sS -d \"{{\\\"host\\\":\\\"$2\\\",\\\"value\\\":\\\"$3\\\"}}\" \
         http://127.0.0.1:{names}/$verb-txt\n",
        log = log.display(),
        names = authority.names
    );
    std::fs::write(&hook, script).expect("written");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o700)).expect("set");
    let by = DnsProof { by: Dns::Hook(hook), settle: Duration::ZERO };
    let acme = authority.ask("*.example.org", Proof::Dns(by));
    assert!(acme.publishes().contains("no host and no address"));
    let (front, mut notices) = open(&home, Identity::Public(acme));
    let (address, _) = listen(&front, "127.0.0.1:0", NoRooms);
    issued(&mut notices).await;
    assert!(is_trusted(&authority, "relay7.example.org", address.port()).await);
    let certificate = shown(address.port(), "relay7.example.org").await;
    assert!(certificate.contains("DNS:*.example.org"), "{certificate}");
    let calls = std::fs::read_to_string(log).expect("calls");
    let calls: Vec<_> = calls.lines().map(|call| call.rsplit_once(' ').expect("a value")).collect();
    let (present, value) = calls[0];
    assert_eq!(present, "present _acme-challenge.example.org.");
    assert_eq!(calls[1], ("cleanup _acme-challenge.example.org.", value));
}

#[tokio::test]
async fn a_star_is_proven_by_signed_updates_of_a_name_server() {
    let home = tempfile::tempdir().expect("a directory");
    let secret = data_encoding::BASE64.encode(&[7; 32]);
    let (_knot, port) = name_server(home.path(), &secret).await;
    let authority = Authority::start(90 * DAY, Some(port)).await;
    let ask = |key: String, zone: &str| {
        let by = Dns::Update {
            server: format!("127.0.0.1:{port}"),
            zone: zone.into(),
            key: key.parse().expect("a key"),
        };
        let proof = Proof::Dns(DnsProof { by, settle: Duration::ZERO });
        let mut acme = authority.ask("*.example.org", proof);
        acme.names.push("example.org".parse().expect("a name"));
        Identity::Public(acme)
    };
    let state = tempfile::tempdir().expect("a directory");
    let (front, mut notices) =
        open(&state, ask(format!("hmac-sha256:acme:{secret}"), "example.org"));
    let (address, _) = listen(&front, "127.0.0.1:0", NoRooms);
    issued(&mut notices).await;
    for name in ["a.example.org", "example.org"] {
        assert!(is_trusted(&authority, name, address.port()).await, "{name}");
    }
    let log = std::fs::read_to_string(home.path().join("knot.log")).expect("a log");
    assert!(log.contains("DDNS"), "{log}");
    let at = format!("@127.0.0.1:{port}");
    let left = format!(
        "python3 -c \"
import socket, struct
name = b''.join(bytes([len(l)]) + l for l in b'_acme-challenge.example.org'.split(b'.')) + b'\\0'
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.sendto(b'\\0\\1\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0' + name + b'\\0\\x10\\0\\1', ('127.0.0.1', {port}))
print('records:', struct.unpack('>H', s.recv(4096)[6:8])[0])\""
    );
    assert_eq!(text("sh", &["-c", &left]).await.trim(), "records: 0", "{at}");

    // What is wrong is said in words.
    for (key, zone, words) in [
        (data_encoding::BASE64.encode(&[8; 32]), "example.org", "NOTAUTH"),
        (secret, "example.com", "refuses"),
    ] {
        let state = tempfile::tempdir().expect("a directory");
        let (_front, mut notices) = open(&state, ask(format!("hmac-sha256:acme:{key}"), zone));
        let notice = next(&mut notices).await.to_string();
        assert!(notice.contains(words) && notice.contains("tried again in"), "{notice}");
    }
}

#[tokio::test]
async fn an_authority_that_has_had_enough_is_left_alone_also_over_restarts() {
    let authority = Authority::start(90 * DAY, None).await;
    let between = PassThrough::new(&authority);
    let seen = between.state.clone();
    let pass = wear(between, |_, _| {}).await;
    {
        let mut seen = seen.lock().expect("seen");
        seen.too_many = Some(9000);
        let behind = std::time::SystemTime::now() - Duration::from_secs(DAY);
        seen.date = Some(httpdate::fmt_http_date(behind));
    }
    let home = tempfile::tempdir().expect("a directory");
    let ask = || {
        let mut acme = authority.ask("relay.example.org", Proof::TlsAlpn);
        acme.directory = format!("https://127.0.0.1:{}/dir", pass.address.port());
        acme.roots = Some(pass.trusted());
        Identity::Public(acme)
    };
    let (front, mut notices) = open(&home, ask());
    let notice = next(&mut notices).await;
    assert!(
        matches!(notice, Notice::ClockDiffers { seconds } if seconds.abs_diff(86_400) < 600),
        "{notice}"
    );
    let notice = next(&mut notices).await;
    let Notice::NotIssued { again_in, why, .. } = &notice else { panic!("{notice}") };
    assert!(*again_in >= Duration::from_secs(9000), "{notice}");
    assert!(why.contains("too many"), "{notice}");
    let asked = seen.lock().expect("seen").asked.len();
    drop(front);
    seen.lock().expect("seen").too_many = None;
    let (_front, mut notices) = open(&home, ask());
    assert!(timeout(Duration::from_secs(2), notices.recv()).await.is_err(), "it waits");
    assert_eq!(seen.lock().expect("seen").asked.len(), asked, "nobody was asked");
}

#[tokio::test]
async fn an_authority_that_has_forgotten_us_gets_to_know_us_again() {
    let authority = Authority::start(90 * DAY, None).await;
    let between = PassThrough::new(&authority);
    let seen = between.state.clone();
    seen.lock().expect("seen").forget = true;
    let pass = wear(between, |_, _| {}).await;
    let home = tempfile::tempdir().expect("a directory");
    let mut acme = authority.ask("relay.example.org", Proof::TlsAlpn);
    acme.directory = format!("https://127.0.0.1:{}/dir", pass.address.port());
    acme.roots = Some(pass.trusted());
    acme.patience = Duration::from_secs(1);
    let (front, mut notices) = open(&home, Identity::Public(acme));
    listen(&front, &format!("127.0.0.1:{}", authority.proof_port), NoRooms);
    let notice = next(&mut notices).await;
    assert!(notice.to_string().contains("accountDoesNotExist"), "{notice}");
    issued(&mut notices).await;
    let asked = seen.lock().expect("seen").asked.clone();
    assert_eq!(asked.iter().filter(|path| *path == "/sign-me-up").count(), 2);
}

#[tokio::test]
async fn an_authority_that_is_not_convinced_is_quoted() {
    let authority = Authority::start(90 * DAY, None).await;
    let home = tempfile::tempdir().expect("a directory");
    let mut ask = authority.ask("relay.example.org", Proof::TlsAlpn);
    ask.patience = Duration::from_secs(5);
    let (front, mut notices) = open(&home, Identity::Public(ask));
    // Nothing listens where it looks for proof.
    let notice = next(&mut notices).await;
    assert!(matches!(notice, Notice::NotIssued { .. }), "{notice}");
    assert!(notice.to_string().contains("Failed to connect"), "{notice}");
    // Once it does, the next attempt succeeds.
    listen(&front, &format!("127.0.0.1:{}", authority.proof_port), NoRooms);
    issued(&mut notices).await;
}

#[tokio::test]
async fn what_cannot_be_proven_is_said_at_the_start() {
    let home = tempfile::tempdir().expect("a directory");
    let try_open = |name: &str, proof: Proof| {
        let acme = front::Acme::new(vec![name.parse().expect("a name")], proof);
        let settings = Settings::new(home.path().join("tls"), Identity::Public(acme));
        Front::open(settings).map(|_| ()).expect_err("refused").to_string()
    };
    let hook =
        || Proof::Dns(DnsProof { by: Dns::Hook("/bin/true".into()), settle: Duration::ZERO });
    assert!(try_open("*.example.org", Proof::TlsAlpn).contains("only be proven in DNS"));
    assert!(try_open("192.0.2.1", hook()).contains("only on port 443"));
    assert_eq!(NAME.parse::<front::Name>().expect("a name").to_string(), NAME);
}
