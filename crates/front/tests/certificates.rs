//! Certificates in files, and those that are made here.

mod common;

use std::path::Path;
use std::time::{Duration, SystemTime};

use common::{listen, text};
use front::{Front, Identity, NoRooms, Notice, Settings};

/// Writes a certificate for a name, good for so many days from so many days on, and its key.
fn write(home: &Path, name: &str, from: i64, days: u64) {
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let day = Duration::from_secs(86_400);
    let now = SystemTime::now();
    let start = now + day * 1000 - day * u32::try_from(1000 - from).expect("days");
    params.not_before = start.into();
    params.not_after = (start + Duration::from_secs(days * 86_400)).into();
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    std::fs::write(home.join("key.pem"), key.serialize_pem()).expect("written");
    std::fs::write(home.join("cert.pem"), certificate.pem()).expect("written");
}

fn settings(home: &Path) -> Settings {
    let identity =
        Identity::Files { certificate: home.join("cert.pem"), key: home.join("key.pem") };
    Settings::new(home.join("tls"), identity)
}

async fn shown(port: u16) -> String {
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | openssl x509 -noout \
         -ext subjectAltName -fingerprint -sha256"
    );
    text("sh", &["-c", &script]).await
}

#[tokio::test]
async fn files_that_change_are_shown_and_those_that_cannot_be_used_are_not() {
    let home = tempfile::tempdir().expect("a directory");
    write(home.path(), "one.example.org", -1, 90);
    let (front, mut notices) = Front::open(settings(home.path())).expect("open");
    let (address, _) = listen(&front, "127.0.0.1:0", NoRooms);
    assert!(shown(address.port()).await.contains("one.example.org"));

    write(home.path(), "two.example.org", -1, 90);
    let notice = notices.recv().await.expect("something is said");
    assert!(
        matches!(&notice, Notice::Reloaded { names, .. } if names == "two.example.org"),
        "{notice}"
    );
    assert!(shown(address.port()).await.contains("two.example.org"));

    let other = rcgen::KeyPair::generate().expect("a key");
    std::fs::write(home.path().join("key.pem"), other.serialize_pem()).expect("written");
    let notice = notices.recv().await.expect("something is said");
    assert!(notice.to_string().contains("do not belong together"), "{notice}");
    assert!(shown(address.port()).await.contains("two.example.org"), "the one before goes on");
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said_in_words() {
    let home = tempfile::tempdir().expect("a directory");
    let at = |name: &str| home.path().join(name);
    let refused = || Front::open(settings(home.path())).map(|_| ()).expect_err("bad").to_string();
    assert!(refused().contains("cert.pem: No such file"), "{}", refused());

    write(home.path(), "one.example.org", -1, 90);
    let key = std::fs::read(at("key.pem")).expect("a key");
    std::fs::write(at("key.pem"), rcgen::KeyPair::generate().expect("a key").serialize_pem())
        .expect("written");
    assert!(refused().contains("do not belong together"), "{}", refused());
    std::fs::write(at("key.pem"), "nothing").expect("written");
    assert!(refused().contains("no PEM private key"), "{}", refused());
    std::fs::write(at("key.pem"), &key).expect("written");
    std::fs::write(at("cert.pem"), &key).expect("written");
    assert!(refused().contains("no PEM certificate"), "{}", refused());

    for (from, days, kind, words) in [
        (-91, 90, "certificate-expired", "clock is wrong"),
        (1, 90, "certificate-not-yet-valid", "clock is behind"),
    ] {
        write(home.path(), "one.example.org", from, days);
        let (_front, mut notices) = Front::open(settings(home.path())).expect("it is shown anyway");
        let notice = notices.try_recv().expect("something is said");
        assert_eq!(notice.kind(), kind);
        assert!(notice.to_string().contains(words), "{notice}");
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_the_same_after_a_restart() {
    let home = tempfile::tempdir().expect("a directory");
    let open = || {
        let names = vec!["relay.example.org".parse().expect("a name")];
        let settings = Settings::new(home.path().join("tls"), Identity::SelfSigned(names));
        Front::open(settings).expect("open").0
    };
    let fingerprint = open().fingerprints()[0];
    let front = open();
    assert_eq!(front.fingerprints(), [fingerprint]);
    let (address, _) = listen(&front, "127.0.0.1:0", NoRooms);
    let pairs: Vec<_> = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
    let printed = shown(address.port()).await;
    assert!(printed.contains(&pairs.join(":")), "{printed}");
}
