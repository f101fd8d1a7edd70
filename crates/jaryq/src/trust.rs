//! `jaryq trust`: whose bundles are used on this machine, and by whose receipts one goes.
//!
//! One line for each signer in `jaryq/trusted` below `$XDG_CONFIG_HOME` (`~/.config`), which its owner
//! alone can read: who trusts whom is nobody else's business.

use std::env;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use store::Label;
use wire::bundle::{Refused, Sealed};
use wire::signer::PublicKey;

use crate::args::{TrustArgs, TrustVerb};
use crate::key::day;
use crate::ledger::unix;
use crate::print::Printer;

/// How many signers somebody trusts at most.
const MOST: usize = 100;
/// How much is read of a file that should be a bundle or a key; a message may be around it.
const LONGEST: u64 = 1 << 20;

/// Somebody whose bundles are used here.
#[derive(Clone)]
struct Signer {
    key: PublicKey,
    /// As in 2026-11-23.
    since: String,
    name: Label,
}

pub(crate) fn run(arguments: TrustArgs, printer: &Printer) -> anyhow::Result<()> {
    match (arguments.verb, arguments.who) {
        (Some(TrustVerb::List), _) => list(printer),
        (Some(TrustVerb::Remove { who }), _) => remove(&who, printer),
        (None, Some(who)) => add(&who, arguments.name, arguments.yes, printer),
        (None, None) => bail!("give a bundle's file, or a signer's key"),
    }
}

/// Everybody whose bundles are used here.
pub(crate) fn pinned() -> anyhow::Result<Vec<PublicKey>> {
    Ok(load(&file()?)?.iter().map(|signer| signer.key).collect())
}

/// How much after `jaryq-bundle.` is a bundle and not a file's name: a whole one has twice as much.
const NO_NAME: usize = 100;

/// A bundle, or what else stands in a file: `-` is standard input, and where there is no such file, a
/// bundle itself will do too.
pub(crate) fn read(from: &str) -> anyhow::Result<String> {
    if is_itself(from) {
        return Ok(from.to_owned());
    }
    let mut bytes = Vec::new();
    if from == "-" {
        io::stdin().take(LONGEST).read_to_end(&mut bytes).context("cannot read standard input")?;
    } else {
        let read = |file: fs::File| file.take(LONGEST).read_to_end(&mut bytes);
        fs::File::open(from).and_then(read).with_context(|| format!("cannot read {from}"))?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether this is a bundle, or what is left of one, and no file's name.
fn is_itself(from: &str) -> bool {
    let begins = from.to_ascii_lowercase().find("jaryq-bundle.");
    begins.is_some_and(|at| from.len() - at > NO_NAME) && fs::symlink_metadata(from).is_err()
}

/// What was given, to be named in what is said of it. Not a bundle itself: it opens relays, and
/// complaints are logged.
pub(crate) fn called(from: &str) -> &str {
    match from {
        "-" => "standard input",
        from if is_itself(from) => "the bundle that was given",
        from => from,
    }
}

fn add(who: &str, name: Option<Label>, is_sure: bool, printer: &Printer) -> anyhow::Result<()> {
    let key = key_of(who)?;
    let path = file()?;
    let mut signers = load(&path)?;
    if let Some(known) = signers.iter().find(|signer| signer.key == key) {
        return tell("trusted", "You trust this signer already:", known, printer);
    }
    if signers.len() >= MOST {
        bail!("you trust {MOST} signers, and no more can be; remove one: jaryq trust remove");
    }
    let since = day(i64::try_from(unix()).unwrap_or(i64::MAX));
    let signer = Signer { key, since, name: name.unwrap_or_default() };
    if !is_sure && !has_agreed(&signer, printer)? {
        bail!("nobody was trusted");
    }
    signers.push(signer.clone());
    save(&path, &signers)?;
    tell("trusted", "From now on you trust:", &signer, printer)
}

/// The words are shown, and somebody says that they are the right ones.
fn has_agreed(signer: &Signer, printer: &Printer) -> anyhow::Result<bool> {
    let words = signer.key.fingerprint();
    if printer.is_json() || !io::stdin().is_terminal() {
        bail!(
            "the signer's words are: {words}. Compare them with what the people who run the relays say \
             of themselves; if they are the same, run this again with --yes"
        );
    }
    printer.line("The signer's words:\n");
    printer.line(written(&signer.key));
    printer.line(
        "\nCompare them with what the people who run the relays say of themselves, by another way than \
         the bundle came: on the phone, say. Whoever you trust can see what you do through their relays.",
    );
    print_now("Are these their words? [yes/no] ");
    let mut answer = String::new();
    io::stdin().lock().take(100).read_line(&mut answer).context("cannot read your answer")?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

#[allow(clippy::print_stdout)] // a question has no line of its own
fn print_now(question: &str) {
    print!("{question}");
    let _ = io::stdout().flush();
}

fn list(printer: &Printer) -> anyhow::Result<()> {
    let signers = load(&file()?)?;
    if printer.is_json() {
        let all: Vec<Value> = signers.iter().map(object).collect();
        printer.object(&json!({ "event": "trusted", "signers": all }));
    } else if signers.is_empty() {
        printer
            .line("You trust nobody yet; begin with a bundle that you were sent: jaryq trust FILE");
    }
    for signer in signers.iter().filter(|_| !printer.is_json()) {
        printer.line(format!("{}  since {}  {}", signer.key, signer.since, signer.name).trim_end());
        printer.line(written(&signer.key));
    }
    Ok(())
}

fn remove(who: &str, printer: &Printer) -> anyhow::Result<()> {
    let path = file()?;
    let mut signers = load(&path)?;
    let key = who.parse::<PublicKey>().ok();
    let is_meant = |signer: &Signer| {
        let words = signer.key.fingerprint().to_string();
        let begins = who.split_whitespace().count() >= 2 && words.starts_with(who.trim());
        key == Some(signer.key) || begins || signer.name.to_string() == who.trim()
    };
    let meant: Vec<usize> = (0..signers.len()).filter(|at| is_meant(&signers[*at])).collect();
    match meant[..] {
        [at] => {
            let signer = signers.remove(at);
            save(&path, &signers)?;
            tell("removed", "You no longer trust:", &signer, printer)
        }
        [] => bail!(
            "you trust nobody of that key, name or first two words; 'jaryq trust list' shows whom you do"
        ),
        _ => bail!("several are called that; give the key ('jaryq trust list' shows it)"),
    }
}

/// A key, a file with one, or a bundle's signer.
fn key_of(who: &str) -> anyhow::Result<PublicKey> {
    if let Ok(key) = who.parse() {
        return Ok(key);
    }
    let text = read(who)?;
    match (text.parse(), Sealed::read(&text)) {
        (Ok(key), _) => Ok(key),
        (_, Ok(sealed)) => Ok(sealed.signer()),
        (Err(no_key), Err(Refused::Absent)) => {
            bail!("there is neither a bundle nor a signer's key in {}: {no_key}", called(who))
        }
        (_, Err(refused)) => Err(refused.into()),
    }
}

fn tell(event: &str, text: &str, signer: &Signer, printer: &Printer) -> anyhow::Result<()> {
    if printer.is_json() {
        printer.object(&json!({ "event": event, "signer": object(signer) }));
    } else {
        printer.line(text);
        printer.line(written(&signer.key));
    }
    Ok(())
}

fn object(signer: &Signer) -> Value {
    let mut object = key_object(&signer.key);
    object["name"] = json!(signer.name.to_string());
    object["since"] = json!(signer.since);
    object
}

/// A signer for programs.
pub(crate) fn key_object(key: &PublicKey) -> Value {
    json!({ "key": key.to_string(), "words": key.fingerprint().to_string() })
}

/// A signer's words for people, in three lines of four.
pub(crate) fn written(key: &PublicKey) -> String {
    let words: Vec<&str> = key.fingerprint().words().collect();
    let lines: Vec<String> = words.chunks(4).map(|four| format!("  {}", four.join(" "))).collect();
    lines.join("\n")
}

fn file() -> anyhow::Result<PathBuf> {
    let set = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let home =
        || env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".config"));
    let above = set.or_else(home).context("there is no home directory; set XDG_CONFIG_HOME")?;
    Ok(above.join("jaryq/trusted"))
}

fn load(path: &Path) -> anyhow::Result<Vec<Signer>> {
    let mut text = String::new();
    match fs::File::open(path) {
        Ok(file) => {
            let read = file.take(LONGEST).read_to_string(&mut text);
            read.with_context(|| format!("cannot read {}", path.display()))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = |(number, line): (usize, &str)| {
        let mut parts = line.splitn(3, ' ');
        let mut part = || parts.next().unwrap_or_default();
        let (key, since, name) = (part().parse(), part().to_owned(), part().parse());
        match (key, name) {
            (Ok(key), Ok(name)) => Ok(Signer { key, since, name }),
            // Not passed over: it may be somebody who was trusted.
            _ => bail!("{}: line {} is no signer; remove it", path.display(), number + 1),
        }
    };
    lines.take(MOST).map(read).collect()
}

/// All or nothing, also if the machine goes down meanwhile.
fn save(path: &Path, signers: &[Signer]) -> anyhow::Result<()> {
    let write = || {
        if let Some(dir) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let new = path.with_extension(format!("{}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let lines =
            signers.iter().map(|Signer { key, since, name }| format!("{key} {since} {name}\n"));
        let written = file.write_all(lines.collect::<String>().as_bytes());
        let done = written.and_then(|()| file.sync_all()).and_then(|()| fs::rename(&new, path));
        if done.is_err() {
            let _ = fs::remove_file(&new);
        }
        done
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn signer(number: u8, name: &str) -> Signer {
        let key = wire::signer::Signer::from_seed(&[number; 32]).public();
        Signer { key, since: "2026-11-23".to_owned(), name: name.parse().expect("a name") }
    }

    #[test]
    fn signers_are_kept_where_their_owner_alone_can_read_them() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("jaryq/trusted");
        assert!(load(&path).expect("nobody").is_empty());
        save(&path, &[signer(1, ""), signer(2, "Aigül and friends")]).expect("written");
        let kept = load(&path).expect("read");
        let kept: Vec<_> = kept.iter().map(|kept| (kept.key, kept.name.to_string())).collect();
        let expected = [(signer(1, "").key, ""), (signer(2, "").key, "Aigül and friends")];
        assert_eq!(kept, expected.map(|(key, name)| (key, name.to_owned())));
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&home.path().join("jaryq"))), (0o600, 0o700));
        assert_eq!(fs::read_dir(home.path().join("jaryq")).expect("a directory").count(), 1);
    }

    #[test]
    fn a_file_is_read_whatever_it_is_called_and_a_bundle_is_never_repeated() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("jaryq-bundle.d").join("jaryq-bundle.txt");
        fs::create_dir(path.parent().expect("above")).expect("made");
        let name = path.to_str().expect("UTF-8");
        let error = read(name).expect_err("there is none yet").to_string();
        assert!(error.contains(name), "{error}");
        fs::write(&path, "what is in it").expect("written");
        assert_eq!(read(name).expect("read"), "what is in it");
        assert_eq!(called(name), name);

        let bundle = format!("JARYQ-BUNDLE.{}.", "A".repeat(300));
        assert_eq!(read(&bundle).expect("itself"), bundle);
        for part in [&bundle[..], &bundle[..200]] {
            let error = format!("{:?}", key_of(part).expect_err("it is none"));
            assert!(!error.contains("AAAA"), "{error}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_is_an_error_and_not_passed_over() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("trusted");
        fs::write(&path, "\nRWnonsense 2026-11-23\n").expect("written");
        let error = load(&path).err().expect("it is no signer");
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
