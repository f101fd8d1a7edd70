//! The real minisign believes what we sign, and nothing else.

use std::path::Path;
use std::process::Command;

use wire::signer::{PublicKey, Signer};

/// `None` where there is no minisign, and the tests may be without.
fn minisign(dir: &Path, arguments: &[&str]) -> Option<(bool, String)> {
    let done = Command::new("minisign").current_dir(dir).args(arguments).output();
    let may_be_absent = std::env::var_os("JARYQ_LAB").is_none_or(|what| what != "all");
    match done {
        Err(error) if may_be_absent => {
            eprintln!("skipped: minisign does not start ({error})");
            None
        }
        done => {
            let done = done.expect("minisign starts");
            let said = [done.stdout, done.stderr].concat();
            Some((done.status.success(), String::from_utf8_lossy(&said).into_owned()))
        }
    }
}

#[test]
fn minisign_believes_our_signature_and_its_comment_and_no_changed_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).expect("written");
    };
    let signer = Signer::from_seed(&[42; 32]);
    let key = signer.public().to_string();
    write("file", "a bundle");
    write("file.minisig", &signer.minisig(b"a bundle", "good until 2026-12-23"));
    // -H: with BLAKE2b, as new versions want it.
    let verify = ["-VH", "-P", &key, "-m", "file"];
    let Some((is_good, said)) = minisign(dir.path(), &verify) else { return };
    assert!(is_good && said.contains("good until 2026-12-23"), "{said}");

    write("file.minisig", &signer.minisig(b"a bundle", "x").replace(": x", ": y"));
    assert!(!minisign(dir.path(), &verify).expect("starts").0, "a changed comment");
    write("file.minisig", &signer.minisig(b"another", "x"));
    assert!(!minisign(dir.path(), &verify).expect("starts").0, "another file");
}

#[test]
fn a_key_that_minisign_made_can_be_trusted() {
    let dir = tempfile::tempdir().expect("a directory");
    let make = ["-GW", "-p", "key.pub", "-s", "key"];
    let Some((is_made, said)) = minisign(dir.path(), &make) else { return };
    assert!(is_made, "{said}");
    let file = std::fs::read_to_string(dir.path().join("key.pub")).expect("written");
    let key: PublicKey = file.parse().expect("a key");
    assert_eq!(key.to_string()[14..], file.lines().last().expect("a line")[14..]);
}
